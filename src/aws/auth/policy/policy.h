#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "codec/json/json.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

// Who may do what: one document of the IAM policy language, judged against one request. This is the
// only evaluator; resource policies (functions, layers) and trust policies go through it.
//
// Guarantee: what cannot be judged never opens a door. A condition on a key that the caller of this
// code says nothing about makes an Allow not match and a Deny match.
// Source: IAM User Guide, "Policy evaluation logic", "IAM JSON policy elements".
namespace hearth::aws {

// Who asks. One of: an AWS principal (`arn` and `account`), a service (`service`), or nobody: an
// unsigned request, which only "*" matches.
struct AccessPrincipal {
    // arn:aws:iam::<account>:root, :user/<path><name>, or
    // arn:aws:sts::<account>:assumed-role/<role>/<session>, whose role may be named as well.
    std::string arn;
    std::string account;
    // "s3.amazonaws.com"; arn and account are empty then.
    std::string service;

    static AccessPrincipal Anonymous() { return {}; }

    static AccessPrincipal Service(std::string name) { return {{}, {}, std::move(name)}; }
};

struct AccessRequest {
    AccessPrincipal principal;
    // "lambda:InvokeFunction"
    std::string action;
    // The whole ARN. Statements without Resource (trust policies) match every one.
    std::string resource;

    // Values of condition keys. A key that is known to have no value in this request must be said
    // so (Absent); one that was never mentioned cannot be judged.
    void Set(std::string_view key, std::string value);
    void Set(std::string_view key, std::vector<std::string> values);
    void Absent(std::string_view key);

    // The value of a key, whatever its letters' case; nullptr: never mentioned. Empty: absent.
    const std::vector<std::string>* Find(std::string_view key) const;

    // What every request has: aws:PrincipalArn, aws:PrincipalAccount, aws:PrincipalType,
    // aws:username, aws:PrincipalIsAWSService, aws:PrincipalServiceName, aws:PrincipalOrgID (there
    // are no organizations: absent), aws:CurrentTime and aws:EpochTime. Call it when `principal` is
    // set.
    void SetStandardKeys(WallClock::time_point now);

  private:
    // By key in lower case.
    std::map<std::string, std::vector<std::string>, std::less<>> keys_;
};

enum class Verdict {
    kNoMatch,       // the document says nothing about this request
    kAllow,         // a statement allows it and none denies it
    kExplicitDeny,  // a statement denies it
};

// A parsed document. Immutable; may be shared between threads and judged any number of times.
class Policy final {
  public:
    // Only the shape that judging needs is looked at; whether a document may be stored is
    // CheckPolicyDocument's matter (policy_document.h).
    //   errors  Malformed: no JSON object, or too large.
    static Result<Policy> Parse(std::string_view text);

    Verdict Evaluate(const AccessRequest& request) const;

  private:
    explicit Policy(codec::Json document) : document_(std::move(document)) {}

    codec::Json document_;
};

// The same in one step; a document that does not parse is kExplicitDeny.
Verdict Evaluate(std::string_view document, const AccessRequest& request);

// Whether `text` matches `pattern` with * and ?; in time at worst the product of both lengths.
bool WildcardMatches(std::string_view pattern, std::string_view text);

}  // namespace hearth::aws
