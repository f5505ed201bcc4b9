#pragma once

#include "base/ids.h"
#include "base/result.h"

#include <string>
#include <string_view>

namespace hearth::lambda {

// What a caller named with FunctionName: `name`, `name:qualifier`, `123456789012:function:name`,
// `function:name`, or an ARN, each with or without a qualifier.
struct FunctionReference {
    AccountId account;
    Region region;
    std::string name;
    // A version number, "$LATEST", an alias; empty when none was given.
    std::string qualifier;
};

// Reads `text` as seen from an account and a region; `qualifier` is the Qualifier parameter (empty:
// none). An ARN may name another account: the caller decides what that means.
//   errors  ValidationException (malformed), InvalidParameterValueException (two different
//   qualifiers),
//           ResourceNotFoundException (an ARN of another region).
// Source: Lambda API Reference, FunctionName of each operation;
// tests/conformance/lambda/test_names.py.
Result<FunctionReference> ParseFunctionName(
    std::string_view text,
    std::string_view qualifier,
    const AccountId& account,
    const Region& region);

// True for "1", "27": a published version's number.
bool IsVersionNumber(std::string_view qualifier);

// arn:aws:lambda:<region>:<account>:function:<name>[:<qualifier>]
std::string FunctionArn(
    const AccountId& account,
    const Region& region,
    std::string_view name,
    std::string_view qualifier = {});

}  // namespace hearth::lambda
