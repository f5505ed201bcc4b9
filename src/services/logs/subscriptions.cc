#include "services/logs/subscriptions.h"

#include "base/log.h"
#include "codec/base64/base64.h"
#include "codec/gzip/gzip.h"
#include "codec/json/json.h"
#include "services/logs/limits.h"
#include "services/logs/request.h"
#include "storage/records/record_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace hearth::logs {
namespace {

using codec::JsonWriter;

constexpr char kKind[] = "logs-subscription";
constexpr char kPrincipal[] = "logs.amazonaws.com";
// At once, for each group and function; and of all.
constexpr size_t kRunningPerLane = 16;
constexpr size_t kRunningMax = 256;
constexpr size_t kPatternsMax = 1'000;
// AWS: "for up to 24 hours".
constexpr std::chrono::hours kAgeMax{24};
// While a function is not there its events rest, a quarter of the oldest one's age.
constexpr std::chrono::milliseconds kRestMin = std::chrono::seconds(1);
constexpr std::chrono::milliseconds kRestMax = std::chrono::minutes(5);
constexpr int kOwnGroupPerSecond = 10;
constexpr std::string_view kFunctionGroup = "/aws/lambda/";

// One invocation on its way.
struct Parcel {
    GroupName group;
    std::string destination_arn;
    std::string request_id;
    // {"messageType":...}, in gzip.
    std::string data;

    std::string Encode() const {
        storage::FieldWriter writer;
        writer.Text(1, group.account.text());
        writer.Text(2, group.region.text());
        writer.Text(3, group.name);
        writer.Text(4, destination_arn);
        writer.Text(5, request_id);
        writer.Text(6, data);
        return writer.Take();
    }

    static Result<Parcel> Decode(std::string_view bytes) {
        Parcel parcel;
        HEARTH_TRY(storage::FieldReader reader, storage::FieldReader::Open(bytes));
        while (true) {
            HEARTH_TRY(const auto field, reader.Next());
            if (!field) {
                return parcel;
            }
            std::string text(field->bytes);
            switch (field->number) {
                case 1:
                    parcel.group.account = AccountId(std::move(text));
                    break;
                case 2:
                    parcel.group.region = Region(std::move(text));
                    break;
                case 3:
                    parcel.group.name = std::move(text);
                    break;
                case 4:
                    parcel.destination_arn = std::move(text);
                    break;
                case 5:
                    parcel.request_id = std::move(text);
                    break;
                case 6:
                    parcel.data = std::move(text);
                    break;
                default:
                    break;
            }
        }
    }
};

// Keys and names may be long together, and a lane's name may not.
std::string LaneOf(const GroupName& group, std::string_view filter) {
    constexpr size_t kNameBytesMax = 200;
    const auto shortened = [](std::string_view name) {
        return name.size() <= kNameBytesMax ? std::string(name)
                                            : fmt::format(
                                                  "{}~{:016x}",
                                                  name.substr(0, kNameBytesMax - 17),
                                                  std::hash<std::string_view>()(name));
    };
    return fmt::format(
        "{}/{}/{}/{}",
        group.account.text(),
        group.region.text(),
        shortened(group.name),
        shortened(filter));
}

// Whether the lines of a function go to that function.
bool IsOwnGroup(const GroupName& group, std::string_view function_arn) {
    if (!group.name.starts_with(kFunctionGroup)) {
        return false;
    }
    const std::string own = fmt::format(
        "arn:aws:lambda:{}:{}:function:{}",
        group.region.text(),
        group.account.text(),
        group.name.substr(kFunctionGroup.size()));
    return function_arn == own || function_arn.starts_with(own + ":");
}

// The head of a message, up to and with the opening of its events.
JsonWriter BeginMessage(const SubscriptionFilter& filter, const Subscriptions::Source& source) {
    JsonWriter json;
    json.BeginObject();
    json.Key("messageType");
    json.String("DATA_MESSAGE");
    json.Key("owner");
    json.String(source.group.account.text());
    json.Key("logGroup");
    json.String(source.group.name);
    json.Key("logStream");
    json.String(source.stream);
    json.Key("subscriptionFilters");
    json.BeginArray();
    json.String(filter.name);
    json.EndArray();
    json.Key("logEvents");
    json.BeginArray();
    return json;
}

std::string EndMessage(JsonWriter json) {
    json.EndArray();
    json.EndObject();
    return codec::Gzip(json.Take());
}

void AppendEvent(
    JsonWriter& json, const Event& event, std::string_view stream_id, const FilterPattern& filter) {
    json.BeginObject();
    json.Key("id");
    json.String(EventId(event, stream_id));
    json.Key("timestamp");
    json.Int(event.timestamp_ms);
    json.Key("message");
    json.String(event.message);
    if (const auto fields = filter.Extract(event.message); !fields.empty()) {
        json.Key("extractedFields");
        json.BeginObject();
        for (const auto& [name, value] : fields) {
            json.Key(name);
            json.String(value);
        }
        json.EndObject();
    }
    json.EndObject();
}

}  // namespace

Subscriptions::Subscriptions(const Deps& deps) : deps_(deps) {
    deps_.courier.Register(
        kKind,
        [this](const flow::Delivery& delivery) { return Deliver(delivery); },
        {.running_per_lane = kRunningPerLane, .running_max = kRunningMax, .ordered = false});
}

Result<FilterPattern> Subscriptions::Parsed(const std::string& pattern) {
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = patterns_.find(pattern); found != patterns_.end()) {
            return found->second;
        }
    }
    HEARTH_TRY(FilterPattern parsed, FilterPattern::Parse(pattern));
    const std::lock_guard lock(mutex_);
    if (patterns_.size() >= kPatternsMax) {
        patterns_.clear();
    }
    patterns_.emplace(pattern, parsed);
    return parsed;
}

