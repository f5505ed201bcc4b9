#include "vmm/machine/vcpu_thread.h"

#include <pthread.h>

#include <cerrno>
#include <csignal>

namespace hearth::vmm {
namespace {

int KickSignal() {
    return SIGRTMIN;
}

}  // namespace

Status VcpuThread::InstallKickHandler() {
    struct sigaction action = {};
    // Nothing to do: the signal's coming is what ends KVM_RUN. No SA_RESTART for that reason.
    action.sa_handler = [](int) {};
    if (::sigaction(KickSignal(), &action, nullptr) != 0) {
        return errors::System("sigaction", errno);
    }
    return {};
}

VcpuThread::VcpuThread(Vcpu vcpu, const Bus& ports, const Bus& mmio, Hooks hooks)
    : vcpu_(std::move(vcpu)), ports_(ports), mmio_(mmio), hooks_(std::move(hooks)) {}

VcpuThread::~VcpuThread() {
    RequestStop();
    Join();
}

Status VcpuThread::Start() {
    thread_ = std::thread([this] { Main(); });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return state_ != State::kNew; });
    return setup_;
}

void VcpuThread::RequestRun() {
    Request(Wish::kRun);
}

void VcpuThread::RequestPause() {
    Request(Wish::kPause);
}

void VcpuThread::RequestStop() {
    Request(Wish::kStop);
}

void VcpuThread::Request(Wish wish) {
    const std::lock_guard lock(mutex_);
    if (wish_ == Wish::kStop) {
        return;
    }
    wish_ = wish;
    if (state_ == State::kRunning) {
        // Flag first, signal second: whichever the thread meets makes it look.
        vcpu_.RequestInterrupt();
        ::pthread_kill(thread_.native_handle(), KickSignal());
    }
    changed_.notify_all();
}

void VcpuThread::AwaitPaused() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return state_ == State::kPaused || state_ == State::kDone; });
}

void VcpuThread::Join() {
    if (thread_.joinable()) {
        thread_.join();
    }
}

void VcpuThread::Enter(State state) {
    state_ = state;
    changed_.notify_all();
}

bool VcpuThread::ObeyWish() {
    std::unique_lock lock(mutex_);
    vcpu_.ClearInterrupt();
    if (wish_ == Wish::kPause) {
        vcpu_.CompleteAccess();
        vcpu_.TellPaused();
        Enter(State::kPaused);
        changed_.wait(lock, [this] { return wish_ != Wish::kPause; });
    }
    if (wish_ == Wish::kStop) {
        return false;
    }
    Enter(State::kRunning);
    return true;
}

void VcpuThread::Main() {
    ::pthread_setname_np(::pthread_self(), fmt::format("fc_vcpu {}", vcpu_.id()).c_str());
    Status setup = hooks_.before_guest ? hooks_.before_guest() : Status();
    {
        std::unique_lock lock(mutex_);
        setup_ = std::move(setup);
        if (!setup_.ok()) {
            Enter(State::kDone);
            return;
        }
        // Nothing has run: there is no access to complete.
        Enter(State::kPaused);
        changed_.wait(lock, [this] { return wish_ != Wish::kPause; });
        if (wish_ == Wish::kStop) {
            Enter(State::kDone);
            return;
        }
        Enter(State::kRunning);
    }
    if (hooks_.first_run) {
        hooks_.first_run();
    }
    bool has_ended = false;
    while (!has_ended) {
        switch (vcpu_.Run(ports_, mmio_, counts_)) {
            case Vcpu::Step::kHandled:
                break;
            case Vcpu::Step::kInterrupted:
                has_ended = !ObeyWish();
                break;
            case Vcpu::Step::kHalted:
                hooks_.ended({.is_guests = true, .reason = "halted for ever"});
                has_ended = true;
                break;
            case Vcpu::Step::kShutdown:
                hooks_.ended({.is_guests = true, .reason = vcpu_.failure()});
                has_ended = true;
                break;
            case Vcpu::Step::kFailed:
                hooks_.ended({.is_guests = false, .reason = vcpu_.failure()});
                has_ended = true;
                break;
        }
    }
    const std::lock_guard lock(mutex_);
    Enter(State::kDone);
}

}  // namespace hearth::vmm
