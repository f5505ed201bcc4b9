#pragma once

#include "aws/front/context.h"
#include "base/result.h"
#include "services/s3/acl.h"
#include "services/s3/bucket_cache.h"
#include "services/s3/canonical_user.h"
#include "services/s3/control_operations.h"

#include <string>
#include <string_view>

namespace hearth::s3 {

// What the ACL headers of PutObject, CopyObject and CreateMultipartUpload make of a new object:
// ObjectRecord::acl. Errors: those of AclOfNewObject.
template <class Input>
Result<std::string> AclOfRequest(
    const Input& input,
    const aws::RequestContext& context,
    const BucketState& bucket,
    std::string_view key) {
    const AclHeaders headers{
        .canned = input.acl,
        .full_control = input.grant_full_control,
        .read = input.grant_read,
        .read_acp = input.grant_read_acp,
        .write = std::nullopt,
        .write_acp = input.grant_write_acp};
    if (!headers.canned && !headers.any_grant()) {
        return std::string();
    }
    return AclOfNewObject(
        headers,
        bucket.compiled,
        CanonicalUserId(context.account),
        CanonicalUserId(bucket.record.account),
        context.caller.arn,
        ResourceArn(bucket.record.name, key));
}

}  // namespace hearth::s3
