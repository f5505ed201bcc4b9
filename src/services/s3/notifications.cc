#include "services/s3/notifications.h"

#include "aws/front/context.h"
#include "base/log.h"
#include "services/lineage.h"
#include "services/s3/notification_message.h"
#include "storage/records/record_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace hearth::s3 {
namespace {

constexpr char kKind[] = "s3-notification";
constexpr char kPrincipal[] = "s3.amazonaws.com";
// At once, for each bucket and destination; and of all.
constexpr size_t kRunningPerLane = 32;
constexpr size_t kRunningMax = 512;
// AWS does not say how long it tries; its functions' events live six hours, and messages say that
// "in rare cases" they are lost.
constexpr std::chrono::hours kAgeMax{24};
// While a destination is not there its events rest, a quarter of the oldest one's age.
constexpr std::chrono::milliseconds kRestMin = std::chrono::seconds(1);
constexpr std::chrono::milliseconds kRestMax = std::chrono::minutes(5);
constexpr std::string_view kTraceHeader = "x-amzn-trace-id";

// One event on its way.
struct Parcel {
    AccountId account;
    Region region;
    std::string bucket;
    std::string destination_arn;
    std::string request_id;
    std::string trace_header;
    std::string message;

    std::string Encode() const {
        storage::FieldWriter writer;
        writer.Text(1, account.text());
        writer.Text(2, region.text());
        writer.Text(3, bucket);
        writer.Text(4, destination_arn);
        writer.Text(5, request_id);
        writer.Text(6, trace_header);
        writer.Text(7, message);
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
                    parcel.account = AccountId(std::move(text));
                    break;
                case 2:
                    parcel.region = Region(std::move(text));
                    break;
                case 3:
                    parcel.bucket = std::move(text);
                    break;
                case 4:
                    parcel.destination_arn = std::move(text);
                    break;
                case 5:
                    parcel.request_id = std::move(text);
                    break;
                case 6:
                    parcel.trace_header = std::move(text);
                    break;
                case 7:
                    parcel.message = std::move(text);
                    break;
                default:
                    break;
            }
        }
    }
};

std::string LaneOf(const BucketRecord& bucket, std::string_view destination_arn) {
    return fmt::format(
        "{}/{}/{}/{}", bucket.account.text(), bucket.region.text(), bucket.name, destination_arn);
}

// What concerns this message and no other: another try would not end differently.
bool IsOfOneMessage(const Error& error) {
    return error.kind() == Error::Kind::kInvalid;
}

}  // namespace

Notifications::Notifications(const Deps& deps) : deps_(deps) {
    deps_.courier.Register(
        kKind,
        [this](const flow::Delivery& delivery) { return Deliver(delivery); },
        {.running_per_lane = kRunningPerLane, .running_max = kRunningMax, .ordered = false});
}

Status Announcement::Add(
    storage::Transaction& transaction,
    NotificationEvent event,
    const ObjectRecord& object,
    std::optional<WallClock::time_point> restored_until) {
    const NotificationRule* rule = rules_ == nullptr ? nullptr : rules_->Find(event, object.key);
    if (rule == nullptr) {
        return Status();
    }
    const Deps& deps = notifications_.deps_;
    NotificationFacts facts{
        .event = event,
        .configuration_id = rule->id,
        .at = deps.wall_clock.Now(),
        .cause = cause_,
        .own_request_id = cause_ == nullptr ? deps.random.Uuid() : std::string(),
        // The key was read by now, so that changes of one key get theirs in order of their commits.
        .sequencer = notifications_.NextSequencer(object.sequence),
        .restored_until = restored_until};
    Parcel parcel{
        .account = bucket_.account,
        .region = bucket_.region,
        .bucket = bucket_.name,
        .destination_arn = rule->destination_arn,
        .request_id = deps.random.Uuid(),
        .trace_header = {},
        .message = NotificationMessage(facts, bucket_, object)};
    if (const std::string* trace = cause_ == nullptr ? nullptr : cause_->Header(kTraceHeader)) {
        parcel.trace_header = *trace;
        BeginLineage(parcel.trace_header, cause_->calling_function_arn);
    }
    flow::Delivery delivery =
        deps.courier.Make(kKind, LaneOf(bucket_, rule->destination_arn), parcel.Encode());
    HEARTH_RETURN_IF_ERROR(deps.courier.Put(transaction, delivery));
    deliveries_.push_back(std::move(delivery));
    return Status();
}

