#pragma once

#include "base/clock.h"
#include "services/lambda/async_event.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// What destinations get to see of an asynchronous invocation. Pure.
// Source: Lambda Developer Guide, "Capturing records of Lambda asynchronous invocations"; details
// that it leaves open as recorded from AWS by the tests of other projects.
namespace hearth::lambda {

// What the function answered, or why it did not run. Nothing of it: it was never tried.
struct AsyncResponse {
    int32_t status_code = 200;
    std::string executed_version;
    // "Unhandled", or empty.
    std::string function_error;
    std::string payload;
};

struct AsyncRecord {
    CloudClock::time_point now;
    std::string_view condition;
    int32_t invoke_count = 0;
    std::optional<AsyncResponse> response;
};

// The record as JSON.
std::string InvocationRecord(const AsyncEvent& event, const AsyncRecord& record);

// aws/lambda/async/<function>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<uuid>
std::string RecordObjectKey(
    std::string_view function, CloudClock::time_point now, std::string_view uuid);

// Of an error's JSON: its errorMessage, at most 1 KB of it, valid UTF-8. Empty when there is none.
std::string ErrorMessageOf(std::string_view payload);

}  // namespace hearth::lambda
