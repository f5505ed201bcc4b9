#pragma once

#include <boost/asio/awaitable.hpp>

namespace hearth {

// A coroutine. Straight-line code; a Task is awaited by exactly one owner (STYLE: structured).
template <class T>
using Task = boost::asio::awaitable<T>;

}  // namespace hearth
