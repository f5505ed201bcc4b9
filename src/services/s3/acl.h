#pragma once

#include "base/result.h"
#include "services/s3/bucket_settings.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Access control lists: who owns a bucket or an object and who else was granted something. Kept and
// told, not enforced. Pure.
// Source: S3 User Guide, "Access control list (ACL) overview", "Controlling ownership of objects".
namespace hearth::s3 {

inline constexpr std::string_view kAllUsers = "http://acs.amazonaws.com/groups/global/AllUsers";
inline constexpr std::string_view kAuthenticatedUsers =
    "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
inline constexpr std::string_view kLogDelivery = "http://acs.amazonaws.com/groups/s3/LogDelivery";
inline constexpr size_t kGrantsMax = 100;

struct AclGrant {
    // A group's URI, or else an account's canonical id.
    bool group = false;
    std::string grantee;
    // FULL_CONTROL, READ, WRITE, READ_ACP or WRITE_ACP.
    std::string permission;

    bool operator==(const AclGrant&) const = default;
};

// The owner is not part of it: that is the bucket's account or the object's writer.
struct Acl {
    std::vector<AclGrant> grants;

    // The owner alone.
    static Acl Private(std::string_view owner);

    // Somebody without an account, or with any account, was granted something.
    bool is_public() const;

    std::string Encode() const;
    static Result<Acl> Decode(std::string_view bytes);
};

enum class AclOf : uint8_t { kBucket, kObject };

// The headers of a request that can bring an ACL.
struct AclHeaders {
    std::optional<std::string> canned;  // x-amz-acl
    std::optional<std::string> full_control;
    std::optional<std::string> read;
    std::optional<std::string> read_acp;
    std::optional<std::string> write;
    std::optional<std::string> write_acp;

    bool any_grant() const { return full_control || read || read_acp || write || write_acp; }
};

// The ACL that headers say; nullopt: they say nothing. Owners are canonical ids.
//   errors  InvalidArgument for unknown names and forms; InvalidRequest for both ways at once
Result<std::optional<Acl>> AclFromHeaders(
    const AclHeaders& headers, AclOf of, std::string_view owner, std::string_view bucket_owner);

// For PutObject and the like: what is kept in ObjectRecord::acl (empty: private).
//   arn     of the caller, for the message; `resource` the object's ARN
//   errors  AccessControlListNotSupported when the bucket's owner has switched ACLs off;
//           AccessDenied for a public one where those are blocked; those of AclFromHeaders
Result<std::string> AclOfNewObject(
    const AclHeaders& headers,
    const BucketSettings& settings,
    std::string_view owner,
    std::string_view bucket_owner,
    std::string_view arn,
    std::string_view resource);

}  // namespace hearth::s3
