#include "rt/loops.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <pthread.h>

#include <string>

namespace hearth::rt {

namespace asio = boost::asio;

namespace {

constexpr int kLoopsMax = 256;
// One thread runs each context; Asio then keeps a private queue for what the loop posts to itself.
constexpr int kConcurrencyHint = 1;

thread_local Loop current_loop;

// Names the loop of this thread for as long as it lives.
class CurrentLoopScope final {
  public:
    CurrentLoopScope(asio::io_context& context, int index) : before_(current_loop) {
        current_loop = Loop{&context, index};
    }

    ~CurrentLoopScope() { current_loop = before_; }

    CurrentLoopScope(const CurrentLoopScope&) = delete;

  private:
    Loop before_;
};

Task<void> CallAndRun(std::function<Task<void>()> make) {
    // `make` is a parameter: it lives in this frame until its task has ended.
    co_await make();
}

}  // namespace

const Loop& CurrentLoop() {
    CHECK(current_loop.context != nullptr, "not on a loop thread");
    return current_loop;
}

bool OnALoop() {
    return current_loop.context != nullptr;
}

int CurrentIndex() {
    return OnALoop() ? current_loop.index : -1;
}

struct Loops::State {
    asio::io_context context{kConcurrencyHint};
    asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
    std::thread thread;
};

Loops::Loops(int count) {
    CHECK(count >= 1 && count <= kLoopsMax, "{} loops", count);
    for (int index = 0; index < count; ++index) {
        loops_.push_back(std::make_unique<State>());
    }
    for (int index = 0; index < count; ++index) {
        State& state = *loops_[index];
        state.thread = std::thread([&state, index] {
            const CurrentLoopScope scope(state.context, index);
            pthread_setname_np(pthread_self(), ("loop-" + std::to_string(index)).c_str());
            state.context.run();
        });
    }
}

Loops::~Loops() {
    Stop();
}

asio::io_context& Loops::context(int index) {
    CHECK(index >= 0 && index < size(), "loop {} of {}", index, size());
    return loops_[index]->context;
}

void Loops::Post(int index, std::function<void()> function) {
    asio::post(context(index), std::move(function));
}

void Loops::Stop() {
    CHECK(!OnALoop(), "a loop cannot join itself");
    for (const auto& state : loops_) {
        state->work.reset();
        state->context.stop();
    }
    for (const auto& state : loops_) {
        if (state->thread.joinable()) {
            state->thread.join();
        }
    }
}

namespace internal {

void Start(
    asio::io_context& context, Task<void> task, std::function<void(std::exception_ptr)> done) {
    asio::co_spawn(context, std::move(task), std::move(done));
}

void RunUntil(const bool& done, const std::function<void(asio::io_context&)>& start) {
    asio::io_context context(kConcurrencyHint);
    const CurrentLoopScope scope(context, 0);
    const auto work = asio::make_work_guard(context);
    start(context);
    while (!done) {
        context.run_one();
    }
    // What the task left behind as ready, such as aborted timers, ends here.
    context.poll();
}

Task<std::exception_ptr> Hop(Loops& loops, int index, std::function<Task<void>()> make) {
    const auto [thrown] = co_await asio::co_spawn(
        loops.context(index), CallAndRun(std::move(make)), asio::as_tuple(asio::use_awaitable));
    co_return thrown;
}

}  // namespace internal

Task<void> Yield() {
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

}  // namespace hearth::rt
