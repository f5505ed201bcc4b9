#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

// Source: CloudWatch Logs API Reference and "CloudWatch Logs quotas", 2026-11.
namespace hearth::logs {

// PutLogEvents.
inline constexpr size_t kBatchBytesMax = 1'048'576;
// Counted for each event on top of its message.
inline constexpr size_t kEventOverheadBytes = 26;
inline constexpr std::chrono::milliseconds kBatchSpanMax = std::chrono::hours(24);
inline constexpr std::chrono::milliseconds kTooNew = std::chrono::hours(2);
inline constexpr std::chrono::milliseconds kTooOld = std::chrono::hours(24 * 14);

// GetLogEvents and FilterLogEvents answer with so much at most.
inline constexpr size_t kAnswerBytesMax = 1'048'576;
inline constexpr int32_t kAnswerEventsMax = 10'000;
// One FilterLogEvents looks at so much, then answers with a token to go on.
inline constexpr size_t kFilterBytesMax = 32 * 1024 * 1024;
inline constexpr size_t kFilterChunksMax = 20'000;

inline constexpr int32_t kDescribeMax = 50;
inline constexpr size_t kTagsMax = 50;
inline constexpr size_t kSubscriptionFiltersMax = 2;

// Ours: how events are stored (docs/internals/storage-keys.md, "logs").
inline constexpr size_t kChunkBytes = 256 * 1024;
inline constexpr std::chrono::milliseconds kChunkSpanMax = std::chrono::minutes(1);
inline constexpr size_t kChunksPerTransactionMax = 300;
// Retention deletes at most so often; what has expired is hidden at once.
inline constexpr std::chrono::milliseconds kRetentionPause = std::chrono::hours(1);
// Messages of one invocation of a subscribed function, unless a single one is larger: in gzip and
// base64 they stay below what an asynchronous invocation may be.
inline constexpr size_t kSubscriptionBytesMax = 512 * 1024;
// Keys deleted in one transaction.
inline constexpr size_t kDeleteBatch = 400;

}  // namespace hearth::logs
