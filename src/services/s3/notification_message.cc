#include "services/s3/notification_message.h"

#include "aws/front/context.h"
#include "aws/protocol/rest_xml.h"
#include "codec/json/json.h"
#include "codec/timestamp/timestamp.h"
#include "codec/uri/uri.h"
#include "services/s3/canonical_user.h"

#include <fmt/format.h>

namespace hearth::s3 {
namespace {

using codec::JsonWriter;

constexpr std::string_view kOwn = "s3.amazonaws.com";
// A delete marker has no bytes.
constexpr std::string_view kEtagOfNothing = "d41d8cd98f00b204e9800998ecf8427e";

std::string_view VersionOf(NotificationEvent event) {
    switch (event) {
        case NotificationEvent::kReplicationFailed:
        case NotificationEvent::kReplicationNotTracked:
        case NotificationEvent::kReplicationMissedThreshold:
        case NotificationEvent::kReplicationReplicatedAfterThreshold:
            return "2.2";
        case NotificationEvent::kRestoreDelete:
        case NotificationEvent::kLifecycleExpirationDelete:
        case NotificationEvent::kLifecycleExpirationDeleteMarkerCreated:
        case NotificationEvent::kLifecycleTransition:
        case NotificationEvent::kIntelligentTiering:
        case NotificationEvent::kTaggingPut:
        case NotificationEvent::kTaggingDelete:
        case NotificationEvent::kAclPut:
            return "2.3";
        default:
            return "2.1";
    }
}

bool IsMarkerCreated(NotificationEvent event) {
    return event == NotificationEvent::kRemovedDeleteMarkerCreated ||
           event == NotificationEvent::kLifecycleExpirationDeleteMarkerCreated;
}

bool IsRemoval(NotificationEvent event) {
    return event == NotificationEvent::kRemovedDelete ||
           event == NotificationEvent::kLifecycleExpirationDelete || IsMarkerCreated(event);
}

bool IsCreation(NotificationEvent event) {
    return event <= NotificationEvent::kCreatedCompleteMultipartUpload;
}

bool HasSize(NotificationEvent event) {
    return !IsRemoval(event) && event != NotificationEvent::kTaggingPut &&
           event != NotificationEvent::kTaggingDelete && event != NotificationEvent::kAclPut;
}

// "AWS:AIDA..." for users and roles, an account's own name for its root.
std::string PrincipalOf(const aws::Caller& caller) {
    switch (caller.type) {
        case aws::Caller::Type::kAnonymous:
            return "Anonymous";
        case aws::Caller::Type::kRoot:
            return CanonicalUserId(caller.account);
        case aws::Caller::Type::kService:
            return std::string(kOwn);
        case aws::Caller::Type::kUser:
        case aws::Caller::Type::kAssumedRole:
            return "AWS:" + caller.user_id;
    }
    return {};
}

void Member(JsonWriter& json, std::string_view name, std::string_view value) {
    json.Key(name);
    json.String(value);
}

// An object of one string, such as userIdentity.
void Single(
    JsonWriter& json, std::string_view name, std::string_view member, std::string_view value) {
    json.Key(name);
    json.BeginObject();
    Member(json, member, value);
    json.EndObject();
}

void AppendObject(
    JsonWriter& json,
    const NotificationFacts& facts,
    const BucketRecord& bucket,
    const ObjectRecord& object) {
    json.Key("object");
    json.BeginObject();
    Member(json, "key", NotificationKey(object.key));
    if (HasSize(facts.event)) {
        json.Key("size");
        json.Uint(object.size);
    }
    if (IsMarkerCreated(facts.event)) {
        Member(json, "eTag", kEtagOfNothing);
    } else if (!IsRemoval(facts.event)) {
        Member(json, "eTag", object.etag);
    }
    if (bucket.versioning != Versioning::kNever) {
        Member(json, "versionId", object.version_id);
    }
    if (IsCreation(facts.event) || IsRemoval(facts.event)) {
        Member(json, "sequencer", fmt::format("{:018X}", facts.sequencer));
    }
    json.EndObject();
}

// What some events tell besides.
void AppendEventData(JsonWriter& json, const NotificationFacts& facts, const ObjectRecord& object) {
    switch (facts.event) {
        case NotificationEvent::kRestoreCompleted:
        case NotificationEvent::kRestoreDelete:
            json.Key("glacierEventData");
            json.BeginObject();
            json.Key("restoreEventData");
            json.BeginObject();
            if (facts.restored_until) {
                Member(
                    json,
                    "lifecycleRestorationExpiryTime",
                    codec::FormatIso8601(*facts.restored_until, /*milliseconds=*/true));
            }
            Member(json, "lifecycleRestoreStorageClass", object.storage_class);
            json.EndObject();
            json.EndObject();
            return;
        case NotificationEvent::kLifecycleTransition:
            json.Key("lifecycleEventData");
            json.BeginObject();
            Single(json, "transitionEventData", "destinationStorageClass", object.storage_class);
            json.EndObject();
            return;
        case NotificationEvent::kIntelligentTiering:
            Single(
                json,
                "intelligentTieringEventData",
                "destinationAccessTier",
                object.tier == "ARCHIVE"        ? "ARCHIVE_ACCESS"
                : object.tier == "DEEP_ARCHIVE" ? "DEEP_ARCHIVE_ACCESS"
                                                : object.tier);
            return;
        default:
            return;
    }
}

}  // namespace

std::string NotificationKey(std::string_view key) {
    // AWS encodes as Java's forms do, but for slashes.
    std::string encoded;
    for (const char c : codec::PercentEncode(key, /*keep_slash=*/true)) {
        encoded.push_back(c);
        if (encoded.ends_with("%20")) {
            encoded.replace(encoded.size() - 3, 3, "+");
        } else if (encoded.ends_with("%2A")) {
            encoded.replace(encoded.size() - 3, 3, "*");
        }
    }
    return encoded;
}

std::string NotificationMessage(
    const NotificationFacts& facts, const BucketRecord& bucket, const ObjectRecord& object) {
    const std::string& request_id =
        facts.cause == nullptr ? facts.own_request_id : facts.cause->request_id;
    JsonWriter json;
    json.BeginObject();
    json.Key("Records");
    json.BeginArray();
    json.BeginObject();
    Member(json, "eventVersion", VersionOf(facts.event));
    Member(json, "eventSource", "aws:s3");
    Member(json, "awsRegion", bucket.region.text());
    Member(json, "eventTime", codec::FormatIso8601(facts.at, /*milliseconds=*/true));
    Member(json, "eventName", NotificationEventName(facts.event));
    Single(
        json,
        "userIdentity",
        "principalId",
        facts.cause == nullptr ? kOwn : std::string_view(PrincipalOf(facts.cause->caller)));
    std::string_view address = kOwn;
    if (facts.cause != nullptr && !facts.cause->peer_address.empty()) {
        address = facts.cause->peer_address;
    }
    Single(json, "requestParameters", "sourceIPAddress", address);
    json.Key("responseElements");
    json.BeginObject();
    Member(json, "x-amz-request-id", request_id);
    Member(json, "x-amz-id-2", aws::protocol::HostId(request_id));
    json.EndObject();
    json.Key("s3");
    json.BeginObject();
    Member(json, "s3SchemaVersion", "1.0");
    Member(json, "configurationId", facts.configuration_id);
    json.Key("bucket");
    json.BeginObject();
    Member(json, "name", bucket.name);
    Single(json, "ownerIdentity", "principalId", CanonicalUserId(bucket.account));
    Member(json, "arn", "arn:aws:s3:::" + bucket.name);
    json.EndObject();
    AppendObject(json, facts, bucket, object);
    json.EndObject();
    AppendEventData(json, facts, object);
    json.EndObject();
    json.EndArray();
    json.EndObject();
    return json.Take();
}

std::string NotificationTestMessage(
    std::string_view bucket, WallClock::time_point now, std::string_view request_id) {
    JsonWriter json;
    json.BeginObject();
    Member(json, "Service", "Amazon S3");
    Member(json, "Event", "s3:TestEvent");
    Member(json, "Time", codec::FormatIso8601(now, /*milliseconds=*/true));
    Member(json, "Bucket", bucket);
    Member(json, "RequestId", request_id);
    Member(json, "HostId", aws::protocol::HostId(request_id));
    json.EndObject();
    return json.Take();
}

}  // namespace hearth::s3