Result<std::vector<std::string>> Subscriptions::PayloadsOf(
    const SubscriptionFilter& filter, const Source& source, std::span<const Chunk> chunks) {
    HEARTH_TRY(const FilterPattern pattern, Parsed(filter.pattern));
    std::vector<std::string> payloads;
    std::optional<JsonWriter> message;
    size_t bytes = 0;
    for (const Chunk& chunk : chunks) {
        for (const Event& event : chunk.events) {
            if (!pattern.Matches(event.message)) {
                continue;
            }
            const size_t more = event.message.size() + kEventOverheadBytes;
            if (message && bytes + more > kSubscriptionBytesMax) {
                payloads.push_back(EndMessage(*std::exchange(message, std::nullopt)));
            }
            if (!message) {
                message = BeginMessage(filter, source);
                bytes = 0;
            }
            bytes += more;
            AppendEvent(*message, event, source.stream_id, pattern);
        }
    }
    if (message) {
        payloads.push_back(EndMessage(*std::move(message)));
    }
    return payloads;
}

Task<Result<std::vector<flow::Delivery>>> Subscriptions::Add(
    storage::Transaction& transaction, const Source& source, std::span<const Chunk> chunks) {
    std::vector<flow::Delivery> deliveries;
    const std::string key = SubscriptionsKey(source.group, source.group_id);
    HEARTH_CO_TRY(const auto value, co_await transaction.Get(key));
    if (!value) {
        co_return deliveries;
    }
    HEARTH_CO_TRY(const SubscriptionFilters filters, DecodeSubscriptions(*value));
    for (const SubscriptionFilter& filter : filters) {
        HEARTH_CO_TRY(std::vector<std::string> payloads, PayloadsOf(filter, source, chunks));
        for (std::string& payload : payloads) {
            Parcel parcel{
                .group = source.group,
                .destination_arn = filter.destination_arn,
                .request_id = deps_.random.Uuid(),
                .data = std::move(payload)};
            flow::Delivery delivery =
                deps_.courier.Make(kKind, LaneOf(source.group, filter.name), parcel.Encode());
            HEARTH_CO_RETURN_IF_ERROR(deps_.courier.Put(transaction, delivery));
            deliveries.push_back(std::move(delivery));
        }
    }
    co_return deliveries;
}

void Subscriptions::End(const Status& status, std::vector<flow::Delivery> deliveries) {
    for (flow::Delivery& delivery : deliveries) {
        if (status.ok()) {
            deps_.courier.Committed(std::move(delivery));
        } else if (!status.error().is_client_fault()) {
            // Whether it was committed is not known; this is only a hint.
            deps_.courier.LookAgain(delivery.kind, delivery.lane);
        }
    }
}

Task<Status> Subscriptions::Check(const GroupName& group, const std::string& destination_arn) {
    EventTarget::Origin origin{
        .account = group.account,
        .region = group.region,
        .service_principal = kPrincipal,
        .source_arn = GroupArn(group) + ":*",
        .role_arn = {}};
    co_return co_await deps_.targets.Check(std::move(origin), destination_arn);
}

CloudClock::duration Subscriptions::WaitForTurn(const std::string& lane) {
    constexpr MonotonicClock::duration kApart = std::chrono::seconds(1) / kOwnGroupPerSecond;
    const MonotonicClock::time_point now = deps_.monotonic_clock.Now();
    const std::lock_guard lock(mutex_);
    const auto [turn, first] = turns_.try_emplace(lane, now);
    if (first) {
        log::Warn("logs: {} calls a function with its own lines", lane);
        return CloudClock::duration(0);
    }
    if (now - turn->second >= kApart) {
        turn->second = now;
        return CloudClock::duration(0);
    }
    return std::chrono::ceil<CloudClock::duration>(turn->second + kApart - now);
}

Task<Result<flow::Verdict>> Subscriptions::Deliver(const flow::Delivery& delivery) {
    auto parcel = Parcel::Decode(delivery.payload);
    if (!parcel.ok()) {
        log::Error("logs: events cannot be read and are dropped: {}", parcel.error().message());
        co_return flow::Verdict::Done();
    }
    if (IsOwnGroup(parcel->group, parcel->destination_arn)) {
        const CloudClock::duration wait = WaitForTurn(delivery.lane);
        if (wait > CloudClock::duration(0)) {
            co_return flow::Verdict::Hold(wait);
        }
    }
    EventTarget::Origin origin{
        .account = parcel->group.account,
        .region = parcel->group.region,
        .service_principal = kPrincipal,
        .source_arn = GroupArn(parcel->group) + ":*",
        .role_arn = {}};
    EventTarget::Event event;
    event.body =
        fmt::format("{{\"awslogs\":{{\"data\":\"{}\"}}}}", codec::Base64Encode(parcel->data));
    event.request_id = std::move(parcel->request_id);
    const Status sent =
        co_await deps_.targets.Send(std::move(origin), parcel->destination_arn, std::move(event));
    if (sent.ok()) {
        co_return flow::Verdict::Done();
    }
    const CloudClock::duration age = deps_.cloud_clock.Now() - delivery.accepted;
    if (age >= kAgeMax || sent.error().kind() == Error::Kind::kInvalid) {
        log::Warn(
            "logs: events of {} for {} are dropped: {}",
            parcel->group.name,
            parcel->destination_arn,
            sent.error().message());
        co_return flow::Verdict::Done();
    }
    co_return flow::Verdict::Hold(std::clamp<CloudClock::duration>(age / 4, kRestMin, kRestMax));
}

}  // namespace hearth::logs
