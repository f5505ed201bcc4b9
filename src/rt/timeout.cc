#include "rt/timeout.h"

#include "rt/completion.h"
#include "rt/timer.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <memory>

namespace hearth::rt::internal {

namespace asio = boost::asio;

Task<bool> RunWithTimeout(Task<void> task, std::chrono::nanoseconds duration) {
    asio::cancellation_signal signal;
    std::exception_ptr thrown;
    bool expired = false;
    Latch ended;
    Timer timer([&] {
        expired = true;
        signal.emit(asio::cancellation_type::terminal);
    });
    timer.ArmIn(duration);
    asio::co_spawn(
        *CurrentLoop().context,
        std::move(task),
        asio::bind_cancellation_slot(signal.slot(), [&](const std::exception_ptr& exception) {
            thrown = exception;
            ended.Set();
        }));
    // Whatever happens to this frame, the child's end is waited for: it writes into it.
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    while (!ended.is_set()) {
        co_await ended.WaitUncancelled();
        if (!ended.is_set()) {
            signal.emit(asio::cancellation_type::terminal);
        }
    }
    co_await asio::this_coro::throw_if_cancelled(throws);
    timer.Cancel();
    if (!thrown) {
        co_return true;
    }
    if (expired) {
        try {
            std::rethrow_exception(thrown);
        } catch (const boost::system::system_error& error) {
            if (error.code() == asio::error::operation_aborted) {
                co_return false;
            }
            throw;
        }
    }
    std::rethrow_exception(thrown);
}

}  // namespace hearth::rt::internal