void Announcement::End(const Status& status) {
    if (status.ok()) {
        Committed();
        return;
    }
    if (!status.error().is_client_fault()) {
        // Whether it was committed is not known; this is only a hint.
        for (const flow::Delivery& delivery : deliveries_) {
            notifications_.deps_.courier.LookAgain(delivery.kind, delivery.lane);
        }
    }
    deliveries_.clear();
}

void Announcement::Committed() {
    for (flow::Delivery& delivery : std::exchange(deliveries_, {})) {
        notifications_.deps_.courier.Committed(std::move(delivery));
    }
}

uint64_t Notifications::NextSequencer(int64_t least) {
    const auto now = static_cast<uint64_t>(
        std::max<int64_t>({least, 0, UnixMs<WallClock>(deps_.wall_clock.Now()) * 1'000}));
    uint64_t last = sequencer_.load(std::memory_order_relaxed);
    uint64_t next = 0;
    do {
        next = std::max(last + 1, now);
    } while (!sequencer_.compare_exchange_weak(last, next, std::memory_order_relaxed));
    return next;
}

EventTarget::Origin Notifications::OriginOf(const BucketRecord& bucket) const {
    return {
        .account = bucket.account,
        .region = bucket.region,
        .service_principal = kPrincipal,
        .source_arn = "arn:aws:s3:::" + bucket.name,
        .role_arn = {}};
}

Task<Status> Notifications::Check(const BucketRecord& bucket, const std::string& destination_arn) {
    EventTarget::Origin origin = OriginOf(bucket);
    co_return co_await deps_.targets.Check(std::move(origin), destination_arn);
}

Task<Status> Notifications::SendTest(
    const BucketRecord& bucket,
    const std::string& destination_arn,
    const aws::RequestContext& context) {
    EventTarget::Origin origin = OriginOf(bucket);
    EventTarget::Event event;
    event.body = NotificationTestMessage(bucket.name, deps_.wall_clock.Now(), context.request_id);
    co_return co_await deps_.targets.Send(std::move(origin), destination_arn, std::move(event));
}

Task<Result<flow::Verdict>> Notifications::Deliver(const flow::Delivery& delivery) {
    auto parcel = Parcel::Decode(delivery.payload);
    if (!parcel.ok()) {
        log::Error("s3: an event cannot be read and is dropped: {}", parcel.error().message());
        co_return flow::Verdict::Done();
    }
    const CloudClock::duration age = deps_.cloud_clock.Now() - delivery.accepted;
    EventTarget::Origin origin{
        .account = parcel->account,
        .region = parcel->region,
        .service_principal = kPrincipal,
        .source_arn = "arn:aws:s3:::" + parcel->bucket,
        .role_arn = {}};
    EventTarget::Event event;
    event.body = std::move(parcel->message);
    event.request_id = std::move(parcel->request_id);
    event.trace_header = std::move(parcel->trace_header);
    const Status sent =
        co_await deps_.targets.Send(std::move(origin), parcel->destination_arn, std::move(event));
    if (sent.ok()) {
        co_return flow::Verdict::Done();
    }
    if (age >= kAgeMax || IsOfOneMessage(sent.error())) {
        log::Warn(
            "s3: an event of {} for {} is dropped: {}",
            parcel->bucket,
            parcel->destination_arn,
            sent.error().message());
        co_return flow::Verdict::Done();
    }
    co_return flow::Verdict::Hold(std::clamp<CloudClock::duration>(age / 4, kRestMin, kRestMax));
}

}  // namespace hearth::s3
