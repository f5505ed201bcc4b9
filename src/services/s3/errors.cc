#include "services/s3/errors.h"

#include "services/s3/limits.h"

#include <fmt/format.h>

namespace hearth::s3::errors {
namespace {

using Kind = Error::Kind;

Error Make(Kind kind, int status, std::string_view code, std::string message) {
    return Error(kind, std::string(code), std::move(message), status);
}

Error OfBucket(Error error, std::string_view bucket) {
    return std::move(error).WithField("BucketName", std::string(bucket));
}

}  // namespace

Error NoSuchBucket(std::string_view bucket) {
    return OfBucket(
        Make(Kind::kNotFound, 404, "NoSuchBucket", "The specified bucket does not exist"), bucket);
}

Error BucketAlreadyExists(std::string_view bucket) {
    return OfBucket(
        Make(
            Kind::kConflict,
            409,
            "BucketAlreadyExists",
            "The requested bucket name is not available. The bucket namespace is shared by all "
            "users of the system. Please select a different name and try again."),
        bucket);
}

Error BucketAlreadyOwnedByYou(std::string_view bucket) {
    return OfBucket(
        Make(
            Kind::kConflict,
            409,
            "BucketAlreadyOwnedByYou",
            "Your previous request to create the named bucket succeeded and you already own it."),
        bucket);
}

Error BucketNotEmpty(std::string_view bucket) {
    return OfBucket(
        Make(Kind::kConflict, 409, "BucketNotEmpty", "The bucket you tried to delete is not empty"),
        bucket);
}

Error BucketNotEmptyVersions(std::string_view bucket) {
    return OfBucket(
        Make(
            Kind::kConflict,
            409,
            "BucketNotEmpty",
            "The bucket you tried to delete is not empty. You must delete all versions in the "
            "bucket."),
        bucket);
}

Error InvalidBucketName(std::string_view bucket) {
    return OfBucket(
        Make(Kind::kInvalid, 400, "InvalidBucketName", "The specified bucket is not valid."),
        bucket);
}

Error InvalidBucketState(std::string message) {
    return Make(Kind::kConflict, 409, "InvalidBucketState", std::move(message));
}

Error IllegalLocationConstraint(std::string_view constraint) {
    return Make(
        Kind::kInvalid,
        400,
        "IllegalLocationConstraintException",
        fmt::format(
            "The {} location constraint is incompatible for the region specific endpoint this "
            "request was sent to.",
            constraint.empty() ? "unspecified" : constraint));
}

Error InvalidLocationConstraint(std::string_view constraint) {
    return Make(
               Kind::kInvalid,
               400,
               "InvalidLocationConstraint",
               "The specified location-constraint is not valid")
        .WithField("LocationConstraint", std::string(constraint));
}

Error TooManyBuckets() {
    return Make(
        Kind::kInvalid,
        400,
        "TooManyBuckets",
        "You have attempted to create more buckets than allowed");
}

Error NoSuchKey(std::string_view key) {
    return Make(Kind::kNotFound, 404, "NoSuchKey", "The specified key does not exist.")
        .WithField("Key", std::string(key));
}

Error NoSuchVersion(std::string_view key, std::string_view version_id) {
    return Make(Kind::kNotFound, 404, "NoSuchVersion", "The specified version does not exist.")
        .WithField("Key", std::string(key))
        .WithField("VersionId", std::string(version_id));
}

Error KeyTooLong(size_t bytes) {
    return Make(Kind::kInvalid, 400, "KeyTooLongError", "Your key is too long")
        .WithField("Size", std::to_string(bytes))
        .WithField("MaxSizeAllowed", std::to_string(kKeyBytesMax));
}

Error InvalidUri(std::string_view key) {
    return Make(Kind::kInvalid, 400, "InvalidURI", "Couldn't parse the specified URI.")
        .WithField("URI", std::string(key));
}

Error MethodNotAllowed(std::string_view method, std::string_view resource_type) {
    return Make(
               Kind::kInvalid,
               405,
               "MethodNotAllowed",
               "The specified method is not allowed against this resource.")
        .WithField("Method", std::string(method))
        .WithField("ResourceType", std::string(resource_type));
}

Error MetadataTooLarge(size_t bytes) {
    return Make(
               Kind::kInvalid,
               400,
               "MetadataTooLarge",
               "Your metadata headers exceed the maximum allowed metadata size")
        .WithField("Size", std::to_string(bytes))
        .WithField("MaxSizeAllowed", std::to_string(kMetadataBytesMax));
}

Error InvalidStorageClass(std::string_view storage_class) {
    return Make(
               Kind::kInvalid,
               400,
               "InvalidStorageClass",
               "The storage class you specified is not valid")
        .WithField("StorageClassRequested", std::string(storage_class));
}

Error EntityTooLarge(uint64_t bytes) {
    return Make(
               Kind::kInvalid,
               400,
               "EntityTooLarge",
               "Your proposed upload exceeds the maximum allowed size")
        .WithField("ProposedSize", std::to_string(bytes))
        .WithField("MaxSizeAllowed", std::to_string(kPutBytesMax));
}

Error InvalidRange(std::string_view range, uint64_t size) {
    return Make(Kind::kInvalid, 416, "InvalidRange", "The requested range is not satisfiable")
        .WithField("RangeRequested", std::string(range))
        .WithField("ActualObjectSize", std::to_string(size));
}

Error InvalidPartNumber(int32_t asked, int32_t count) {
    return Make(
               Kind::kInvalid,
               416,
               "InvalidPartNumber",
               "The requested partnumber is not satisfiable")
        .WithField("PartNumberRequested", std::to_string(asked))
        .WithField("ActualPartCount", std::to_string(count));
}

Error InvalidObjectState(std::string_view storage_class, std::string_view access_tier) {
    Error error = Make(
                      Kind::kDenied,
                      403,
                      "InvalidObjectState",
                      "The operation is not valid for the object's storage class")
                      .WithField("StorageClass", std::string(storage_class));
    // Tiers as records name them, too.
    if (access_tier == "ARCHIVE" || access_tier == "DEEP_ARCHIVE") {
        return std::move(error).WithField("AccessTier", std::string(access_tier) + "_ACCESS");
    }
    if (!access_tier.empty()) {
        return std::move(error).WithField("AccessTier", std::string(access_tier));
    }
    return error;
}

Error InvalidDigest(std::string_view value) {
    return Make(Kind::kInvalid, 400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
        .WithField("Content-MD5", std::string(value));
}

Error BadDigest(std::string message) {
    return Make(Kind::kInvalid, 400, "BadDigest", std::move(message));
}

Error BadDigestMd5(std::string_view expected, std::string_view calculated) {
    return BadDigest("The Content-MD5 you specified did not match what we received.")
        .WithField("ExpectedDigest", std::string(expected))
        .WithField("CalculatedDigest", std::string(calculated));
}

Error MissingContentLength() {
    return Make(
        Kind::kInvalid,
        411,
        "MissingContentLength",
        "You must provide the Content-Length HTTP header.");
}

Error PreconditionFailed(std::string_view condition) {
    return Make(
               Kind::kConflict,
               412,
               "PreconditionFailed",
               "At least one of the pre-conditions you specified did not hold")
        .WithField("Condition", std::string(condition));
}

Error ConditionalRequestConflict(std::string_view condition, std::string_view key) {
    return Make(
               Kind::kConflict,
               409,
               "ConditionalRequestConflict",
               "The conditional request cannot succeed due to a conflicting operation against "
               "this resource.")
        .WithField("Condition", std::string(condition))
        .WithField("Key", std::string(key));
}

Error InvalidArgument(std::string message, std::string_view name, std::string_view value) {
    return Make(Kind::kInvalid, 400, "InvalidArgument", std::move(message))
        .WithField("ArgumentName", std::string(name))
        .WithField("ArgumentValue", std::string(value));
}

Error InvalidRequest(std::string message) {
    return Make(Kind::kInvalid, 400, "InvalidRequest", std::move(message));
}

Error MalformedXml() {
    return Make(
        Kind::kInvalid,
        400,
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published "
        "schema");
}

Error AccessDenied(std::string message) {
    return Make(Kind::kDenied, 403, "AccessDenied", std::move(message));
}

Error NotImplemented(std::string message, std::string_view header) {
    Error error = Make(Kind::kUnimplemented, 501, "NotImplemented", std::move(message));
    if (!header.empty()) {
        return std::move(error).WithField("Header", std::string(header));
    }
    return error;
}

Error InvalidTag(std::string message) {
    return Make(Kind::kInvalid, 400, "InvalidTag", std::move(message));
}

Error OperationAborted() {
    return Make(
        Kind::kConflict,
        409,
        "OperationAborted",
        "A conflicting conditional operation is currently in progress against this resource. "
        "Please try again.");
}

Error InternalError() {
    return Make(
        Kind::kInternal,
        500,
        "InternalError",
        "We encountered an internal error. Please try again.");
}

Error InsufficientStorage() {
    return Make(
        Kind::kUnavailable,
        507,
        "InsufficientStorage",
        "There is no room left on the disk for this object.");
}

}  // namespace hearth::s3::errors
