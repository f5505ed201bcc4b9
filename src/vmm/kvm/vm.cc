#include "vmm/kvm/vm.h"

#include <cerrno>

namespace hearth::vmm {
namespace {

// Three pages for the kernel, just below the BIOS' addresses; no guest has memory there.
constexpr std::uint64_t kTssAddress = 0xfffb'd000;
constexpr std::uint64_t kIdentityMapAddress = 0xfffb'c000;

// The kernel answers EINTR while a signal is pending; creating is retried, not failed.
constexpr int kCreateTriesMax = 5;

}  // namespace

Result<Vm> Vm::Create(const Kvm& kvm) {
    IoctlMeter& meter = *kvm.meter();
    int created = -1;
    for (int tries = 0; tries < kCreateTriesMax && created < 0; ++tries) {
        created = MeteredIoctl(meter, kvm.fd(), KVM_CREATE_VM, 0UL);
        if (created < 0 && errno != EINTR) {
            break;
        }
    }
    if (created < 0) {
        return errors::System("KVM_CREATE_VM", errno);
    }
    Vm vm(os::Fd(created), kvm);
    std::uint64_t identity_map = kIdentityMapAddress;
    if (MeteredIoctl(meter, vm.fd(), KVM_SET_IDENTITY_MAP_ADDR, &identity_map) != 0) {
        return errors::System("KVM_SET_IDENTITY_MAP_ADDR", errno);
    }
    if (MeteredIoctl(meter, vm.fd(), KVM_SET_TSS_ADDR, std::uintptr_t{kTssAddress}) != 0) {
        return errors::System("KVM_SET_TSS_ADDR", errno);
    }
    if (MeteredIoctl(meter, vm.fd(), KVM_CREATE_IRQCHIP, 0UL) != 0) {
        return errors::System("KVM_CREATE_IRQCHIP", errno);
    }
    // The speaker's port (0x61) is the kernel's, too: guests calibrate their clocks by it.
    kvm_pit_config pit = {};
    pit.flags = KVM_PIT_SPEAKER_DUMMY;
    if (MeteredIoctl(meter, vm.fd(), KVM_CREATE_PIT2, &pit) != 0) {
        return errors::System("KVM_CREATE_PIT2", errno);
    }
    return vm;
}

Status Vm::SetMemory(const GuestMemory& memory) {
    for (std::uint32_t index = 0; index < memory.regions().size(); ++index) {
        const GuestMemory::Region& region = memory.regions()[index];
        kvm_userspace_memory_region slot = {};
        slot.slot = index;
        slot.guest_phys_addr = region.start;
        slot.memory_size = region.bytes;
        slot.userspace_addr = reinterpret_cast<std::uint64_t>(memory.host_address(index));
        if (MeteredIoctl(*meter_, fd(), KVM_SET_USER_MEMORY_REGION, &slot) != 0) {
            return errors::System("KVM_SET_USER_MEMORY_REGION", errno);
        }
    }
    return {};
}

Status Vm::AddInterrupt(std::uint32_t gsi, const EventFd& event) {
    kvm_irqfd irqfd = {};
    irqfd.fd = static_cast<std::uint32_t>(event.fd());
    irqfd.gsi = gsi;
    if (MeteredIoctl(*meter_, fd(), KVM_IRQFD, &irqfd) != 0) {
        return errors::System(fmt::format("KVM_IRQFD of interrupt {}", gsi), errno);
    }
    return {};
}

Status Vm::AddMmioKick(std::uint64_t address, std::uint32_t value, const EventFd& event) {
    kvm_ioeventfd kick = {};
    kick.datamatch = value;
    kick.addr = address;
    kick.len = sizeof(value);
    kick.fd = event.fd();
    kick.flags = KVM_IOEVENTFD_FLAG_DATAMATCH;
    if (MeteredIoctl(*meter_, fd(), KVM_IOEVENTFD, &kick) != 0) {
        return errors::System(fmt::format("KVM_IOEVENTFD at {:#x}", address), errno);
    }
    return {};
}

Status Vm::SetInterruptLine(std::uint32_t gsi, bool high) {
    kvm_irq_level level = {};
    level.irq = gsi;
    level.level = high ? 1 : 0;
    if (MeteredIoctl(*meter_, fd(), KVM_IRQ_LINE, &level) != 0) {
        return errors::System("KVM_IRQ_LINE", errno);
    }
    return {};
}

}  // namespace hearth::vmm
