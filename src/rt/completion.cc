#include "rt/completion.h"

#include "rt/timer.h"

namespace hearth::rt::internal {

class Latch::Waiting final : public Suspension {
  public:
    explicit Waiting(Latch& latch) : latch_(latch) {}

    ~Waiting() override = default;

    // Takes it off the latch; false when Set was first.
    bool Unlink() {
        const std::lock_guard lock(latch_.mutex_);
        if (latch_.waiting_ != this) {
            return false;
        }
        latch_.waiting_ = nullptr;
        return true;
    }

  private:
    void Started() override {
        const std::lock_guard lock(latch_.mutex_);
        if (latch_.set_) {
            Wake();
        } else {
            latch_.waiting_ = this;
        }
    }

    void Cancelled() override { Unlink(); }

    Latch& latch_;
};

Latch::~Latch() {
    const std::lock_guard lock(mutex_);
    CHECK(waiting_ == nullptr, "a completion destroyed under its waiter");
}

bool Latch::Set() {
    const std::lock_guard lock(mutex_);
    if (set_) {
        return false;
    }
    set_ = true;
    if (waiting_ != nullptr) {
        // Under the lock: a cancelled waiter passes through it before it goes away.
        std::exchange(waiting_, nullptr)->Wake();
    }
    return true;
}

bool Latch::is_set() const {
    const std::lock_guard lock(mutex_);
    return set_;
}

Task<bool> Latch::Wait(std::optional<std::chrono::steady_clock::time_point> deadline) {
    {
        const std::lock_guard lock(mutex_);
        if (set_) {
            co_return true;
        }
        CHECK(waiting_ == nullptr, "a second waiter for one completion");
    }
    Waiting waiting(*this);
    bool in_time = true;
    std::optional<Timer> timer;
    if (deadline.has_value()) {
        timer.emplace([&] {
            if (waiting.Unlink()) {
                in_time = false;
                waiting.Wake();
            }
        });
        timer->ArmAt(*deadline);
    }
    if (!co_await waiting.Wait()) {
        ThrowCancelled();
    }
    co_return in_time;
}

Task<void> Latch::WaitUncancelled() {
    Waiting waiting(*this);
    co_await waiting.Wait();
}

}  // namespace hearth::rt::internal
