#include "rt/timer.h"

#include "rt/loops.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

namespace hearth::rt {

namespace asio = boost::asio;

Task<void> Sleep(std::chrono::nanoseconds duration) {
    return SleepUntil(
        std::chrono::steady_clock::now() +
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(duration));
}

Task<void> SleepUntil(std::chrono::steady_clock::time_point when) {
    asio::steady_timer timer(co_await asio::this_coro::executor, when);
    co_await timer.async_wait(asio::use_awaitable);
}

struct Timer::State {
    State(asio::io_context& context, std::function<void()> function)
        : timer(context), callback(std::move(function)) {}

    asio::steady_timer timer;
    std::function<void()> callback;
    // Grows with every arming; an expiry that was already queued sees that it is an old one.
    uint64_t generation = 0;
    bool armed = false;
};

Timer::Timer(std::function<void()> callback)
    : state_(std::make_shared<State>(*CurrentLoop().context, std::move(callback))) {}

Timer::~Timer() {
    Cancel();
}

void Timer::ArmAt(std::chrono::steady_clock::time_point when) {
    const uint64_t generation = ++state_->generation;
    state_->armed = true;
    state_->timer.expires_at(when);
    state_->timer.async_wait([state = state_, generation](const boost::system::error_code&) {
        if (state->generation == generation && state->armed) {
            state->armed = false;
            state->callback();
        }
    });
}

void Timer::ArmIn(std::chrono::nanoseconds duration) {
    ArmAt(
        std::chrono::steady_clock::now() +
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(duration));
}

void Timer::Cancel() {
    ++state_->generation;
    if (state_->armed) {
        state_->armed = false;
        state_->timer.cancel();
    }
}

bool Timer::armed() const {
    return state_->armed;
}

}  // namespace hearth::rt
