#include "base/check.h"
#include "services/lambda/telemetry_client.h"
#include "services/lambda/telemetry_subscription.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

// Any bytes end in a subscription within the limits, or in a refusal with a text; and any bytes of
// a subscriber's answer end in a status of three digits, in none, or in a wish for more.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using hearth::lambda::ParseAnswerStatus;
    using hearth::lambda::ParseTelemetrySubscription;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const bool logs_api : {false, true}) {
        const auto parsed = ParseTelemetrySubscription(logs_api, text);
        if (!parsed.ok()) {
            CHECK(!parsed.error().message().empty(), "a refusal without a text");
            continue;
        }
        CHECK(parsed->logs_api() == logs_api);
        CHECK(!parsed->types.empty() && parsed->types.size() <= 3);
        CHECK(parsed->port != 0 && parsed->port != 9001);
        CHECK(parsed->items_max >= 1000 && parsed->items_max <= 10'000);
        CHECK(parsed->bytes_max >= 262'144 && parsed->bytes_max <= 1'048'576);
        CHECK(parsed->timeout.count() >= 25 && parsed->timeout.count() <= 30'000);
        CHECK(parsed->path.starts_with('/'));
        CHECK(parsed->path.find_first_of("\r\n ") == std::string::npos, "the path ends its line");
    }
    const auto status = ParseAnswerStatus(text);
    CHECK(!status.has_value() || (*status >= 0 && *status <= 999));
    // More bytes never change a verdict.
    if (size > 0) {
        const auto before = ParseAnswerStatus(text.substr(0, size - 1));
        CHECK(!before.has_value() || before == status);
    }
    return 0;
}
