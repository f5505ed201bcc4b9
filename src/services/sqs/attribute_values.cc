#include "services/sqs/attribute_values.h"

#include "codec/json/json.h"
#include "services/sqs/errors.h"
#include "services/sqs/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace hearth::sqs {
namespace {

using codec::Json;
using std::chrono::seconds;

constexpr std::string_view kMaximumMessageSize = "MaximumMessageSize";
constexpr std::string_view kFifoThroughputLimit = "FifoThroughputLimit";
constexpr std::string_view kManagedEncryption = "SqsManagedSseEnabled";
constexpr std::string_view kRedrivePolicy = "RedrivePolicy";
constexpr std::string_view kRedriveAllowPolicy = "RedriveAllowPolicy";
constexpr std::string_view kPolicy = "Policy";
constexpr std::string_view kKmsKey = "KmsMasterKeyId";
constexpr std::string_view kKmsReuse = "KmsDataKeyReusePeriodSeconds";

constexpr size_t kSourceArnsMax = 10;
constexpr int64_t kReceiveCountMax = 1000;

struct Range {
    std::string_view name;
    int64_t min;
    int64_t max;
    // Of the settings; null: kept as text among the attributes.
    seconds QueueSettings::* setting;
};

constexpr std::array kRanges = {
    Range{"DelaySeconds", 0, kDelayMax_s, &QueueSettings::delay},
    Range{"VisibilityTimeout", 0, kVisibilityMax_s, &QueueSettings::visibility},
    Range{"MessageRetentionPeriod", 60, 1'209'600, &QueueSettings::retention},
    Range{"ReceiveMessageWaitTimeSeconds", 0, kWaitMax_s, &QueueSettings::receive_wait},
    Range{kMaximumMessageSize, 1024, kMessageBytesMax, nullptr},
    Range{kKmsReuse, 60, 86'400, nullptr},
};

constexpr std::array<std::string_view, 4> kFifoOnly = {
    "FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", kFifoThroughputLimit};

constexpr std::array<std::string_view, 3> kCounts = {
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed"};

// What is shown and cannot be set.
constexpr std::array<std::string_view, 3> kFacts = {
    "QueueArn", "CreatedTimestamp", "LastModifiedTimestamp"};

constexpr std::array<std::string_view, 5> kDocuments = {
    kPolicy, kRedrivePolicy, kRedriveAllowPolicy, kKmsKey, kManagedEncryption};

bool IsAnyOf(const auto& names, std::string_view name) {
    return std::ranges::find(names, name) != names.end();
}

bool IsKnown(std::string_view name) {
    const bool ranged =
        std::ranges::any_of(kRanges, [&](const Range& r) { return r.name == name; });
    return ranged || IsAnyOf(kFifoOnly, name) || IsAnyOf(kCounts, name) || IsAnyOf(kFacts, name) ||
           IsAnyOf(kDocuments, name);
}

Error UnknownAttribute(std::string_view name) {
    return errors::InvalidAttributeName(fmt::format("Unknown Attribute {}.", name.substr(0, 256)));
}

Error InvalidValue(std::string_view name) {
    return errors::InvalidAttributeValue(fmt::format("Invalid value for the parameter {}.", name));
}

Result<int64_t> WholeNumber(const Range& range, std::string_view text) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || text.empty() ||
        number < range.min || number > range.max) {
        return InvalidValue(range.name);
    }
    return number;
}

Result<bool> Boolean(std::string_view name, std::string_view text) {
    const auto is = [&](std::string_view lower) {
        return std::ranges::equal(text, lower, [](char a, char b) { return (a | 0x20) == b; });
    };
    if (is("true")) {
        return true;
    }
    if (is("false")) {
        return false;
    }
    return InvalidValue(name);
}

Error BadRedrive(std::string_view parameter, std::string_view text, std::string_view reason) {
    return errors::InvalidValueOf(parameter, text.substr(0, 4096), reason);
}

// "3" counts as 3.
std::optional<int64_t> NumberOrText(const Json& value) {
    if (const int64_t* number = value.AsInt()) {
        return *number;
    }
    const std::string* text = value.AsString();
    int64_t number = 0;
    if (text == nullptr || text->empty() ||
        std::from_chars(text->data(), text->data() + text->size(), number).ptr !=
            text->data() + text->size()) {
        return std::nullopt;
    }
    return number;
}

Result<RedrivePolicy> ParseRedrivePolicy(std::string_view text) {
    const auto document = codec::ParseJson(text, {.depth_max = 4, .values_max = 100});
    if (!document.ok() || !document->is_object()) {
        return BadRedrive(
            kRedrivePolicy,
            text,
            "Amazon SQS can't create the redrive policy, as it's not in JSON format.");
    }
    const Json* target = document->Find("deadLetterTargetArn");
    const Json* count = document->Find("maxReceiveCount");
    if (target == nullptr || target->AsString() == nullptr || target->AsString()->empty()) {
        return BadRedrive(
            kRedrivePolicy,
            text,
            "Redrive policy does not contain mandatory attribute: deadLetterTargetArn.");
    }
    if (count == nullptr) {
        return BadRedrive(
            kRedrivePolicy,
            text,
            "Redrive policy does not contain mandatory attribute: maxReceiveCount.");
    }
    const std::optional<int64_t> number = NumberOrText(*count);
    if (!number || *number < 1 || *number > kReceiveCountMax) {
        return BadRedrive(
            kRedrivePolicy,
            text,
            fmt::format(
                "Invalid value for maxReceiveCount: {}, valid values are from 1 to 1000 both "
                "inclusive.",
                count->AsString() != nullptr ? *count->AsString() : codec::WriteJson(*count)));
    }
    if (!QueueAddress::FromArn(*target->AsString()).ok()) {
        return BadRedrive(kRedrivePolicy, text, "Invalid value for deadLetterTargetArn.");
    }
    return RedrivePolicy{
        .dead_letter_arn = *target->AsString(), .max_receive_count = static_cast<int>(*number)};
}

std::string ShowRedrivePolicy(const RedrivePolicy& policy) {
    codec::JsonWriter writer;
    writer.BeginObject();
    writer.Key("deadLetterTargetArn");
    writer.String(policy.dead_letter_arn);
    writer.Key("maxReceiveCount");
    writer.Int(policy.max_receive_count);
    writer.EndObject();
    return writer.Take();
}

// The document in its canonical form.
Result<std::string> CheckRedriveAllowPolicy(std::string_view text) {
    const auto bad = [&](std::string_view reason) {
        return BadRedrive(kRedriveAllowPolicy, text, reason);
    };
    const auto document = codec::ParseJson(text, {.depth_max = 4, .values_max = 100});
    if (!document.ok() || !document->is_object()) {
        return bad("Amazon SQS can't create the redrive allow policy. Reason: not JSON.");
    }
    const std::string* permission = document->FindString("redrivePermission");
    if (permission == nullptr ||
        (*permission != "allowAll" && *permission != "denyAll" && *permission != "byQueue")) {
        return bad("Only values [denyAll, allowAll, byQueue] are allowed for redrivePermission.");
    }
    const Json* sources = document->Find("sourceQueueArns");
    const bool by_queue = *permission == "byQueue";
    Json kept;
    kept.Set("redrivePermission", *permission);
    if (!by_queue) {
        if (sources != nullptr) {
            return bad("sourceQueueArns is allowed only when redrivePermission is byQueue.");
        }
        return codec::WriteJson(kept);
    }
    const Json::Array* arns = sources == nullptr ? nullptr : sources->AsArray();
    if (arns == nullptr || arns->empty() || arns->size() > kSourceArnsMax) {
        return bad("sourceQueueArns must have 1 to 10 queues when redrivePermission is byQueue.");
    }
    for (const Json& arn : *arns) {
        if (arn.AsString() == nullptr || !QueueAddress::FromArn(*arn.AsString()).ok()) {
            return bad("sourceQueueArns must be ARNs of queues.");
        }
    }
    kept.Set("sourceQueueArns", *sources);
    return codec::WriteJson(kept);
}

// What a policy of a resource must have at least. Who it lets in is judged where it is used.
Status CheckPolicy(std::string_view text) {
    const auto document = codec::ParseJson(text);
    if (!document.ok() || !document->is_object()) {
        return InvalidValue(kPolicy);
    }
    const Json* statements = document->Find("Statement");
    if (statements == nullptr) {
        return InvalidValue(kPolicy);
    }
    const auto check = [](const Json& statement) {
        const std::string* effect = statement.FindString("Effect");
        const bool has_principal =
            statement.Find("Principal") != nullptr || statement.Find("NotPrincipal") != nullptr;
        const bool has_action =
            statement.Find("Action") != nullptr || statement.Find("NotAction") != nullptr;
        return effect != nullptr && (*effect == "Allow" || *effect == "Deny") && has_principal &&
               has_action;
    };
    const Json::Array* list = statements->AsArray();
    const bool sound = list != nullptr ? !list->empty() && std::ranges::all_of(*list, check)
                                       : statements->is_object() && check(*statements);
    return sound ? Status() : Status(InvalidValue(kPolicy));
}

Status ApplyFifo(std::string_view name, const std::string& value, QueueRecord& record) {
    if (!record.settings.fifo) {
        if (name == "FifoQueue" || name == "ContentBasedDeduplication") {
            return UnknownAttribute(name);
        }
        return errors::InvalidAttributeName(
            fmt::format("You can specify the {} only when FifoQueue is set to true.", name));
    }
    if (name == "FifoQueue") {
        HEARTH_TRY(const bool fifo, Boolean(name, value));
        if (!fifo) {
            return errors::InvalidAttributeValue(
                "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not "
                "supported.");
        }
        return {};
    }
    if (name == "ContentBasedDeduplication") {
        HEARTH_TRY(record.settings.content_based_deduplication, Boolean(name, value));
        return {};
    }
    if (name == "DeduplicationScope") {
        if (value != "queue" && value != "messageGroup") {
            return InvalidValue(name);
        }
        record.settings.deduplication_by_group = value == "messageGroup";
        return {};
    }
    if (value != "perQueue" && value != "perMessageGroupId") {
        return InvalidValue(name);
    }
    record.attributes[std::string(name)] = value;
    return {};
}

Status ApplyDocument(std::string_view name, const std::string& value, QueueRecord& record) {
    if (name == kManagedEncryption) {
        HEARTH_TRY(const bool on, Boolean(name, value));
        record.attributes[std::string(name)] = on ? "true" : "false";
        return {};
    }
    if (name == kKmsKey && !value.empty()) {
        return errors::NotImplemented("encryption with a key of KMS (KmsMasterKeyId)");
    }
    if (name == kRedrivePolicy) {
        record.settings.redrive.reset();
        if (!value.empty()) {
            HEARTH_TRY(record.settings.redrive, ParseRedrivePolicy(value));
        }
        return {};
    }
    if (value.empty()) {
        record.attributes.erase(std::string(name));
        return {};
    }
    if (name == kRedriveAllowPolicy) {
        HEARTH_TRY(std::string canonical, CheckRedriveAllowPolicy(value));
        record.attributes[std::string(name)] = std::move(canonical);
        return {};
    }
    HEARTH_RETURN_IF_ERROR(CheckPolicy(value));
    record.attributes[std::string(name)] = value;
    return {};
}

std::string_view AttributeOr(
    const QueueRecord& record, std::string_view name, std::string_view otherwise) {
    const auto found = record.attributes.find(std::string(name));
    return found == record.attributes.end() ? otherwise : std::string_view(found->second);
}

std::string SecondsOf(CloudClock::time_point when) {
    return fmt::to_string(std::chrono::duration_cast<seconds>(when.time_since_epoch()).count());
}

std::string BooleanText(bool value) {
    return value ? "true" : "false";
}

// The value of one attribute; none where this queue does not have it.
std::optional<std::string> Show(
    const QueueAddress& queue,
    const QueueRecord& record,
    std::string_view name,
    const QueueCounts* counts) {
    const QueueSettings& settings = record.settings;
    for (const Range& range : kRanges) {
        if (range.name == name && range.setting != nullptr) {
            return fmt::to_string((settings.*range.setting).count());
        }
    }
    if (counts != nullptr && IsAnyOf(kCounts, name)) {
        const int64_t count = name == kCounts[0]   ? counts->visible
                              : name == kCounts[1] ? counts->in_flight
                                                   : counts->delayed;
        return fmt::to_string(count);
    }
    if (name == "QueueArn") {
        return queue.Arn();
    }
    if (name == "CreatedTimestamp") {
        return SecondsOf(record.created);
    }
    if (name == "LastModifiedTimestamp") {
        return SecondsOf(record.modified);
    }
    if (name == kMaximumMessageSize) {
        return fmt::to_string(MaximumMessageSize(record));
    }
    if (name == kManagedEncryption) {
        return std::string(AttributeOr(record, name, "true"));
    }
    if (name == kRedrivePolicy) {
        return settings.redrive ? std::optional(ShowRedrivePolicy(*settings.redrive))
                                : std::nullopt;
    }
    if (IsAnyOf(kFifoOnly, name)) {
        if (!settings.fifo) {
            return std::nullopt;
        }
        if (name == "FifoQueue") {
            return "true";
        }
        if (name == "ContentBasedDeduplication") {
            return BooleanText(settings.content_based_deduplication);
        }
        if (name == "DeduplicationScope") {
            return settings.deduplication_by_group ? "messageGroup" : "queue";
        }
        return std::string(AttributeOr(record, name, "perQueue"));
    }
    const auto kept = record.attributes.find(std::string(name));
    return kept == record.attributes.end() ? std::nullopt : std::optional(kept->second);
}

}  // namespace

