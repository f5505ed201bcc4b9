#pragma once

#include "rt/completion.h"
#include "rt/loops.h"
#include "rt/task.h"

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace hearth::rt {

// Threads for what blocks: file reads, zip, a call into a library. A loop never blocks.
//
// Threads start on demand, up to a limit, and end after a while without work, so an idle process
// has none. The queue is first in, first out; what bounds it is the gateway's admission of
// requests.
class BlockingPool final {
  public:
    struct Options {
        int threads_max = 8;
        std::chrono::milliseconds idle_timeout{10'000};
        // Shows in the threads' names.
        std::string name = "blocking";
    };

    explicit BlockingPool(Options options);
    // Runs what is queued and joins.
    ~BlockingPool();

    BlockingPool(const BlockingPool&) = delete;
    BlockingPool& operator=(const BlockingPool&) = delete;

    // Calls `function` on a pool thread and comes back to this loop with what it returned or threw.
    // The callable lives until then, so a lambda may capture. Not cancellable: it ends when
    // `function` does.
    template <class F>
    auto Run(F function) -> Task<std::invoke_result_t<F&>> {
        using T = std::invoke_result_t<F&>;
        internal::Slot<T> slot;
        std::exception_ptr thrown;
        co_await RunErased([&] {
            try {
                if constexpr (std::is_void_v<T>) {
                    function();
                } else {
                    slot.emplace(function());
                }
            } catch (...) {
                thrown = std::current_exception();
            }
        });
        if (thrown) {
            std::rethrow_exception(thrown);
        }
        if constexpr (!std::is_void_v<T>) {
            co_return *std::move(slot);
        }
    }

    // Queues `function` without waiting for it, from any thread. It must not throw.
    void Post(std::function<void()> function);

    // Waiting for a thread now, and threads alive now; for metrics.
    size_t queued() const;
    int threads() const;

  private:
    struct State;

    Task<void> RunErased(std::function<void()> function);

    std::shared_ptr<State> state_;
};

}  // namespace hearth::rt
