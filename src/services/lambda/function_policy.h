#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace hearth::lambda::model {
struct AddPermissionRequest;
}

// Resource policies of functions as documents: what AddPermission writes and RemovePermission takes
// away. Pure; where they are kept is function_store.h's matter, who may call with them
// permissions.cc's.
//
// The text is what the API shows: {"Version":"2012-10-17","Id":"default","Statement":[...]}, each
// statement with Sid, Effect, Principal, Action, Resource and Condition in this order.
namespace hearth::lambda {

// Of the document's text. Source: "Lambda quotas", function resource-based policy.
inline constexpr size_t kFunctionPolicyBytesMax = 20'480;

// The statement that `request` asks for, as JSON.
//   resource  the ARN that the policy is attached to, with its qualifier
//   errors    InvalidParameterValueException: a principal that is none, members that do not go
//             together.
Result<std::string> PermissionStatement(
    const model::AddPermissionRequest& request, std::string_view resource);

// `document` with one statement more; an empty one begins a new document.
//   errors  ResourceConflictException (the Sid is there already), PolicyLengthExceededException.
Result<std::string> AddStatement(
    std::string_view document, std::string_view sid, std::string_view statement);

// `document` without that statement; empty when it was the last one.
//   errors  ResourceNotFoundException
Result<std::string> RemoveStatement(std::string_view document, std::string_view sid);

// A service of AWS that delivers an event to a function, and what it delivers it for.
struct InvokingService {
    std::string name;            // "s3.amazonaws.com"
    std::string source_arn;      // "arn:aws:s3:::bucket"; empty: none
    std::string source_account;  // of the owner of that source; empty: not known
    std::string event_source_token;
};

// Whether `document`, which is attached to `resource`, lets that service invoke it. Services have
// no identity policies, so nothing else can.
bool ServiceMayInvoke(
    std::string_view document,
    std::string_view resource,
    const InvokingService& service,
    WallClock::time_point now);

// Whether it lets an AWS principal call an operation with that action, directly.
//   principal_arn, account  of the caller
bool PrincipalMayCall(
    std::string_view document,
    std::string_view resource,
    std::string_view action,
    const std::string& principal_arn,
    const std::string& account,
    WallClock::time_point now);

}  // namespace hearth::lambda