bool AsksForFifo(const std::map<std::string, std::string>& given) {
    const auto found = given.find("FifoQueue");
    const auto fifo = found == given.end() ? Result<bool>(false) : Boolean("", found->second);
    return fifo.ok() && *fifo;
}

Status ApplyAttributes(
    const std::map<std::string, std::string>& given, bool creating, QueueRecord& record) {
    if (creating) {
        record.settings.fifo = AsksForFifo(given);
    }
    for (const auto& [name, value] : given) {
        const auto range =
            std::ranges::find_if(kRanges, [&](const Range& r) { return r.name == name; });
        if (range != kRanges.end()) {
            HEARTH_TRY(const int64_t number, WholeNumber(*range, value));
            if (range->setting != nullptr) {
                record.settings.*range->setting = seconds(number);
            } else {
                record.attributes[name] = fmt::to_string(number);
            }
        } else if (IsAnyOf(kFifoOnly, name)) {
            HEARTH_RETURN_IF_ERROR(ApplyFifo(name, value, record));
        } else if (IsAnyOf(kDocuments, name)) {
            HEARTH_RETURN_IF_ERROR(ApplyDocument(name, value, record));
        } else {
            return UnknownAttribute(name);
        }
    }
    if (AttributeOr(record, kFifoThroughputLimit, "perQueue") == "perMessageGroupId" &&
        !record.settings.deduplication_by_group) {
        return errors::InvalidAttributeValue(
            "The perMessageGroupId value for FifoThroughputLimit is allowed only when the value "
            "for DeduplicationScope is messageGroup.");
    }
    return {};
}

