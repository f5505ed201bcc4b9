#include "services/lambda/telemetry_subscription.h"

#include "services/lambda/telemetry_client.h"

#include <gtest/gtest.h>

namespace hearth::lambda {
namespace {

constexpr std::string_view kWhole = R"({
    "schemaVersion": "2022-12-13",
    "types": ["function", "platform", "function"],
    "buffering": {"maxItems": 5000, "maxBytes": 300000, "timeoutMs": 25},
    "destination": {"protocol": "HTTP", "method": "PUT", "URI": "http://sandbox:8080/a?b#c"}})";

TEST(TelemetrySubscription, KeepsWhatWasAskedFor) {
    const auto parsed = ParseTelemetrySubscription(false, kWhole);
    ASSERT_TRUE(parsed.ok()) << parsed.error().message();
    EXPECT_EQ(parsed->schema, TelemetrySchema::kTelemetry20221213);
    EXPECT_EQ(parsed->types, (std::vector<std::string>{"function", "platform"}));
    EXPECT_TRUE(parsed->Wants(TelemetryStream::kPlatform));
    EXPECT_FALSE(parsed->Wants(TelemetryStream::kExtension));
    EXPECT_EQ(parsed->port, 8080);
    EXPECT_EQ(parsed->method, "PUT");
    EXPECT_EQ(parsed->host, "sandbox");
    EXPECT_EQ(parsed->path, "/a?b");
    EXPECT_EQ(parsed->items_max, 5000u);
    EXPECT_EQ(parsed->bytes_max, 300'000u);
    EXPECT_EQ(parsed->timeout.count(), 25);
}

TEST(TelemetrySubscription, DefaultsAreAwssOwn) {
    const auto parsed = ParseTelemetrySubscription(
        true, R"({"types": ["extension"], "destination": {"protocol": "TCP", "port": 7}})");
    ASSERT_TRUE(parsed.ok()) << parsed.error().message();
    EXPECT_EQ(parsed->schema, TelemetrySchema::kLogs20200815);
    EXPECT_TRUE(parsed->tcp);
    EXPECT_EQ(parsed->items_max, 10'000u);
    EXPECT_EQ(parsed->bytes_max, 262'144u);
    EXPECT_EQ(parsed->timeout.count(), 1000);
}

TEST(TelemetrySubscription, SaysAllThatIsWrongAtOnce) {
    const auto parsed = ParseTelemetrySubscription(
        false,
        R"({"schemaVersion": "2022-07-01", "types": [],
            "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain"}})");
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.error().message(), "types should not be empty; URI port is not provided");
}

TEST(TelemetrySubscription, SchemasOfOneApiAreNoSchemasOfTheOther) {
    EXPECT_FALSE(ParseTelemetrySubscription(true, kWhole).ok());
}

TEST(TelemetryAnswer, AStatusIsReadAsSoonAsItIsThere) {
    EXPECT_EQ(ParseAnswerStatus(""), std::nullopt);
    EXPECT_EQ(ParseAnswerStatus("HTTP/1."), std::nullopt);
    EXPECT_EQ(ParseAnswerStatus("HTTP/1.0 200"), std::nullopt);
    EXPECT_EQ(ParseAnswerStatus("HTTP/1.0 200\r"), 200);
    EXPECT_EQ(ParseAnswerStatus("HTTP/1.1 503 Later\r\n"), 503);
    EXPECT_EQ(ParseAnswerStatus("HTTP/1.1 2000 \r\n"), 0);
    EXPECT_EQ(ParseAnswerStatus("HTTP/1.1\r\n"), 0);
    EXPECT_EQ(ParseAnswerStatus("SSH-2.0"), 0);
}

}  // namespace
}  // namespace hearth::lambda
