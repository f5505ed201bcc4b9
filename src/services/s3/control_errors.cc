#include "services/s3/control_errors.h"

#include <fmt/format.h>

namespace hearth::s3::errors {
namespace {

Error NotConfigured(std::string code, std::string message, std::string_view bucket) {
    return Error(Error::Kind::kNotFound, std::move(code), std::move(message), 404)
        .WithField("BucketName", std::string(bucket));
}

Error Invalid(std::string code, std::string message) {
    return Error(Error::Kind::kInvalid, std::move(code), std::move(message), 400);
}

}  // namespace

Error NoSuchTagSet(std::string_view bucket) {
    return NotConfigured("NoSuchTagSet", "The TagSet does not exist", bucket);
}

Error NoSuchBucketPolicy(std::string_view bucket) {
    return NotConfigured("NoSuchBucketPolicy", "The bucket policy does not exist", bucket);
}

Error NoSuchCorsConfiguration(std::string_view bucket) {
    return NotConfigured(
        "NoSuchCORSConfiguration", "The CORS configuration does not exist", bucket);
}

Error NoSuchLifecycleConfiguration(std::string_view bucket) {
    return NotConfigured(
        "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist", bucket);
}

Error NoSuchWebsiteConfiguration(std::string_view bucket) {
    return NotConfigured(
        "NoSuchWebsiteConfiguration",
        "The specified bucket does not have a website configuration",
        bucket);
}

Error NoSuchPublicAccessBlock(std::string_view bucket) {
    return NotConfigured(
        "NoSuchPublicAccessBlockConfiguration",
        "The public access block configuration was not found",
        bucket);
}

Error OwnershipControlsNotFound(std::string_view bucket) {
    return NotConfigured(
        "OwnershipControlsNotFoundError", "The bucket ownership controls were not found", bucket);
}

Error ObjectLockConfigurationNotFound(std::string_view bucket) {
    return NotConfigured(
        "ObjectLockConfigurationNotFoundError",
        "Object Lock configuration does not exist for this bucket",
        bucket);
}

Error ReplicationConfigurationNotFound(std::string_view bucket) {
    return NotConfigured(
        "ReplicationConfigurationNotFoundError",
        "The replication configuration was not found",
        bucket);
}

Error NoSuchConfiguration(std::string_view bucket) {
    return NotConfigured(
        "NoSuchConfiguration", "The specified configuration does not exist.", bucket);
}

Error NoSuchObjectLockConfiguration() {
    return Error(
        Error::Kind::kNotFound,
        "NoSuchObjectLockConfiguration",
        "The specified object does not have a ObjectLock configuration",
        404);
}

Error MalformedPolicy(std::string message) {
    return Invalid("MalformedPolicy", std::move(message));
}

Error MalformedAcl() {
    return Invalid(
        "MalformedACLError",
        "The XML you provided was not well-formed or did not validate against our published "
        "schema");
}

Error AclsNotSupported() {
    return Invalid("AccessControlListNotSupported", "The bucket does not allow ACLs");
}

Error InvalidBucketAclWithObjectOwnership() {
    return Invalid(
        "InvalidBucketAclWithObjectOwnership",
        "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting");
}

Error InvalidBucketAclWithBlockPublicAccess() {
    return Invalid(
        "InvalidBucketAclWithBlockPublicAccessError",
        "Bucket cannot have public ACLs set with BlockPublicAccess enabled");
}

Error MissingObjectLock() {
    return Invalid("InvalidRequest", "Bucket is missing Object Lock Configuration");
}

Error InvalidTargetBucketForLogging(std::string message, std::string_view target) {
    return Invalid("InvalidTargetBucketForLogging", std::move(message))
        .WithField("TargetBucket", std::string(target));
}

Error PublicAccessBlocked(
    std::string_view arn,
    std::string_view action,
    std::string_view resource,
    std::string_view what,
    std::string_view setting) {
    return Error(
        Error::Kind::kDenied,
        "AccessDenied",
        fmt::format(
            "User: {} is not authorized to perform: {} on resource: \"{}\" because public {} are "
            "prevented by the {} setting in S3 Block Public Access.",
            arn.empty() ? std::string_view("anonymous") : arn,
            action,
            resource,
            what,
            setting),
        403);
}

Error InvalidTagOf(std::string message, std::string_view key, std::string_view value) {
    Error error = Invalid("InvalidTag", std::move(message)).WithField("TagKey", std::string(key));
    if (!value.empty()) {
        return std::move(error).WithField("TagValue", std::string(value));
    }
    return error;
}

}  // namespace hearth::s3::errors
