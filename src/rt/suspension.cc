#include "rt/suspension.h"

#include "base/check.h"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <new>
#include <utility>

namespace hearth::rt {

namespace asio = boost::asio;

namespace {

using Handler = asio::async_result<asio::use_awaitable_t<>, void(bool)>::handler_type;

}  // namespace

// Keeps Asio's handler type out of the header.
struct Suspension::Access {
    static_assert(sizeof(Handler) <= sizeof(Suspension::handler_));
    static_assert(alignof(Handler) <= alignof(std::max_align_t));

    static Handler& Of(Suspension& suspension) {
        return *std::launder(reinterpret_cast<Handler*>(suspension.handler_));
    }

    static void Put(Suspension& suspension, Handler&& handler) {
        new (suspension.handler_) Handler(std::move(handler));
        suspension.has_handler_ = true;
    }

    static Handler Take(Suspension& suspension) {
        CHECK(suspension.has_handler_);
        Handler handler = std::move(Of(suspension));
        Of(suspension).~Handler();
        suspension.has_handler_ = false;
        return handler;
    }
};

Suspension::~Suspension() {
    if (has_handler_) {
        Access::Of(*this).~Handler();
    }
}

Task<bool> Suspension::Wait() {
    return asio::async_initiate<const asio::use_awaitable_t<>, void(bool)>(
        [this](auto handler) {
            const auto slot = asio::get_associated_cancellation_slot(handler);
            Access::Put(*this, std::move(handler));
            if (slot.is_connected()) {
                auto in_slot = slot;
                in_slot.assign([this](asio::cancellation_type type) {
                    if ((type & asio::cancellation_type::terminal) !=
                        asio::cancellation_type::none) {
                        Finish(false);
                    }
                });
            }
            Started();
        },
        asio::use_awaitable);
}

bool Suspension::Wake() {
    return Finish(true);
}

bool Suspension::Finish(bool woken) {
    if (claimed_.exchange(true)) {
        return false;
    }
    if (!woken) {
        Cancelled();
    }
    Handler handler = Access::Take(*this);
    const auto executor = handler.get_executor();
    asio::post(executor, [handler = std::move(handler), woken]() mutable {
        // The slot is touched on the coroutine's own loop only.
        auto slot = asio::get_associated_cancellation_slot(handler);
        if (slot.is_connected()) {
            slot.clear();
        }
        std::move(handler)(woken);
    });
    return true;
}

namespace internal {

void ThrowCancelled() {
    throw boost::system::system_error(asio::error::operation_aborted, "cancelled");
}

}  // namespace internal
}  // namespace hearth::rt
