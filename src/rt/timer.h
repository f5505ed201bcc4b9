#pragma once

#include "rt/task.h"

#include <chrono>
#include <functional>
#include <memory>

namespace hearth::rt {

// Suspends for `duration` of real time. Logic that a test should be able to speed up asks its clock
// and flow/schedule instead.
Task<void> Sleep(std::chrono::nanoseconds duration);
Task<void> SleepUntil(std::chrono::steady_clock::time_point when);

// One callback at one time, on the loop that made the object; re-armed at will. Cheap to keep
// unarmed. Destroying or cancelling it on its loop guarantees that the callback does not come.
class Timer final {
  public:
    explicit Timer(std::function<void()> callback);
    ~Timer();

    Timer(Timer&&) = delete;

    // Replaces what was armed before.
    void ArmAt(std::chrono::steady_clock::time_point when);
    void ArmIn(std::chrono::nanoseconds duration);
    void Cancel();

    bool armed() const;

  private:
    struct State;

    std::shared_ptr<State> state_;
};

}  // namespace hearth::rt
