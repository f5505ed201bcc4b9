#pragma once

#include "base/result.h"

#include <string>
#include <string_view>
#include <vector>

// The grammar of IAM policy documents. Source: IAM User Guide, "Grammar of the IAM JSON policy
// language" and "IAM JSON policy elements reference". What is here judges documents when they are
// stored, and trust policies when a role is assumed; policy/policy.h judges requests.
namespace hearth::aws {

enum class PolicyKind {
    kIdentity,  // attached to a user, group or role: no Principal
    kTrust,     // who may assume a role: Principal, no Resource, only sts: actions
};

// Checks a document before it is stored.
//   errors  MalformedPolicyDocument (400) with AWS's message.
Status CheckPolicyDocument(std::string_view text, PolicyKind kind);

// Who wants to assume a role.
struct TrustRequest {
    // One of these is set: a service ("lambda.amazonaws.com"), with the account it acts for in
    // `account`; or the ARN of an AWS principal, with its account.
    std::string service;
    std::string principal_arn;
    std::string account;
    // For a session: the role behind it, arn:aws:iam::<account>:role/<name>, which may be named
    // too.
    std::string role_arn;
    std::string action = "sts:AssumeRole";
    // Value of sts:ExternalId; empty when the caller gave none.
    std::string external_id;
    std::string role_session_name;
};

// Whether a trust policy lets that principal assume the role: an Allow that matches and no Deny
// that does (policy/policy.h). Condition keys: sts:ExternalId, sts:RoleSessionName,
// aws:PrincipalArn, aws:PrincipalAccount, aws:SourceAccount of services. A document that does not
// parse trusts nobody.
bool TrustAllows(std::string_view document, const TrustRequest& trust);

}  // namespace hearth::aws
