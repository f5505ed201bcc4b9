#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace hearth::s3 {

// What a bucket can tell about. Values are bits of NotificationEvents, never stored.
enum class NotificationEvent : uint8_t {
    kCreatedPut,
    kCreatedPost,
    kCreatedCopy,
    kCreatedCompleteMultipartUpload,
    kRemovedDelete,
    kRemovedDeleteMarkerCreated,
    kRestorePost,
    kRestoreCompleted,
    kRestoreDelete,
    // Nothing of this kind ever happens here; configurations may name them.
    kReducedRedundancyLostObject,
    kReplicationFailed,
    kReplicationNotTracked,
    kReplicationMissedThreshold,
    kReplicationReplicatedAfterThreshold,
    kLifecycleExpirationDelete,
    kLifecycleExpirationDeleteMarkerCreated,
    kLifecycleTransition,
    kIntelligentTiering,
    kTaggingPut,
    kTaggingDelete,
    kAclPut,
};

// A set of events: bit `1 << event`.
using NotificationEvents = uint32_t;

constexpr NotificationEvents SetOf(NotificationEvent event) {
    return NotificationEvents{1} << static_cast<unsigned>(event);
}

// As in `eventName` of a message: "ObjectCreated:Put".
std::string_view NotificationEventName(NotificationEvent event);

// What a configuration's "s3:ObjectCreated:*" means; nullopt: AWS has no such event.
std::optional<NotificationEvents> ParseNotificationEvents(std::string_view name);

}  // namespace hearth::s3
