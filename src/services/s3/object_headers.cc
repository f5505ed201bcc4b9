#include "services/s3/object_headers.h"

#include "codec/timestamp/timestamp.h"
#include "services/s3/errors.h"
#include "services/s3/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace hearth::s3 {

Status CheckMetadata(const std::map<std::string, std::string>& metadata) {
    size_t bytes = 0;
    for (const auto& [name, value] : metadata) {
        bytes += name.size() + value.size();
    }
    if (bytes > kMetadataBytesMax) {
        return errors::MetadataTooLarge(bytes);
    }
    return Status();
}

Status CheckStorageClass(std::string_view storage_class) {
    static constexpr std::array<std::string_view, 8> kClasses = {
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "DEEP_ARCHIVE",
        "GLACIER_IR"};
    if (std::find(kClasses.begin(), kClasses.end(), storage_class) == kClasses.end()) {
        return errors::InvalidStorageClass(storage_class);
    }
    return Status();
}

Status CheckWebsiteRedirect(std::string_view location) {
    if (!location.starts_with('/') && !location.starts_with("http://") &&
        !location.starts_with("https://")) {
        return Error(
            Error::Kind::kInvalid,
            "InvalidRedirectLocation",
            "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
            400);
    }
    if (location.size() > kMetadataBytesMax) {
        return Error(
            Error::Kind::kInvalid,
            "InvalidRedirectLocation",
            "The length of website redirect location cannot exceed 2,048 characters.",
            400);
    }
    return Status();
}

void CopyContentHeaders(const ObjectRecord& from, ObjectRecord& to) {
    to.content_type = from.content_type;
    to.cache_control = from.cache_control;
    to.content_disposition = from.content_disposition;
    to.content_encoding = from.content_encoding;
    to.content_language = from.content_language;
    to.expires = from.expires;
    to.metadata = from.metadata;
}

std::string QuotedEtag(std::string_view etag) {
    std::string quoted;
    quoted.reserve(etag.size() + 2);
    quoted += '"';
    quoted += etag;
    quoted += '"';
    return quoted;
}

std::optional<std::string> ShownVersionId(const BucketRecord& bucket, const ObjectRecord& record) {
    if (bucket.versioning == Versioning::kNever) {
        return std::nullopt;
    }
    return record.version_id;
}

std::optional<std::string> RestoreHeader(const ObjectRecord& record) {
    if (record.restore_ongoing) {
        return "ongoing-request=\"true\"";
    }
    if (record.restored_until) {
        return fmt::format(
            "ongoing-request=\"false\", expiry-date=\"{}\"",
            codec::FormatRfc822(*record.restored_until));
    }
    return std::nullopt;
}

}  // namespace hearth::s3
