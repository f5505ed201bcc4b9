#pragma once

#include "aws/front/context.h"
#include "base/result.h"
#include "services/s3/bucket_cache.h"
#include "services/s3/checksums.h"
#include "services/s3/customer_key.h"
#include "services/s3/object_lock.h"
#include "services/s3/records.h"
#include "services/s3/tags.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What requests say of an object in headers, and what answers say: shared by PutObject, CopyObject,
// CreateMultipartUpload, POST forms, GET and HEAD. Pure.
namespace hearth::s3 {

// Errors: MetadataTooLarge.
Status CheckMetadata(const std::map<std::string, std::string>& metadata);
// Errors: InvalidStorageClass; NotImplemented for the classes of other kinds of buckets.
Status CheckStorageClass(std::string_view storage_class);
// Errors: InvalidRedirectLocation.
Status CheckWebsiteRedirect(std::string_view location);

// Content headers, metadata and website redirect: what a copy takes from its source or replaces.
template <class Input>
Status ReadContentHeaders(const Input& input, ObjectRecord& record) {
    record.content_type = input.content_type;
    record.cache_control = input.cache_control;
    record.content_disposition = input.content_disposition;
    record.content_encoding = input.content_encoding;
    record.content_language = input.content_language;
    record.expires = input.expires;
    record.metadata.clear();
    if (input.metadata) {
        HEARTH_RETURN_IF_ERROR(CheckMetadata(*input.metadata));
        record.metadata.assign(input.metadata->begin(), input.metadata->end());
    }
    return Status();
}

// The same from another object.
void CopyContentHeaders(const ObjectRecord& from, ObjectRecord& to);

// Storage class, redirect, retention, legal hold, encryption: never taken from a copy's source.
//   returns  the customer's key, if the body is to be sealed with one
template <class Input>
Result<std::optional<CustomerKeyOfRequest>> ReadOwnHeaders(
    const Input& input,
    const BucketState& bucket,
    CloudClock::time_point now,
    ObjectRecord& record) {
    if (input.storage_class) {
        HEARTH_RETURN_IF_ERROR(CheckStorageClass(*input.storage_class));
        record.storage_class = *input.storage_class;
    }
    if (input.website_redirect_location) {
        HEARTH_RETURN_IF_ERROR(CheckWebsiteRedirect(*input.website_redirect_location));
        record.website_redirect = input.website_redirect_location;
    }
    HEARTH_TRY(
        auto lock,
        LockNewVersion(
            {.mode = input.object_lock_mode,
             .until = input.object_lock_retain_until_date,
             .legal_hold = input.object_lock_legal_hold_status},
            bucket.record.object_lock,
            bucket.compiled.default_retention,
            now));
    record.retention = std::move(lock.retention);
    record.legal_hold = lock.legal_hold;
    HEARTH_TRY(auto key, ReadCustomerKeyOf(input));
    HEARTH_RETURN_IF_ERROR(CheckEncryptionHeader(input.server_side_encryption, key.has_value()));
    if (key && bucket.compiled.blocks_customer_keys) {
        return Error(
            Error::Kind::kDenied,
            "AccessDenied",
            "Server-side encryption with customer-provided keys (SSE-C) is blocked by the "
            "encryption configuration of this bucket.",
            403);
    }
    // What the body really is, is known when it is written (--encrypt-at-rest off).
    record.encryption = Encryption::kS3;
    if (key) {
        record.encryption = Encryption::kCustomer;
        record.customer_key_md5 = key->md5;
    }
    return key;
}

// Everything of PutObject and CreateMultipartUpload: a record without bytes, check sum, version.
template <class Input>
Result<std::pair<ObjectRecord, std::optional<CustomerKeyOfRequest>>> ReadNewObject(
    const Input& input,
    const BucketState& bucket,
    WallClock::time_point now,
    CloudClock::time_point cloud_now) {
    ObjectRecord record;
    record.key = input.key.value_or(std::string());
    record.modified = now;
    record.modified_cloud_ms = UnixMs(cloud_now);
    HEARTH_RETURN_IF_ERROR(ReadContentHeaders(input, record));
    if (input.tagging) {
        HEARTH_TRY(record.tags, ParseTaggingHeader(*input.tagging));
    }
    HEARTH_TRY(auto key, ReadOwnHeaders(input, bucket, cloud_now, record));
    return std::pair(std::move(record), std::move(key));
}

std::string QuotedEtag(std::string_view etag);
// x-amz-version-id of an answer: nothing in a bucket that never had versions.
std::optional<std::string> ShownVersionId(const BucketRecord& bucket, const ObjectRecord& record);
// x-amz-restore: empty for what was never restored.
std::optional<std::string> RestoreHeader(const ObjectRecord& record);

// Headers of GET and HEAD, and of 304.
template <class Output>
void ShowObject(Output& output, const BucketRecord& bucket, const ObjectRecord& record) {
    output.accept_ranges = "bytes";
    output.last_modified = record.modified;
    output.e_tag = QuotedEtag(record.etag);
    output.version_id = ShownVersionId(bucket, record);
    // AWS gives everything a type; clients rely on it.
    output.content_type = record.content_type ? *record.content_type : "binary/octet-stream";
    output.cache_control = record.cache_control;
    output.content_disposition = record.content_disposition;
    output.content_encoding = record.content_encoding;
    output.content_language = record.content_language;
    output.expires = record.expires;
    output.website_redirect_location = record.website_redirect;
    if (!record.metadata.empty()) {
        output.metadata.emplace(record.metadata.begin(), record.metadata.end());
    }
    if (record.storage_class != "STANDARD") {
        output.storage_class = record.storage_class;
    }
    ShowEncryption(output, record.encryption, record.customer_key_md5);
    if (!record.tags.empty()) {
        output.tag_count = static_cast<int32_t>(record.tags.size());
    }
    if (!record.retention.mode.empty()) {
        output.object_lock_mode = record.retention.mode;
        output.object_lock_retain_until_date = record.retention.until;
    }
    if (record.legal_hold) {
        output.object_lock_legal_hold_status = "ON";
    }
    output.restore = RestoreHeader(record);
}

}  // namespace hearth::s3
