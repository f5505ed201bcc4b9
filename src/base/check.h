#pragma once

#include <fmt/format.h>

#include <source_location>
#include <stdexcept>
#include <string>

namespace hearth {

// Prints the failed condition with its place and aborts.
[[noreturn]] void CheckFailed(
    const char* condition, const std::string& context, std::source_location where);

// Our bug, limited to one request: thrown by CHECK_REQUEST, caught by the dispatcher alone.
class RequestBug final : public std::logic_error {
  public:
    using std::logic_error::logic_error;
};

[[noreturn]] void CheckRequestFailed(
    const char* condition, const std::string& context, std::source_location where);

}  // namespace hearth

// State that could corrupt stored data or cross a tenant boundary: aborts in all build types.
//   CHECK(page_bytes <= kPageBytesMax, "page of {} bytes", page_bytes);
#define CHECK(condition, ...)                                                                \
    do {                                                                                     \
        if (!(condition)) [[unlikely]] {                                                     \
            ::hearth::CheckFailed(                                                           \
                #condition, ::fmt::format("" __VA_ARGS__), std::source_location::current()); \
        }                                                                                    \
    } while (false)

// A bug whose harm ends with the request: throws RequestBug; the client gets InternalFailure.
#define CHECK_REQUEST(condition, ...)                                                        \
    do {                                                                                     \
        if (!(condition)) [[unlikely]] {                                                     \
            ::hearth::CheckRequestFailed(                                                    \
                #condition, ::fmt::format("" __VA_ARGS__), std::source_location::current()); \
        }                                                                                    \
    } while (false)
