#pragma once

#include "base/error.h"

#include <string>
#include <string_view>

// Errors of a bucket's configuration. Source: S3 API Reference, "Error responses", and what the
// service answers.
namespace hearth::s3::errors {

// What is asked for was never configured; 404, with the bucket's name.
Error NoSuchTagSet(std::string_view bucket);
Error NoSuchBucketPolicy(std::string_view bucket);
Error NoSuchCorsConfiguration(std::string_view bucket);
Error NoSuchLifecycleConfiguration(std::string_view bucket);
Error NoSuchWebsiteConfiguration(std::string_view bucket);
Error NoSuchPublicAccessBlock(std::string_view bucket);
Error OwnershipControlsNotFound(std::string_view bucket);
Error ObjectLockConfigurationNotFound(std::string_view bucket);
Error ReplicationConfigurationNotFound(std::string_view bucket);
Error NoSuchConfiguration(std::string_view bucket);
// Of an object: it has no retention, or no legal hold.
Error NoSuchObjectLockConfiguration();

Error MalformedPolicy(std::string message);
Error MalformedAcl();
Error AclsNotSupported();
Error InvalidBucketAclWithObjectOwnership();
// CreateBucket with a public list: new buckets block those.
Error InvalidBucketAclWithBlockPublicAccess();
Error MissingObjectLock();
Error InvalidTargetBucketForLogging(std::string message, std::string_view target);

// The block on public access forbids it. `setting` such as "BlockPublicPolicy", `what` "policies"
// or "ACLs".
Error PublicAccessBlocked(
    std::string_view arn,
    std::string_view action,
    std::string_view resource,
    std::string_view what,
    std::string_view setting);

// With the tag it is about; an empty value is left out.
Error InvalidTagOf(std::string message, std::string_view key, std::string_view value = {});

}  // namespace hearth::s3::errors
