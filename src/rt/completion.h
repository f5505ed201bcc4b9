#pragma once

#include "base/check.h"
#include "rt/suspension.h"
#include "rt/task.h"

#include <chrono>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>

namespace hearth::rt {

namespace internal {

// The untyped half of a Completion: a flag set once from any thread, awaited by one coroutine.
class Latch final {
  public:
    Latch() = default;
    // Waits for a Set that is still running on another thread.
    ~Latch();

    Latch(const Latch&) = delete;
    Latch& operator=(const Latch&) = delete;

    // True: this call set it.
    bool Set();
    bool is_set() const;
    // False: `deadline` came first.
    Task<bool> Wait(std::optional<std::chrono::steady_clock::time_point> deadline);
    // Returns when it is set, or when the coroutine was cancelled; for waits that have to be taken
    // up again.
    Task<void> WaitUncancelled();

  private:
    class Waiting;

    mutable std::mutex mutex_;
    bool set_ = false;
    Waiting* waiting_ = nullptr;
};

}  // namespace internal

// One value, set once from any thread, awaited on a loop by one coroutine.
//
// The object must outlive both sides: it lives in the waiter's frame only where the setter is known
// to have finished when the wait ends; else share it (`std::make_shared<Completion<T>>()`). A value
// set twice keeps the first, so a time-out and an answer may race.
template <class T>
class Completion final {
  public:
    // False when there was a value already.
    bool Set(T value) {
        {
            const std::lock_guard lock(mutex_);
            if (value_.has_value()) {
                return false;
            }
            value_.emplace(std::move(value));
        }
        latch_.Set();
        return true;
    }

    bool is_set() const { return latch_.is_set(); }

    // The value, moved out. Once.
    Task<T> Wait() {
        co_await latch_.Wait(std::nullopt);
        co_return Take();
    }

    // The value, or nullopt when the deadline came first; then Wait may be called again.
    Task<std::optional<T>> WaitUntil(std::chrono::steady_clock::time_point deadline) {
        if (!co_await latch_.Wait(deadline)) {
            co_return std::nullopt;
        }
        co_return Take();
    }

    Task<std::optional<T>> WaitFor(std::chrono::nanoseconds duration) {
        return WaitUntil(
            std::chrono::steady_clock::now() +
            std::chrono::duration_cast<std::chrono::steady_clock::duration>(duration));
    }

  private:
    T Take() {
        const std::lock_guard lock(mutex_);
        CHECK(value_.has_value());
        return *std::move(value_);
    }

    std::mutex mutex_;
    std::optional<T> value_;
    internal::Latch latch_;
};

}  // namespace hearth::rt
