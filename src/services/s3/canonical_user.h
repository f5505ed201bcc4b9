#pragma once

#include "base/ids.h"

#include <string>
#include <string_view>

namespace hearth::s3 {

// S3's own name of an account, as in owners and grants: 64 hexadecimal digits, the same for ever,
// made from the account's number.
std::string CanonicalUserId(const AccountId& account);

bool IsCanonicalUserId(std::string_view text);

}  // namespace hearth::s3
