#include "rt/event.h"

#include "base/check.h"
#include "rt/suspension.h"
#include "rt/timer.h"

#include <optional>
#include <utility>

namespace hearth::rt {

class EventWait final : public Suspension {
  public:
    explicit EventWait(Event& event) : event_(event) {}

    ~EventWait() override { CHECK(!linked_, "a wait for an event ended without leaving its list"); }

    // Takes it out of the list; false when it was out.
    bool Unlink() {
        if (!linked_) {
            return false;
        }
        linked_ = false;
        event_.waits_.erase(place_);
        return true;
    }

  private:
    friend class Event;

    void Started() override {
        place_ = event_.waits_.insert(event_.waits_.end(), this), linked_ = true;
    }

    void Cancelled() override { Unlink(); }

    Event& event_;
    std::list<EventWait*>::iterator place_;
    bool linked_ = false;
};

Event::~Event() {
    CHECK(waits_.empty(), "an event destroyed under {} waiters", waits_.size());
}

void Event::Set() {
    set_ = true;
    WakeAll();
}

void Event::WakeAll() {
    while (!waits_.empty()) {
        EventWait* const wait = waits_.front();
        wait->Unlink();
        wait->Wake();
    }
}

Task<void> Event::Wait() {
    if (set_) {
        co_return;
    }
    EventWait wait(*this);
    if (!co_await wait.Wait()) {
        internal::ThrowCancelled();
    }
}

Task<bool> Event::WaitUntil(std::chrono::steady_clock::time_point deadline) {
    if (set_) {
        co_return true;
    }
    EventWait wait(*this);
    bool in_time = true;
    Timer timer([&] {
        if (wait.Unlink()) {
            in_time = false;
            wait.Wake();
        }
    });
    timer.ArmAt(deadline);
    if (!co_await wait.Wait()) {
        internal::ThrowCancelled();
    }
    co_return in_time;
}

Task<bool> Event::WaitFor(std::chrono::nanoseconds duration) {
    return WaitUntil(
        std::chrono::steady_clock::now() +
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(duration));
}

}  // namespace hearth::rt
