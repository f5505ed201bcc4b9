#include "services/s3/notification_event.h"

#include <array>
#include <cstddef>

namespace hearth::s3 {
namespace {

// In order of the enumeration.
// Source: S3 User Guide, "Supported event types for SQS, SNS, and Lambda"; 2026-11.
constexpr std::array<std::string_view, 21> kNames = {
    "ObjectCreated:Put",
    "ObjectCreated:Post",
    "ObjectCreated:Copy",
    "ObjectCreated:CompleteMultipartUpload",
    "ObjectRemoved:Delete",
    "ObjectRemoved:DeleteMarkerCreated",
    "ObjectRestore:Post",
    "ObjectRestore:Completed",
    "ObjectRestore:Delete",
    "ReducedRedundancyLostObject",
    "Replication:OperationFailedReplication",
    "Replication:OperationNotTracked",
    "Replication:OperationMissedThreshold",
    "Replication:OperationReplicatedAfterThreshold",
    "LifecycleExpiration:Delete",
    "LifecycleExpiration:DeleteMarkerCreated",
    "LifecycleTransition",
    "IntelligentTiering",
    "ObjectTagging:Put",
    "ObjectTagging:Delete",
    "ObjectAcl:Put",
};
static_assert(static_cast<size_t>(NotificationEvent::kAclPut) + 1 == kNames.size());

constexpr std::string_view kPrefix = "s3:";

}  // namespace

std::string_view NotificationEventName(NotificationEvent event) {
    return kNames.at(static_cast<size_t>(event));
}

std::optional<NotificationEvents> ParseNotificationEvents(std::string_view name) {
    if (!name.starts_with(kPrefix)) {
        return std::nullopt;
    }
    name.remove_prefix(kPrefix.size());
    const bool all = name.ends_with(":*");
    if (all) {
        name.remove_suffix(1);
    }
    NotificationEvents events = 0;
    for (size_t i = 0; i < kNames.size(); ++i) {
        if (all ? kNames[i].starts_with(name) : kNames[i] == name) {
            events |= NotificationEvents{1} << i;
        }
    }
    return events == 0 ? std::nullopt : std::optional(events);
}

}  // namespace hearth::s3
