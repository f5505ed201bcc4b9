#include "services/lambda/mapping_event.h"

#include "codec/base64/base64.h"
#include "codec/json/json.h"

#include <algorithm>
#include <utility>

namespace hearth::lambda {
namespace {

using codec::Json;
using codec::JsonWriter;

void WriteAttributes(JsonWriter& json, const MessageQueues::Message& message) {
    json.BeginObject();
    for (const auto& [name, attribute] : message.attributes) {
        json.Key(name);
        json.BeginObject();
        if (attribute.is_binary()) {
            json.Key("binaryValue");
            json.String(codec::Base64Encode(attribute.value));
        } else {
            json.Key("stringValue");
            json.String(attribute.value);
        }
        // Reserved by SQS and always empty.
        json.Key("stringListValues");
        json.BeginArray();
        json.EndArray();
        json.Key("binaryListValues");
        json.BeginArray();
        json.EndArray();
        json.Key("dataType");
        json.String(attribute.data_type);
        json.EndObject();
    }
    json.EndObject();
}

}  // namespace

std::string MakeQueueRecord(
    const MessageQueues::Message& message, std::string_view queue_arn, std::string_view region) {
    JsonWriter json;
    json.BeginObject();
    json.Key("messageId");
    json.String(message.message_id);
    json.Key("receiptHandle");
    json.String(message.receipt_handle);
    json.Key("body");
    json.String(message.body);
    json.Key("attributes");
    json.BeginObject();
    for (const auto& [name, value] : message.system_attributes) {
        json.Key(name);
        json.String(value);
    }
    json.EndObject();
    json.Key("messageAttributes");
    WriteAttributes(json, message);
    if (!message.attributes_md5.empty()) {
        json.Key("md5OfMessageAttributes");
        json.String(message.attributes_md5);
    }
    json.Key("md5OfBody");
    json.String(message.body_md5);
    json.Key("eventSource");
    json.String("aws:sqs");
    json.Key("eventSourceARN");
    json.String(queue_arn);
    json.Key("awsRegion");
    json.String(region);
    json.EndObject();
    return json.Take();
}

std::string MakeQueueEvent(std::span<const std::string> records) {
    std::string event = "{\"Records\":[";
    size_t bytes = event.size() + 2;
    for (const std::string& record : records) {
        bytes += record.size() + 1;
    }
    event.reserve(bytes);
    for (const std::string& record : records) {
        if (&record != records.data()) {
            event.push_back(',');
        }
        event += record;
    }
    event += "]}";
    return event;
}

Result<MappingFilters> MappingFilters::Compile(const std::vector<std::string>& patterns) {
    MappingFilters filters;
    for (const std::string& text : patterns) {
        HEARTH_TRY(codec::EventPattern pattern, codec::EventPattern::Compile(text));
        filters.patterns_.push_back(std::move(pattern));
    }
    return filters;
}

bool MappingFilters::Match(std::string_view record) const {
    if (patterns_.empty()) {
        return true;
    }
    auto event = codec::ParseJson(record);
    if (!event.ok()) {
        return false;
    }
    const bool looks_into_body = std::ranges::any_of(
        patterns_, [](const codec::EventPattern& pattern) { return pattern.Names("body"); });
    if (const std::string* const body = event->FindString("body");
        looks_into_body && body != nullptr) {
        auto parsed = codec::ParseJson(*body);
        if (parsed.ok() && (parsed->is_object() || parsed->is_array())) {
            event->Set("body", *std::move(parsed));
        }
    }
    return std::ranges::any_of(patterns_, [&event](const codec::EventPattern& pattern) {
        return pattern.Matches(*event);
    });
}

BatchOutcome ReadBatchAnswer(
    std::string_view answer, const std::set<std::string, std::less<>>& ids) {
    const BatchOutcome all{.all_failed = true, .failed = {}};
    if (answer.empty()) {
        return {};
    }
    const auto json = codec::ParseJson(answer);
    if (!json.ok()) {
        return all;
    }
    if (json->is_null()) {
        return {};
    }
    if (!json->is_object()) {
        return all;
    }
    const Json* const failures = json->Find("batchItemFailures");
    if (failures == nullptr || failures->is_null()) {
        return {};
    }
    const Json::Array* const list = failures->AsArray();
    if (list == nullptr) {
        return all;
    }
    BatchOutcome outcome;
    for (const Json& failure : *list) {
        const std::string* const id = failure.FindString("itemIdentifier");
        if (id == nullptr || !ids.contains(*id)) {
            return all;
        }
        outcome.failed.insert(*id);
    }
    return outcome;
}

}  // namespace hearth::lambda
