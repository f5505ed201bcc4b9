#include "services/lambda/event_invoke_config_store.h"

#include "services/lambda/record_codec.h"
#include "storage/keys/key.h"

#include <chrono>
#include <utility>

namespace hearth::lambda {
namespace {

using storage::keys::Key;
using storage::keys::KeyReader;

// account, region, "lambda", "event-invoke", name, function id
constexpr size_t kComponentsBefore = 6;

Key ConfigsKey(const FunctionKey& key, std::string_view function_id) {
    return Key(key.account, key.region)
        .Add("lambda")
        .Add("event-invoke")
        .Add(key.name)
        .Add(function_id);
}

Key ConfigKey(const FunctionKey& key, std::string_view function_id, std::string_view qualifier) {
    return ConfigsKey(key, function_id).Add(qualifier.empty() ? kLatest : qualifier);
}

// Numbers of stored fields: never reused.
enum Field : uint8_t {
    kRetriesMax = 1,
    kAgeMax = 2,
    kOnSuccess = 3,
    kOnFailure = 4,
    kLastModified = 5,
};

std::string Encode(const EventInvokeConfigRecord& record) {
    FieldWriter writer;
    if (record.retries_max) {
        writer.Integer(kRetriesMax, *record.retries_max);
    }
    if (record.age_max_s) {
        writer.Integer(kAgeMax, *record.age_max_s);
    }
    writer.Text(kOnSuccess, record.on_success);
    writer.Text(kOnFailure, record.on_failure);
    writer.Integer(kLastModified, UnixMs(record.last_modified));
    return writer.Take();
}

Result<EventInvokeConfigRecord> Decode(std::string_view bytes, std::string qualifier) {
    EventInvokeConfigRecord record;
    record.qualifier = std::move(qualifier);
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return record;
        }
        switch (field->number) {
            case kRetriesMax: {
                HEARTH_TRY(const int64_t retries, FieldReader::Integer(*field));
                record.retries_max = static_cast<int32_t>(retries);
                break;
            }
            case kAgeMax: {
                HEARTH_TRY(const int64_t seconds, FieldReader::Integer(*field));
                record.age_max_s = static_cast<int32_t>(seconds);
                break;
            }
            case kOnSuccess:
                record.on_success = field->bytes;
                break;
            case kOnFailure:
                record.on_failure = field->bytes;
                break;
            case kLastModified: {
                HEARTH_TRY(const int64_t ms, FieldReader::Integer(*field));
                record.last_modified = WallClock::time_point(std::chrono::milliseconds(ms));
                break;
            }
            default:
                break;  // written by a newer Hearth
        }
    }
}

Result<std::optional<EventInvokeConfigRecord>> DecodeFound(
    const std::optional<std::string>& bytes, std::string_view qualifier) {
    if (!bytes) {
        return std::optional<EventInvokeConfigRecord>();
    }
    HEARTH_TRY(
        EventInvokeConfigRecord record,
        Decode(*bytes, std::string(qualifier.empty() ? kLatest : qualifier)));
    return std::optional<EventInvokeConfigRecord>(std::move(record));
}

}  // namespace

AsyncRules EventInvokeConfigRecord::Rules() const {
    AsyncRules rules;
    rules.retries_max = retries_max.value_or(rules.retries_max);
    if (age_max_s) {
        rules.age_max = std::chrono::seconds(*age_max_s);
    }
    return rules;
}

Task<Result<std::optional<EventInvokeConfigRecord>>> EventInvokeConfigTransaction::Find(
    const FunctionKey& key, const std::string& function_id, std::string_view qualifier) {
    const Key config_key = ConfigKey(key, function_id, qualifier);
    HEARTH_CO_TRY(const auto bytes, co_await transaction_.Get(config_key));
    co_return DecodeFound(bytes, qualifier);
}

void EventInvokeConfigTransaction::Put(
    const FunctionKey& key, const std::string& function_id, const EventInvokeConfigRecord& record) {
    transaction_.Put(ConfigKey(key, function_id, record.qualifier), Encode(record));
}

void EventInvokeConfigTransaction::Delete(
    const FunctionKey& key, const std::string& function_id, std::string_view qualifier) {
    transaction_.Delete(ConfigKey(key, function_id, qualifier));
}

Task<Result<std::vector<EventInvokeConfigRecord>>> EventInvokeConfigTransaction::List(
    const FunctionKey& key, const std::string& function_id, std::string_view after, size_t limit) {
    const Key configs = ConfigsKey(key, function_id);
    storage::RangeRequest request =
        after.empty() ? configs.Children() : configs.ChildrenAfter(after);
    request.limit = limit;
    HEARTH_CO_TRY(const auto page, co_await transaction_.Range(std::move(request)));
    std::vector<EventInvokeConfigRecord> records;
    for (const auto& item : page.items) {
        KeyReader reader(item.key);
        HEARTH_CO_RETURN_IF_ERROR(reader.Skip(kComponentsBefore));
        HEARTH_CO_TRY(std::string qualifier, reader.String());
        HEARTH_CO_TRY(EventInvokeConfigRecord record, Decode(item.value, std::move(qualifier)));
        records.push_back(std::move(record));
    }
    co_return records;
}

Task<Result<std::optional<EventInvokeConfigRecord>>> FindEventInvokeConfig(
    storage::Kv& kv, FunctionKey key, std::string function_id, std::string qualifier) {
    const Key config_key = ConfigKey(key, function_id, qualifier);
    HEARTH_CO_TRY(const auto bytes, co_await kv.Get(config_key));
    co_return DecodeFound(bytes, qualifier);
}

}  // namespace hearth::lambda
