#pragma once

#include "base/ids.h"
#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::lambda {

// One asynchronous invocation while it waits: what a delivery of the courier carries
// (async_invocations.h).
struct AsyncEvent {
    AccountId account;
    Region region;
    std::string name;
    // As the caller gave it; empty: none. Aliases are resolved at each attempt.
    std::string qualifier;
    // FunctionHead::id: events of a deleted function are not those of its successor.
    std::string function_id;
    // The same at each attempt.
    std::string request_id;
    std::string payload;
    std::string client_context;
    std::string trace_header;
    // How often the function has run in this chain before (recursion.h).
    int32_t recursions = 0;
    // Attempts that ended in the function's own error.
    int32_t failures = 0;
};

std::string EncodeAsyncEvent(const AsyncEvent& event);
Result<AsyncEvent> DecodeAsyncEvent(std::string_view bytes);

// A record or a dead letter on its way to a destination.
struct AsyncReport {
    AccountId account;
    Region region;
    std::string function_arn;
    std::string role_arn;
    std::string target_arn;
    std::string body;
    // Of a dead letter; a record has none.
    bool dead_letter = false;
    std::string request_id;
    int32_t error_code = 0;
    std::string error_message;
    std::string trace_header;
    // Where the target is a bucket.
    std::string object_key;
};

std::string EncodeAsyncReport(const AsyncReport& report);
Result<AsyncReport> DecodeAsyncReport(std::string_view bytes);

}  // namespace hearth::lambda
