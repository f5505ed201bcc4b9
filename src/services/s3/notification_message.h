#pragma once

#include "base/clock.h"
#include "base/ids.h"
#include "services/s3/notification_event.h"
#include "services/s3/records.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hearth::aws {
struct RequestContext;
}

// The texts that buckets send. Source: S3 User Guide, "Event message structure"; 2026-11.
namespace hearth::s3 {

// What one message tells, besides the bucket and the object.
struct NotificationFacts {
    NotificationEvent event;
    // Of the rule that asked for it.
    std::string_view configuration_id;
    WallClock::time_point at;
    // Of the request that did it; null: S3 did it itself, and `own_request_id` stands in.
    const aws::RequestContext* cause = nullptr;
    std::string own_request_id;
    // Grows with each change of a key.
    uint64_t sequencer = 0;
    // Of a restored object: when its copy ends; nothing in Intelligent-Tiering.
    std::optional<WallClock::time_point> restored_until;
};

// {"Records":[{...}]}: one event.
std::string NotificationMessage(
    const NotificationFacts& facts, const BucketRecord& bucket, const ObjectRecord& object);

// What a queue gets when a configuration begins to name it.
std::string NotificationTestMessage(
    std::string_view bucket, WallClock::time_point now, std::string_view request_id);

// "a b/c+d" -> "a+b/c%2Bd": keys in messages are encoded as in forms.
std::string NotificationKey(std::string_view key);

}  // namespace hearth::s3
