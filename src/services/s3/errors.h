#pragma once

#include "base/error.h"

#include <cstdint>
#include <string>
#include <string_view>

// S3's errors. Source: S3 API Reference, "Error responses", and what the service answers.
namespace hearth::s3::errors {

// Buckets.
Error NoSuchBucket(std::string_view bucket);
Error BucketAlreadyExists(std::string_view bucket);
Error BucketAlreadyOwnedByYou(std::string_view bucket);
Error BucketNotEmpty(std::string_view bucket);
// A versioned bucket that still holds versions.
Error BucketNotEmptyVersions(std::string_view bucket);
Error InvalidBucketName(std::string_view bucket);
Error InvalidBucketState(std::string message);
Error IllegalLocationConstraint(std::string_view constraint);
Error InvalidLocationConstraint(std::string_view constraint);
Error TooManyBuckets();

// Objects.
Error NoSuchKey(std::string_view key);
Error NoSuchVersion(std::string_view key, std::string_view version_id);
Error KeyTooLong(size_t bytes);
Error InvalidUri(std::string_view key);
Error MethodNotAllowed(std::string_view method, std::string_view resource_type);
Error MetadataTooLarge(size_t bytes);
Error InvalidStorageClass(std::string_view storage_class);
Error EntityTooLarge(uint64_t bytes);
Error InvalidRange(std::string_view range, uint64_t size);
Error InvalidPartNumber(int32_t asked, int32_t count);
Error InvalidObjectState(std::string_view storage_class, std::string_view access_tier);

// Integrity.
Error InvalidDigest(std::string_view value);
Error BadDigest(std::string message);
Error BadDigestMd5(std::string_view expected, std::string_view calculated);
Error MissingContentLength();

// Conditionals.
Error PreconditionFailed(std::string_view condition);
Error ConditionalRequestConflict(std::string_view condition, std::string_view key);

// Everything else.
Error InvalidArgument(std::string message, std::string_view name, std::string_view value);
Error InvalidRequest(std::string message);
Error MalformedXml();
Error AccessDenied(std::string message = "Access Denied");
Error NotImplemented(std::string message, std::string_view header = "");
Error InvalidTag(std::string message);
Error OperationAborted();
Error InternalError();
// The disk is full; reads go on. Not retried by clients.
Error InsufficientStorage();

}  // namespace hearth::s3::errors
