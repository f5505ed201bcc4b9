#pragma once

#include "rt/task.h"

#include <atomic>
#include <cstddef>

namespace hearth::rt {

// One coroutine's one wait for a call from elsewhere: what Event, Completion and the others are
// made of, so that the delicate part exists once.
//
// The object lives in the waiting coroutine's frame. Exactly one of Wake and the cancellation wins;
// the coroutine goes on afterwards, posted to its own loop, so nobody runs inside the waker.
class Suspension {
  public:
    Suspension() = default;
    Suspension(const Suspension&) = delete;
    Suspension& operator=(const Suspension&) = delete;

    // Suspends. True: woken; false: cancelled. Once per object.
    Task<bool> Wait();

    // Ends the wait, from any thread, once Started was called. False: something else had ended it.
    // After a true the object may be gone.
    bool Wake();

  protected:
    virtual ~Suspension();

    // Called when the coroutine is suspended, on its loop: from now on Wake may be called.
    virtual void Started() = 0;
    // The wait has ended by cancellation; take the object out of every list. On its loop.
    virtual void Cancelled() = 0;

  private:
    struct Access;

    bool Finish(bool woken);

    std::atomic<bool> claimed_{false};
    // The suspended coroutine, an Asio handler kept in place.
    alignas(std::max_align_t) std::byte handler_[96];
    bool has_handler_ = false;
};

namespace internal {
// What a coroutine sees when its group or time limit cancelled it: unwinds it.
[[noreturn]] void ThrowCancelled();
}  // namespace internal

}  // namespace hearth::rt
