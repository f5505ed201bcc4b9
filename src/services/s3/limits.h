#pragma once

#include <cstddef>
#include <cstdint>

// Source: S3 User Guide, "Object metadata", "Bucket quotas", "Multipart upload limits"; 2026-11.
namespace hearth::s3 {

inline constexpr size_t kKeyBytesMax = 1'024;
// Names and values of x-amz-meta-* together.
inline constexpr size_t kMetadataBytesMax = 2 * 1024;
// One PutObject or part; and one object.
inline constexpr uint64_t kPutBytesMax = 5ull * 1024 * 1024 * 1024;
inline constexpr uint64_t kObjectBytesMax = 50ull * 1024 * 1024 * 1024 * 1024;
// CopyObject in one step.
inline constexpr uint64_t kCopyBytesMax = 5ull * 1024 * 1024 * 1024;
inline constexpr int32_t kPartsMax = 10'000;
inline constexpr size_t kDeleteObjectsMax = 1'000;
// Bodies of at most so many sealed bytes stand in their object's record.
inline constexpr size_t kBytesInRecordMax = 2 * 1024;
// Keys of one transaction of DeleteObjects.
inline constexpr size_t kDeleteBatch = 100;
inline constexpr size_t kBucketsPerAccountMax = 10'000;
inline constexpr int32_t kListBucketsDefault = 10'000;
inline constexpr size_t kListBucketPage = 1'000;
inline constexpr size_t kBucketCacheMax = 4'096;

}  // namespace hearth::s3
