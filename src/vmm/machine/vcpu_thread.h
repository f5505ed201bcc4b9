#pragma once

#include "base/result.h"
#include "vmm/event/bus.h"
#include "vmm/kvm/vcpu.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace hearth::vmm {

// One vCPU and the thread that runs it: paused at first, then running and pausing as it is told,
// until it is stopped or its guest ends. The buses are called on this thread.
class VcpuThread final {
  public:
    struct End {
        // The guest went down by itself (reset, triple fault); else the kernel could not go on.
        bool is_guests = false;
        std::string reason;
    };

    struct Hooks {
        // On the thread, before the guest's first instruction: the system call filter.
        std::function<Status()> before_guest;
        // On the thread, once, when the guest ended by itself; the thread is done then.
        std::function<void(const End& end)> ended;
        // On the thread, just before its first KVM_RUN.
        std::function<void()> first_run;
    };

    // The signal that makes a running vCPU look at what it is told. Install its handler once per
    // process, before the first thread.
    static Status InstallKickHandler();

    VcpuThread(Vcpu vcpu, const Bus& ports, const Bus& mmio, Hooks hooks);
    ~VcpuThread();

    // Starts the thread, paused. Returns when it is set up, with before_guest's error if there is
    // one.
    Status Start();

    // Tell; do not wait.
    void RequestRun();
    void RequestPause();
    void RequestStop();

    // Wait until a told pause or stop has happened (or the guest ended).
    void AwaitPaused();
    void Join();

    const ExitCounts& counts() const { return counts_; }

    // While paused, or after Join.
    Vcpu& vcpu() { return vcpu_; }

  private:
    enum class Wish { kRun, kPause, kStop };
    enum class State { kNew, kPaused, kRunning, kDone };

    void Request(Wish wish);
    void Main();
    // False when the thread is to end.
    bool ObeyWish();
    void Enter(State state);

    Vcpu vcpu_;
    const Bus& ports_;
    const Bus& mmio_;
    Hooks hooks_;
    ExitCounts counts_;

    std::mutex mutex_;
    std::condition_variable changed_;
    Wish wish_ = Wish::kPause;
    State state_ = State::kNew;
    Status setup_;
    std::thread thread_;
};

}  // namespace hearth::vmm
