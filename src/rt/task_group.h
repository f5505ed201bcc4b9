#pragma once

#include "rt/loops.h"
#include "rt/task.h"

#include <boost/asio/this_coro.hpp>

#include <exception>
#include <functional>
#include <list>
#include <type_traits>
#include <utility>

namespace hearth::rt {

// The children of one frame, or the background tasks of one object. Nobody returns while a child
// still runs: `co_await group.Join()` comes before every return. All on one loop.
//
//   TaskGroup group;
//   for (auto& entry : entries) group.Spawn(Send(entry));
//   co_await group.Join();
class TaskGroup final {
  public:
    TaskGroup() = default;
    // CHECKs that no child is left.
    ~TaskGroup();

    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;

    // Starts a child on the loop of this thread; it runs after the caller's next suspension.
    // References it was given must live until Join. A child that throws is logged; Join throws that
    // again.
    void Spawn(Task<void> task);

    // As above from a callable, which is kept until its task has ended, so a lambda may capture.
    template <class F>
        requires std::is_invocable_r_v<Task<void>, F&>
    void Spawn(F function) {
        Spawn(Own(std::move(function)));
    }

    size_t size() const { return children_.size(); }

    // Waits until no child is left. A cancelled joiner cancels the
    // children and waits for them all the same.
    Task<void> Join();

    // Asks all children to end: their waits throw and unwind them. A child in RunOn or BlockingPool
    // ends when that has ended. Children spawned later are not affected.
    void Cancel();

  private:
    struct Child;
    class Joining;

    template <class F>
    static Task<void> Own(F function) {
        co_await function();
    }

    std::list<Child*> children_;
    std::list<Joining*> joining_;
    std::exception_ptr thrown_;
};

// Runs `body(group)` and joins the group whichever way the body ends, an exception included.
template <class F>
auto WithTaskGroup(F body) -> Task<typename std::invoke_result_t<F&, TaskGroup&>::value_type> {
    using T = typename std::invoke_result_t<F&, TaskGroup&>::value_type;
    TaskGroup group;
    internal::Slot<T> slot;
    std::exception_ptr thrown;
    try {
        if constexpr (std::is_void_v<T>) {
            co_await body(group);
        } else {
            slot.emplace(co_await body(group));
        }
    } catch (...) {
        thrown = std::current_exception();
        group.Cancel();
    }
    // A cancelled frame throws at its next await; this one has to be reached.
    const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
    co_await boost::asio::this_coro::throw_if_cancelled(false);
    co_await group.Join();
    co_await boost::asio::this_coro::throw_if_cancelled(throws);
    if (thrown) {
        std::rethrow_exception(thrown);
    }
    if constexpr (!std::is_void_v<T>) {
        co_return *std::move(slot);
    }
}

}  // namespace hearth::rt
