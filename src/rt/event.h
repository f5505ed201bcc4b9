#pragma once

#include "rt/task.h"

#include <chrono>
#include <cstddef>
#include <list>

namespace hearth::rt {

class EventWait;

// A flag that coroutines wait for. Set wakes all of them; it stays set until Reset. Everything on
// one loop; to signal from another thread use a Completion, or Loops::Post a call of Set.
class Event final {
  public:
    Event() = default;
    // Nobody may wait any more.
    ~Event();

    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

    void Set();

    void Reset() { set_ = false; }

    bool is_set() const { return set_; }

    size_t waiters() const { return waits_.size(); }

    // Wakes who waits now and leaves the flag as it is: a hint that something changed.
    void WakeAll();

    // Returns when the event is set (at once when it is), or was woken by WakeAll.
    Task<void> Wait();
    // As Wait, at most until `deadline`. False when that came first.
    Task<bool> WaitUntil(std::chrono::steady_clock::time_point deadline);
    Task<bool> WaitFor(std::chrono::nanoseconds duration);

  private:
    friend class EventWait;

    bool set_ = false;
    std::list<EventWait*> waits_;
};

}  // namespace hearth::rt
