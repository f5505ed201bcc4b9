#pragma once

#include "base/check.h"
#include "rt/task.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

namespace hearth::testing {

// Drives `task` to its end on a loop of its own and returns what it returns. An exception comes
// out.
//   const Result<Name> name = RunTask(store.Find("x"));
// The task must not outlive the statement's temporaries: pass named objects to coroutines that keep
// references.
template <class T>
T RunTask(Task<T> task) {
    boost::asio::io_context loop(1);
    std::exception_ptr failure;
    if constexpr (std::is_void_v<T>) {
        bool done = false;
        boost::asio::co_spawn(loop, std::move(task), [&](std::exception_ptr error) {
            failure = error;
            done = true;
        });
        loop.run();
        if (failure) {
            std::rethrow_exception(failure);
        }
        CHECK(done, "the task waits for something that nobody will do");
    } else {
        std::optional<T> value;
        // co_spawn wants to default-construct what a coroutine returns; a Result cannot be.
        auto keep = [](Task<T> inner, std::optional<T>& out) -> Task<void> {
            out.emplace(co_await std::move(inner));
        };
        boost::asio::co_spawn(
            loop, keep(std::move(task), value), [&](std::exception_ptr error) { failure = error; });
        loop.run();
        if (failure) {
            std::rethrow_exception(failure);
        }
        CHECK(value.has_value(), "the task waits for something that nobody will do");
        return *std::move(value);
    }
}

}  // namespace hearth::testing
