#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

// Limits of event source mappings for SQS. Source: Lambda Developer Guide, "Using Lambda with
// Amazon SQS", "Configuring scaling behavior for SQS event source mappings", "Lambda quotas"; read
// 2026-11.
namespace hearth::lambda::limits {

// AWS: 5, and up to 10 by a raised quota.
inline constexpr size_t kMappingFiltersMax = 10;
inline constexpr int32_t kFifoBatchSizeMax = 10;
inline constexpr int32_t kBatchSizeWithoutWindowMax = 10;
// Of an invocation's payload.
inline constexpr size_t kBatchPayloadBytesMax = 6 * 1024 * 1024;

// Batches that run at once when messages begin to come, how many more a minute while there are
// more, and how many at most.
inline constexpr int32_t kScaleStart = 5;
inline constexpr int32_t kScalePerMinute = 300;
inline constexpr int32_t kScaleMax = 1'250;

// Provisioned mode: each poller runs up to ten batches at once; a thousand more a minute.
inline constexpr int32_t kBatchesPerPoller = 10;
inline constexpr int32_t kProvisionedPerMinute = 1'000;
inline constexpr int32_t kPollersMinLeast = 2;
inline constexpr int32_t kPollersMinMost = 200;
inline constexpr int32_t kPollersMaxMost = 2'000;

}  // namespace hearth::lambda::limits
