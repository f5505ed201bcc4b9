#pragma once

#include "base/check.h"
#include "rt/task.h"

#include <atomic>
#include <chrono>
#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <semaphore>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace boost::asio {
class io_context;
}

// Event loops: N threads, each with its own queue and its own descriptors.
//
// A coroutine stays on the loop that started it; RunOn is the one way to another. What a loop owns
// (events, groups, timers, connections) is touched on that loop alone and so needs no locks. A loop
// without work sleeps in the kernel: nothing in rt fires a timer that nobody set.
namespace hearth::rt {

// One loop's place in the world. Everything in rt that suspends uses the loop it is called on.
struct Loop {
    boost::asio::io_context* context = nullptr;
    // Position in its Loops; 0 for the loop of RunTask.
    int index = 0;
};

// The loop of this thread; CHECKs that there is one.
const Loop& CurrentLoop();
bool OnALoop();
// Position of this thread's loop in its Loops; -1 outside of any loop.
int CurrentIndex();

class Loops final {
  public:
    // Starts `count` threads (1 .. 256).
    explicit Loops(int count);
    // Stops and joins. All work must have ended before: coroutines still suspended are a bug.
    ~Loops();

    Loops(const Loops&) = delete;
    Loops& operator=(const Loops&) = delete;

    int size() const { return static_cast<int>(loops_.size()); }

    // The place of work that belongs to `hash`: a shard.
    int IndexOf(size_t hash) const { return static_cast<int>(hash % loops_.size()); }

    // For rt and http.
    boost::asio::io_context& context(int index);

    // Runs `function` on a loop, from any thread; does not wait.
    void Post(int index, std::function<void()> function);

    // Ends the threads, as the destructor does. Not from a loop.
    void Stop();

  private:
    struct State;

    std::vector<std::unique_ptr<State>> loops_;
};

namespace internal {

// Starts a coroutine on a loop; `done` gets what it threw, or null. The only detached start there
// is.
void Start(
    boost::asio::io_context& context,
    Task<void> task,
    std::function<void(std::exception_ptr)> done);
// Runs a loop on this thread until `done` is true.
void RunUntil(const bool& done, const std::function<void(boost::asio::io_context&)>& start);

// Starts `make` on the loop `index`, and comes back to the caller's loop with what it threw.
Task<std::exception_ptr> Hop(Loops& loops, int index, std::function<Task<void>()> make);

template <class T>
using Slot = std::conditional_t<std::is_void_v<T>, std::monostate, std::optional<T>>;

template <class F>
using TaskValueOf = typename std::invoke_result_t<F&>::value_type;

template <class F, class T>
Task<void> FillSlot(F& function, Slot<T>& slot) {
    if constexpr (std::is_void_v<T>) {
        co_await function();
    } else {
        slot.emplace(co_await function());
    }
}

template <class T>
Task<void> FillSlotFrom(Task<T> task, Slot<T>& slot) {
    if constexpr (std::is_void_v<T>) {
        co_await std::move(task);
    } else {
        slot.emplace(co_await std::move(task));
    }
}

}  // namespace internal

// Runs `function` (a callable returning a Task) on the loop `index` and comes back with its value.
// On that loop already, it is called at once. The callable lives until its task has ended, so here
// a lambda may capture. Exceptions come back, too.
//   auto answer = co_await RunOn(loops, shard, [&] { return queue.Receive(limit); });
template <class F>
auto RunOn(Loops& loops, int index, F function) -> Task<internal::TaskValueOf<F>> {
    using T = internal::TaskValueOf<F>;
    if (OnALoop() && CurrentLoop().context == &loops.context(index)) {
        co_return co_await function();
    }
    internal::Slot<T> slot;
    const std::exception_ptr thrown =
        co_await internal::Hop(loops, index, [&function, &slot]() -> Task<void> {
            return internal::FillSlot<F, T>(function, slot);
        });
    if (thrown) {
        std::rethrow_exception(thrown);
    }
    if constexpr (!std::is_void_v<T>) {
        co_return *std::move(slot);
    }
}

// Runs `function` (returning a Task) on a loop and blocks this thread, which is not a loop, until
// it has ended. For main() and tests.
template <class F>
auto BlockOn(Loops& loops, int index, F function) -> internal::TaskValueOf<F> {
    using T = internal::TaskValueOf<F>;
    CHECK(!OnALoop(), "BlockOn would block a loop");
    internal::Slot<T> slot;
    std::exception_ptr thrown;
    std::binary_semaphore ended(0);
    loops.Post(index, [&] {
        internal::Start(
            loops.context(index),
            internal::FillSlot<F, T>(function, slot),
            [&](std::exception_ptr exception) {
                thrown = exception;
                ended.release();
            });
    });
    ended.acquire();
    if (thrown) {
        std::rethrow_exception(thrown);
    }
    if constexpr (!std::is_void_v<T>) {
        return *std::move(slot);
    }
}

// Runs one task to its end on a loop made for it, on this thread. For tests and small programs.
template <class T>
T RunTask(Task<T> task) {
    internal::Slot<T> slot;
    std::exception_ptr thrown;
    bool done = false;
    internal::RunUntil(done, [&](boost::asio::io_context& context) {
        internal::Start(
            context,
            internal::FillSlotFrom<T>(std::move(task), slot),
            [&](std::exception_ptr exception) {
                thrown = exception;
                done = true;
            });
    });
    if (thrown) {
        std::rethrow_exception(thrown);
    }
    if constexpr (!std::is_void_v<T>) {
        return *std::move(slot);
    }
}

// Lets everything else that is ready on this loop run first. For loops over user-sized data.
Task<void> Yield();

}  // namespace hearth::rt
