#pragma once

#include "base/result.h"
#include "os/fd.h"
#include "vmm/event/bus.h"
#include "vmm/kvm/kvm.h"
#include "vmm/kvm/vm.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace hearth::vmm {

// How often a vCPU came back to the monitor, by reason. Written by its thread, read by any.
struct ExitCounts {
    std::atomic<std::uint64_t> io_in = 0;
    std::atomic<std::uint64_t> io_out = 0;
    std::atomic<std::uint64_t> mmio_read = 0;
    std::atomic<std::uint64_t> mmio_write = 0;
    // A signal: pause or stop.
    std::atomic<std::uint64_t> interrupted = 0;
    std::atomic<std::uint64_t> other = 0;
    // Accesses that no device owns; part of the first four.
    std::atomic<std::uint64_t> unclaimed = 0;
};

// One virtual CPU. Made on any thread; Run and the state functions belong to one thread at a time.
class Vcpu final {
  public:
    enum class Step {
        kHandled,      // an access was answered, or the guest waits to be woken; go on
        kInterrupted,  // a signal came; look why, then go on
        kHalted,       // HLT without an interrupt controller to wake it
        kShutdown,     // triple fault, or the guest asked for its end
        kFailed,       // the kernel cannot go on with this vCPU; failure() says why
    };

    static Result<Vcpu> Create(const Vm& vm, std::uint32_t id);

    Vcpu(Vcpu&&) noexcept;
    Vcpu& operator=(Vcpu&&) = delete;
    ~Vcpu();

    // CPUID before registers, registers before the first Run.
    Status SetCpuid(std::span<const kvm_cpuid_entry2> entries);
    Status SetRegisters(const kvm_regs& registers);
    Result<kvm_regs> GetRegisters() const;
    Status SetSpecialRegisters(const kvm_sregs& registers);
    Result<kvm_sregs> GetSpecialRegisters() const;
    Status SetFpu(const kvm_fpu& fpu);
    Status SetMsrs(std::span<const kvm_msr_entry> entries);
    // LINT0 takes the PIC's interrupts, LINT1 is the NMI, as a BIOS leaves them.
    Status SetLocalInterrupts();

    // Runs until the guest needs the monitor; port and memory accesses are answered from the
    // buses.
    Step Run(const Bus& ports, const Bus& mmio, ExitCounts& counts);

    // Finishes the instruction whose access was answered last, so that the registers are those of
    // a point between two instructions. To be called before the state is looked at.
    void CompleteAccess();

    // Tells a guest that uses the kernel's clock that it stood still, so that its watchdogs do not
    // take the pause for a hang. False when it does not use it.
    bool TellPaused();

    // Any thread: makes the next Run, or the one going on once its thread gets a signal, return
    // kInterrupted. ClearInterrupt is for the vCPU's thread.
    void RequestInterrupt();
    void ClearInterrupt();

    const std::string& failure() const { return failure_; }

    std::uint32_t id() const { return id_; }

    int fd() const { return fd_.get(); }

  private:
    Vcpu(os::Fd fd, std::uint32_t id, std::shared_ptr<IoctlMeter> meter)
        : fd_(std::move(fd)), id_(id), meter_(std::move(meter)) {}

    void HandlePorts(const Bus& ports, ExitCounts& counts);
    void HandleMmio(const Bus& mmio, ExitCounts& counts);

    os::Fd fd_;
    std::uint32_t id_;
    std::shared_ptr<IoctlMeter> meter_;
    kvm_run* run_ = nullptr;
    std::size_t run_bytes_ = 0;
    std::string failure_;
};

}  // namespace hearth::vmm
