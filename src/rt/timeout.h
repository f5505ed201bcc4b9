#pragma once

#include "base/result.h"
#include "rt/loops.h"
#include "rt/task.h"

#include <chrono>
#include <exception>
#include <optional>
#include <utility>

namespace hearth::rt {

namespace internal {
// True: the task ran to its end in time. Rethrows what it threw, unless the time was up.
Task<bool> RunWithTimeout(Task<void> task, std::chrono::nanoseconds duration);
}  // namespace internal

// Runs `task`, cancels it when `duration` has passed, and waits until it has really ended. nullopt
// when it was cancelled. Cancelling makes the task's current wait throw, which unwinds it; a wait
// in RunOn or BlockingPool is waited for. Where only one event is awaited, Event::WaitUntil and
// Completion::WaitUntil are simpler and cheaper.
template <class T>
    requires(!std::is_void_v<T>)
Task<std::optional<T>> WithTimeout(Task<T> task, std::chrono::nanoseconds duration) {
    internal::Slot<T> slot;
    co_await internal::RunWithTimeout(internal::FillSlotFrom<T>(std::move(task), slot), duration);
    co_return std::move(slot);
}

// As above; false when it was cancelled.
inline Task<bool> WithTimeout(Task<void> task, std::chrono::nanoseconds duration) {
    return internal::RunWithTimeout(std::move(task), duration);
}

}  // namespace hearth::rt
