#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

// Source: Amazon SQS Developer Guide, "Amazon SQS message quotas", "queue quotas" and "policy
// quotas"; SQS API Reference; 2026-11. Messages and batches of 1 MiB: since August 2025.
namespace hearth::sqs {

// Body and attributes of one message, and of all messages of a batch.
inline constexpr size_t kMessageBytesMax = 1'048'576;
inline constexpr size_t kMessageAttributesMax = 10;
inline constexpr size_t kAttributeNameBytesMax = 256;
inline constexpr size_t kAttributeTypeBytesMax = 256;
// Of the value of a Number, with a magnitude between 10^-128 and 10^126.
inline constexpr size_t kNumberDigitsMax = 38;
// Of MessageGroupId, MessageDeduplicationId and ReceiveRequestAttemptId.
inline constexpr size_t kTokenCharactersMax = 128;

inline constexpr size_t kBatchEntriesMax = 10;
inline constexpr size_t kBatchIdCharactersMax = 80;
inline constexpr int32_t kReceiveMax = 10;

inline constexpr int32_t kDelayMax_s = 900;
inline constexpr int32_t kVisibilityMax_s = 43'200;
inline constexpr int32_t kWaitMax_s = 20;

inline constexpr size_t kQueueNameMax = 80;
inline constexpr size_t kTagsMax = 50;
inline constexpr size_t kTagKeyCharactersMax = 128;
inline constexpr size_t kTagValueCharactersMax = 256;
// ListQueues, ListDeadLetterSourceQueues.
inline constexpr int32_t kListMax = 1000;
inline constexpr int32_t kMoveTasksListMax = 10;
inline constexpr int32_t kMoveRateMax = 500;

// Of a queue policy made by AddPermission.
inline constexpr size_t kPermissionActionsMax = 7;
inline constexpr size_t kPermissionStatementsMax = 20;

}  // namespace hearth::sqs
