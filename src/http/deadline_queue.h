#pragma once

#include "rt/timer.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <list>

namespace hearth::http {

// Time limits of many connections over one timer of their loop.
//
// Every kind of limit has one length, so each kind is a list in order of expiry: arming moves a
// list node to its end and touches the timer only when this became the earliest of all. A request
// costs no system call here, and without armed entries nothing ever fires.
class DeadlineQueue final {
  public:
    using Clock = std::chrono::steady_clock;

    enum Kind : size_t { kHead, kBody, kKeepAlive, kLinger, kKinds };

    // Something with a time limit. Remove it before it goes away.
    class Entry {
      public:
        virtual ~Entry() = default;

      private:
        friend class DeadlineQueue;

        // The limit has passed; the entry is disarmed.
        virtual void Expired(Kind kind) = 0;

        std::list<Entry*>::iterator place_;
        Clock::time_point deadline_;
        Kind kind_ = kKinds;
    };

    explicit DeadlineQueue(std::array<Clock::duration, kKinds> limits);

    // Gives the entry its list node before the first Arm, and takes it back after the last.
    void Add(Entry& entry);
    void Remove(Entry& entry);

    // Replaces what was armed for the entry before.
    void Arm(Entry& entry, Kind kind);
    void Disarm(Entry& entry);

  private:
    void OnTimer();
    void ArmTimer(Clock::time_point deadline);

    std::array<Clock::duration, kKinds> limits_;
    // One list per kind, and the nodes of entries that are not armed.
    std::array<std::list<Entry*>, kKinds + 1> lists_;
    rt::Timer timer_;
    Clock::time_point timer_deadline_ = Clock::time_point::max();
};

}  // namespace hearth::http
