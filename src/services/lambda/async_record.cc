#include "services/lambda/async_record.h"

#include "codec/json/json.h"
#include "codec/timestamp/timestamp.h"
#include "services/lambda/function_name.h"
#include "services/lambda/function_record.h"
#include "services/lambda/json_check.h"

#include <fmt/format.h>

namespace hearth::lambda {
namespace {

constexpr size_t kErrorMessageBytesMax = 1'024;

WallClock::time_point AsWall(CloudClock::time_point time) {
    return WallClock::time_point(time.time_since_epoch());
}

// Custom runtimes may answer with what is no JSON; a record always is.
void AppendPayload(codec::JsonWriter& writer, std::string_view payload) {
    if (payload.empty()) {
        writer.Null();
    } else if (CheckJson(payload).ok) {
        writer.Raw(payload);
    } else {
        writer.String(payload);
    }
}

}  // namespace

std::string InvocationRecord(const AsyncEvent& event, const AsyncRecord& record) {
    codec::JsonWriter writer;
    writer.BeginObject();
    writer.Key("version");
    writer.String("1.0");
    writer.Key("timestamp");
    writer.String(codec::FormatIso8601(AsWall(record.now), true));
    writer.Key("requestContext");
    writer.BeginObject();
    writer.Key("requestId");
    writer.String(event.request_id);
    writer.Key("functionArn");
    writer.String(FunctionArn(
        event.account,
        event.region,
        event.name,
        event.qualifier.empty() ? kLatest : std::string_view(event.qualifier)));
    writer.Key("condition");
    writer.String(record.condition);
    writer.Key("approximateInvokeCount");
    writer.Int(record.invoke_count);
    writer.EndObject();
    writer.Key("requestPayload");
    AppendPayload(writer, event.payload.empty() ? "{}" : std::string_view(event.payload));
    if (record.response) {
        const AsyncResponse& response = *record.response;
        writer.Key("responseContext");
        writer.BeginObject();
        writer.Key("statusCode");
        writer.Int(response.status_code);
        writer.Key("executedVersion");
        writer.String(response.executed_version);
        if (!response.function_error.empty()) {
            writer.Key("functionError");
            writer.String(response.function_error);
        }
        writer.EndObject();
        writer.Key("responsePayload");
        AppendPayload(writer, response.payload);
    }
    writer.EndObject();
    return writer.Take();
}

std::string RecordObjectKey(
    std::string_view function, CloudClock::time_point now, std::string_view uuid) {
    // "2026-01-31T10:00:00Z"
    std::string second = codec::FormatIso8601(AsWall(now)).substr(0, 19);
    const std::string year = second.substr(0, 4);
    const std::string month = second.substr(5, 2);
    const std::string day = second.substr(8, 2);
    second[13] = '.';
    second[16] = '.';
    return fmt::format(
        "aws/lambda/async/{}/{}/{}/{}/{}-{}", function, year, month, day, second, uuid);
}

std::string ErrorMessageOf(std::string_view payload) {
    const auto parsed = codec::ParseJson(payload);
    if (!parsed.ok()) {
        return {};
    }
    const std::string* message = parsed->FindString("errorMessage");
    if (message == nullptr) {
        return {};
    }
    std::string text = message->substr(0, kErrorMessageBytesMax);
    if (text.size() < message->size()) {
        // Not in the middle of a character.
        size_t end = text.size();
        while (end > 0 && (static_cast<unsigned char>((*message)[end]) & 0xc0) == 0x80) {
            --end;
        }
        text.resize(end);
    }
    return text;
}

}  // namespace hearth::lambda
