#pragma once

#include "base/ids.h"
#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::lambda {

// What a caller named with LayerName or with the ARN of a layer or layer version.
struct LayerReference {
    AccountId account;
    Region region;
    std::string name;
    int64_t version = 0;  // 0: none was given
};

// Reads a LayerName as seen from an account and a region: a name, or the ARN of a layer, which may
// be of another account.
//   errors  ValidationException (malformed, or the ARN of a version)
Result<LayerReference> ParseLayerName(
    std::string_view text, const AccountId& account, const Region& region);

// Reads the ARN of a layer version. `member`: what the error calls it.
//   errors  ValidationException
Result<LayerReference> ParseLayerVersionArn(std::string_view text, std::string_view member);

// arn:aws:lambda:<region>:<account>:layer:<name>
std::string LayerArn(const AccountId& account, const Region& region, std::string_view name);
// With ":<version>".
std::string LayerVersionArn(
    const AccountId& account, const Region& region, std::string_view name, int64_t version);

}  // namespace hearth::lambda
