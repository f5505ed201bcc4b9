#pragma once

#include "base/result.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// What an extension asks for with PUT /2022-07-01/telemetry or /2020-08-15/logs: hostile bytes to a
// checked value. Source: "Telemetry API reference" and "Lambda Logs API",
// docs.aws.amazon.com/lambda/latest/dg.
namespace hearth::lambda {

enum class TelemetryStream : uint8_t { kPlatform, kFunction, kExtension };

enum class TelemetrySchema {
    kLogs20200815,
    kLogs20210318,
    kTelemetry20220701,
    kTelemetry20221213,
    kTelemetry20250129,
};

struct TelemetrySubscription {
    TelemetrySchema schema = TelemetrySchema::kTelemetry20220701;
    // By TelemetryStream.
    std::array<bool, 3> streams{};
    // As they were given.
    std::vector<std::string> types;
    // Newline-delimited JSON to a TCP port, else HTTP.
    bool tcp = false;
    uint16_t port = 0;
    std::string method = "POST";
    std::string host = "sandbox.localdomain";
    std::string path = "/";
    size_t items_max = 10'000;
    size_t bytes_max = 262'144;
    std::chrono::milliseconds timeout{1000};

    bool logs_api() const { return schema <= TelemetrySchema::kLogs20210318; }

    bool Wants(TelemetryStream stream) const { return streams[static_cast<size_t>(stream)]; }

    bool operator==(const TelemetrySubscription&) const = default;
};

//   errors  Malformed, with all that is wrong: "URI port is not provided; types should not be
//   empty"
Result<TelemetrySubscription> ParseTelemetrySubscription(bool logs_api, std::string_view body);

}  // namespace hearth::lambda
