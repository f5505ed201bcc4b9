#include "vmm/kvm/vcpu.h"

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace hearth::vmm {
namespace {

// Offsets in the local APIC's registers, and what goes there (Intel SDM 3A, 11.5.1).
constexpr std::size_t kApicLint0 = 0x350;
constexpr std::size_t kApicLint1 = 0x360;
constexpr std::uint32_t kDeliveryExtInt = 0x700;
constexpr std::uint32_t kDeliveryNmi = 0x400;
constexpr std::uint32_t kDeliveryMask = 0x700;

void SetDelivery(kvm_lapic_state& lapic, std::size_t offset, std::uint32_t delivery) {
    std::uint32_t value;
    std::memcpy(&value, lapic.regs + offset, sizeof(value));
    value = (value & ~kDeliveryMask) | delivery;
    std::memcpy(lapic.regs + offset, &value, sizeof(value));
}

void Count(std::atomic<std::uint64_t>& counter) {
    counter.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

Result<Vcpu> Vcpu::Create(const Vm& vm, std::uint32_t id) {
    os::Fd fd(MeteredIoctl(*vm.meter(), vm.fd(), KVM_CREATE_VCPU, std::uintptr_t{id}));
    if (!fd.valid()) {
        return errors::System(fmt::format("KVM_CREATE_VCPU {}", id), errno);
    }
    void* const run =
        ::mmap(nullptr, vm.run_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (run == MAP_FAILED) {
        return errors::System("cannot map a vCPU's shared structure", errno);
    }
    Vcpu vcpu(std::move(fd), id, vm.meter());
    vcpu.run_ = static_cast<kvm_run*>(run);
    vcpu.run_bytes_ = vm.run_bytes();
    return vcpu;
}

Vcpu::Vcpu(Vcpu&& other) noexcept
    : fd_(std::move(other.fd_)),
      id_(other.id_),
      meter_(std::move(other.meter_)),
      run_(std::exchange(other.run_, nullptr)),
      run_bytes_(other.run_bytes_),
      failure_(std::move(other.failure_)) {}

Vcpu::~Vcpu() {
    if (run_ != nullptr) {
        ::munmap(run_, run_bytes_);
    }
}

Status Vcpu::SetCpuid(std::span<const kvm_cpuid_entry2> entries) {
    std::vector<std::byte> buffer(sizeof(kvm_cpuid2) + entries.size_bytes());
    auto* const list = reinterpret_cast<kvm_cpuid2*>(buffer.data());
    list->nent = static_cast<std::uint32_t>(entries.size());
    std::ranges::copy(entries, list->entries);
    if (MeteredIoctl(*meter_, fd(), KVM_SET_CPUID2, list) != 0) {
        return errors::System("KVM_SET_CPUID2", errno);
    }
    return {};
}

Status Vcpu::SetRegisters(const kvm_regs& registers) {
    if (MeteredIoctl(*meter_, fd(), KVM_SET_REGS, &registers) != 0) {
        return errors::System("KVM_SET_REGS", errno);
    }
    return {};
}

Result<kvm_regs> Vcpu::GetRegisters() const {
    kvm_regs registers = {};
    if (MeteredIoctl(*meter_, fd(), KVM_GET_REGS, &registers) != 0) {
        return errors::System("KVM_GET_REGS", errno);
    }
    return registers;
}

Status Vcpu::SetSpecialRegisters(const kvm_sregs& registers) {
    if (MeteredIoctl(*meter_, fd(), KVM_SET_SREGS, &registers) != 0) {
        return errors::System("KVM_SET_SREGS", errno);
    }
    return {};
}

Result<kvm_sregs> Vcpu::GetSpecialRegisters() const {
    kvm_sregs registers = {};
    if (MeteredIoctl(*meter_, fd(), KVM_GET_SREGS, &registers) != 0) {
        return errors::System("KVM_GET_SREGS", errno);
    }
    return registers;
}

Status Vcpu::SetFpu(const kvm_fpu& fpu) {
    if (MeteredIoctl(*meter_, fd(), KVM_SET_FPU, &fpu) != 0) {
        return errors::System("KVM_SET_FPU", errno);
    }
    return {};
}

Status Vcpu::SetMsrs(std::span<const kvm_msr_entry> entries) {
    std::vector<std::byte> buffer(sizeof(kvm_msrs) + entries.size_bytes());
    auto* const list = reinterpret_cast<kvm_msrs*>(buffer.data());
    list->nmsrs = static_cast<std::uint32_t>(entries.size());
    std::ranges::copy(entries, list->entries);
    const int set = MeteredIoctl(*meter_, fd(), KVM_SET_MSRS, list);
    if (set < 0) {
        return errors::System("KVM_SET_MSRS", errno);
    }
    if (static_cast<std::size_t>(set) != entries.size()) {
        return errors::Internal(fmt::format(
            "KVM_SET_MSRS refused MSR {:#x}", entries[static_cast<std::size_t>(set)].index));
    }
    return {};
}

Status Vcpu::SetLocalInterrupts() {
    kvm_lapic_state lapic = {};
    if (MeteredIoctl(*meter_, fd(), KVM_GET_LAPIC, &lapic) != 0) {
        return errors::System("KVM_GET_LAPIC", errno);
    }
    SetDelivery(lapic, kApicLint0, kDeliveryExtInt);
    SetDelivery(lapic, kApicLint1, kDeliveryNmi);
    if (MeteredIoctl(*meter_, fd(), KVM_SET_LAPIC, &lapic) != 0) {
        return errors::System("KVM_SET_LAPIC", errno);
    }
    return {};
}

Vcpu::Step Vcpu::Run(const Bus& ports, const Bus& mmio, ExitCounts& counts) {
    if (::ioctl(fd(), KVM_RUN, 0) != 0) {
        if (errno == EINTR) {
            Count(counts.interrupted);
            return Step::kInterrupted;
        }
        if (errno == EAGAIN) {
            // A vCPU that no other has woken yet; the kernel slept until something changed.
            return Step::kHandled;
        }
        failure_ = fmt::format("KVM_RUN: {}", std::strerror(errno));
        return Step::kFailed;
    }
    switch (run_->exit_reason) {
        case KVM_EXIT_IO:
            HandlePorts(ports, counts);
            return Step::kHandled;
        case KVM_EXIT_MMIO:
            HandleMmio(mmio, counts);
            return Step::kHandled;
        case KVM_EXIT_INTR:
            Count(counts.interrupted);
            return Step::kInterrupted;
        case KVM_EXIT_IRQ_WINDOW_OPEN:
            Count(counts.other);
            return Step::kHandled;
        case KVM_EXIT_HLT:
            Count(counts.other);
            return Step::kHalted;
        case KVM_EXIT_SHUTDOWN:
            Count(counts.other);
            failure_ = "triple fault";
            return Step::kShutdown;
        case KVM_EXIT_SYSTEM_EVENT:
            Count(counts.other);
            if (run_->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN ||
                run_->system_event.type == KVM_SYSTEM_EVENT_RESET) {
                failure_ = "system event";
                return Step::kShutdown;
            }
            failure_ = fmt::format("unknown system event {}", run_->system_event.type);
            return Step::kFailed;
        case KVM_EXIT_FAIL_ENTRY:
            failure_ = fmt::format(
                "the CPU refused the guest's state (hardware reason {:#x})",
                static_cast<std::uint64_t>(run_->fail_entry.hardware_entry_failure_reason));
            return Step::kFailed;
        case KVM_EXIT_INTERNAL_ERROR:
            failure_ = fmt::format("KVM internal error {}", std::uint32_t{run_->internal.suberror});
            return Step::kFailed;
        default:
            failure_ = fmt::format("unexpected exit {}", std::uint32_t{run_->exit_reason});
            return Step::kFailed;
    }
}

void Vcpu::HandlePorts(const Bus& ports, ExitCounts& counts) {
    const auto& io = run_->io;
    const bool is_in = io.direction == KVM_EXIT_IO_IN;
    Count(is_in ? counts.io_in : counts.io_out);
    const std::size_t size = io.size;
    const std::size_t count = io.count;
    // The kernel wrote these numbers, but they say where the monitor's memory is written to.
    if (io.data_offset > run_bytes_ || size * count > run_bytes_ - io.data_offset) {
        return;
    }
    auto* data = reinterpret_cast<std::byte*>(run_) + io.data_offset;
    // A string instruction brings several accesses of one port in one exit.
    for (std::size_t index = 0; index < count; ++index, data += size) {
        const bool is_claimed =
            is_in ? ports.Read(io.port, {data, size}) : ports.Write(io.port, {data, size});
        if (!is_claimed) {
            Count(counts.unclaimed);
        }
    }
}

void Vcpu::HandleMmio(const Bus& mmio, ExitCounts& counts) {
    auto& access = run_->mmio;
    Count(access.is_write != 0 ? counts.mmio_write : counts.mmio_read);
    const std::size_t size = std::min<std::size_t>(access.len, sizeof(access.data));
    const auto data = std::as_writable_bytes(std::span(access.data)).first(size);
    const bool is_claimed = access.is_write != 0 ? mmio.Write(access.phys_addr, data)
                                                 : mmio.Read(access.phys_addr, data);
    if (!is_claimed) {
        Count(counts.unclaimed);
    }
}

void Vcpu::CompleteAccess() {
    const std::uint8_t before = run_->immediate_exit;
    run_->immediate_exit = 1;
    // Returns EINTR by design, the instruction finished.
    [[maybe_unused]] const int result = ::ioctl(fd(), KVM_RUN, 0);
    run_->immediate_exit = before;
}

bool Vcpu::TellPaused() {
    return ::ioctl(fd(), KVM_KVMCLOCK_CTRL, 0) == 0;
}

void Vcpu::RequestInterrupt() {
    std::atomic_ref(run_->immediate_exit).store(1, std::memory_order_release);
}

void Vcpu::ClearInterrupt() {
    std::atomic_ref(run_->immediate_exit).store(0, std::memory_order_release);
}

}  // namespace hearth::vmm
