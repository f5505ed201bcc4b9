#pragma once

#include "base/result.h"
#include "vmm/boot/kernel_loader.h"
#include "vmm/kvm/kvm.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/memory/guest_memory.h"

#include <vector>

namespace hearth::vmm::boot {

struct CpuTopology {
    std::uint32_t vcpu_count = 1;
    // Two threads per core.
    bool smt = false;
};

// CPUID of vCPU `id`, from what the host supports: its own APIC id, the guest's topology instead of
// the host's, the hypervisor and TSC-deadline bits on, and off what a guest cannot have
// (performance counters, turbo, energy hints).
std::vector<kvm_cpuid_entry2> MakeCpuid(
    std::vector<kvm_cpuid_entry2> supported, std::uint32_t id, CpuTopology topology);

// Brings a new vCPU to the point where the kernel's protocol wants it: CPUID, model-specific
// registers, local interrupts, and for vCPU 0 registers, descriptor and page tables. The others
// wait for vCPU 0 to wake them.
Status PrepareVcpu(
    Vcpu& vcpu,
    const GuestMemory& memory,
    const LoadedKernel& kernel,
    std::span<const kvm_cpuid_entry2> cpuid);

// The tables in guest memory that vCPU 0 starts with.
Status WriteStartTables(const GuestMemory& memory);

}  // namespace hearth::vmm::boot
