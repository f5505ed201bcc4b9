#pragma once

#include <cstddef>
#include <cstdint>

// Lambda's documented limits. Source: "Lambda quotas", docs.aws.amazon.com/lambda/latest/dg, read
// 2026-11.
namespace hearth::lambda::limits {

inline constexpr size_t kFunctionNameCharactersMax = 64;
inline constexpr int32_t kMemoryMbMax = 10'240;
inline constexpr int32_t kTimeoutSecondsMax = 900;
inline constexpr size_t kEnvironmentBytesMax = 4 * 1024;
// Of the zip in a request; larger ones come through S3.
inline constexpr size_t kZipBytesMax = 52'428'800;
inline constexpr size_t kCreateRequestBytesMax = 70'167'211;
inline constexpr uint64_t kUnzippedBytesMax = 262'144'000;
inline constexpr size_t kLayersMax = 5;
// All zips of a region.
inline constexpr int64_t kCodeStorageBytesMax = 80'530'636'800;
inline constexpr size_t kTagsMax = 50;
inline constexpr size_t kTagKeyCharactersMax = 128;
inline constexpr size_t kTagValueCharactersMax = 256;
// Both ways of a RequestResponse call.
inline constexpr size_t kInvokePayloadBytesMax = 6'291'456;
// Of an Event call.
inline constexpr size_t kAsyncPayloadBytesMax = 1'048'576;
inline constexpr size_t kClientContextBytesMax = 3'583;
// What list operations return at most, whatever MaxItems says.
inline constexpr int32_t kListItemsMax = 50;

// Hearth's own, against archives made to fill the machine.
inline constexpr size_t kZipEntriesMax = 100'000;

}  // namespace hearth::lambda::limits
