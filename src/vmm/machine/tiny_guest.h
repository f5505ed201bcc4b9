#pragma once

#include "vmm/kvm/kvm.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"
#include "vmm/memory/guest_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <optional>

// For tests: machines of one page of real-mode code, which any /dev/kvm runs in milliseconds.
namespace hearth::vmm::testing {

inline constexpr std::uint16_t kTinyGuestCode = 0x1000;

// Says loudly why nothing was tested where there is no KVM.
#define HEARTH_SKIP_WITHOUT_KVM()                                                        \
    do {                                                                                 \
        if (const auto kvm_here = ::hearth::vmm::Kvm::Open(); !kvm_here.ok()) {          \
            GTEST_SKIP() << "NOT TESTED: no usable KVM: " << kvm_here.error().message(); \
        }                                                                                \
    } while (false)

struct TinyGuest {
    Kvm kvm;
    GuestMemory memory;
    Vm vm;

    // Memory of 64 KiB with `code` at kTinyGuestCode.
    static TinyGuest Make(std::initializer_list<std::uint8_t> code) {
        Kvm kvm = Kvm::Open().value();
        const GuestMemory::Region region = {0, 0x10000};
        GuestMemory memory = GuestMemory::Create(std::span(&region, 1)).value();
        Vm vm = Vm::Create(kvm).value();
        vm.SetMemory(memory).value();
        EXPECT_TRUE(
            memory.Write(kTinyGuestCode, std::as_bytes(std::span(code.begin(), code.size()))));
        return {std::move(kvm), std::move(memory), std::move(vm)};
    }

    // A vCPU that begins at the code.
    Vcpu MakeVcpu() const {
        Vcpu vcpu = Vcpu::Create(vm, 0).value();
        vcpu.SetCpuid(kvm.SupportedCpuid().value()).value();
        kvm_sregs special = vcpu.GetSpecialRegisters().value();
        special.cs.base = 0;
        special.cs.selector = 0;
        vcpu.SetSpecialRegisters(special).value();
        kvm_regs registers = {};
        registers.rip = kTinyGuestCode;
        registers.rsp = 0x8000;
        registers.rflags = 2;
        vcpu.SetRegisters(registers).value();
        return vcpu;
    }
};

}  // namespace hearth::vmm::testing