bool AsksForCounts(const std::vector<std::string>& names) {
    return std::ranges::any_of(
        names, [](const std::string& name) { return name == "All" || IsAnyOf(kCounts, name); });
}

Result<std::map<std::string, std::string>> ShowAttributes(
    const QueueAddress& queue,
    const QueueRecord& record,
    const std::vector<std::string>& names,
    const QueueCounts* counts) {
    std::map<std::string, std::string> shown;
    const auto show = [&](std::string_view name) {
        if (auto value = Show(queue, record, name, counts)) {
            shown.insert_or_assign(std::string(name), *std::move(value));
        }
    };
    const auto show_all = [&](const auto& some) {
        for (const auto& name : some) {
            show(name);
        }
    };
    for (const std::string& name : names) {
        if (name == "All") {
            for (const Range& range : kRanges) {
                show(range.name);
            }
            show_all(kFifoOnly);
            show_all(kCounts);
            show_all(kFacts);
            show_all(kDocuments);
        } else if (IsKnown(name)) {
            show(name);
        } else {
            return UnknownAttribute(name);
        }
    }
    return shown;
}

bool AllowsRedriveFrom(const QueueRecord& dead_letter_queue, std::string_view source_arn) {
    const auto found = dead_letter_queue.attributes.find(std::string(kRedriveAllowPolicy));
    if (found == dead_letter_queue.attributes.end()) {
        return true;
    }
    const auto document = codec::ParseJson(found->second);
    const std::string* permission =
        document.ok() ? document->FindString("redrivePermission") : nullptr;
    if (permission == nullptr || *permission == "denyAll") {
        return false;
    }
    if (*permission == "allowAll") {
        return true;
    }
    const Json* sources = document->Find("sourceQueueArns");
    const Json::Array* arns = sources == nullptr ? nullptr : sources->AsArray();
    return arns != nullptr && std::ranges::any_of(*arns, [&](const Json& arn) {
               return arn.AsString() != nullptr && *arn.AsString() == source_arn;
           });
}

size_t MaximumMessageSize(const QueueRecord& record) {
    size_t bytes = kMessageBytesMax;
    const std::string_view text = AttributeOr(record, kMaximumMessageSize, "");
    std::from_chars(text.data(), text.data() + text.size(), bytes);
    return bytes;
}

}  // namespace hearth::sqs
