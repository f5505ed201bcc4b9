#pragma once

#include "base/result.h"
#include "os/fd.h"
#include "vmm/event/event_fd.h"
#include "vmm/kvm/kvm.h"
#include "vmm/memory/guest_memory.h"

#include <cstdint>
#include <memory>
#include <optional>

namespace hearth::vmm {

// One virtual machine of the kernel: memory slots, interrupt controllers, and the eventfds that
// carry kicks out of it and interrupts into it without an exit to the monitor.
class Vm final {
  public:
    // A machine with interrupt controllers (PIC, IOAPIC), PIT and the addresses that Intel's
    // virtualisation needs; no memory, no vCPUs.
    static Result<Vm> Create(const Kvm& kvm);

    // Each region of `memory` becomes a slot. The memory must outlive the machine.
    Status SetMemory(const GuestMemory& memory);

    // Interrupt `gsi` is raised (as an edge) whenever `event` is signalled.
    Status AddInterrupt(std::uint32_t gsi, const EventFd& event);

    // A guest's 4-byte write of `value` to memory-mapped `address` signals `event` and causes no
    // exit.
    Status AddMmioKick(std::uint64_t address, std::uint32_t value, const EventFd& event);

    // Raises and lowers `gsi` by hand.
    Status SetInterruptLine(std::uint32_t gsi, bool high);

    int fd() const { return fd_.get(); }

    std::size_t run_bytes() const { return run_bytes_; }

    const std::shared_ptr<IoctlMeter>& meter() const { return meter_; }

  private:
    Vm(os::Fd fd, const Kvm& kvm)
        : fd_(std::move(fd)), run_bytes_(kvm.run_bytes()), meter_(kvm.meter()) {}

    os::Fd fd_;
    std::size_t run_bytes_;
    std::shared_ptr<IoctlMeter> meter_;
};

}  // namespace hearth::vmm
