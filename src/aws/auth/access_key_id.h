#pragma once

#include "base/ids.h"
#include "base/random.h"

#include <optional>
#include <string>
#include <string_view>

// Access key ids as AWS makes them: four letters that name the kind, then 16 of base32 whose first
// 40 bits after the top one are the account. So the account of a key is known without a look-up.
namespace hearth::aws {

inline constexpr std::string_view kLongTermKeyPrefix = "AKIA";
inline constexpr std::string_view kSessionKeyPrefix = "ASIA";

// "AKIA" or "ASIA" and 16 characters.
std::string MakeAccessKeyId(std::string_view prefix, const AccountId& account, Random& random);

// 40 characters of [A-Za-z0-9+/].
std::string MakeSecretAccessKey(Random& random);

// An id of another principal: "AROA", "AIDA", "AGPA", "ANPA", "AIPA" and 17 letters or digits.
std::string MakeUniqueId(std::string_view prefix, Random& random);

// As MakeUniqueId, but always the same for the same text: for roles that are taken as given.
std::string UniqueIdOf(std::string_view prefix, std::string_view text);

// Empty when the text has not the form of an access key id.
std::optional<AccountId> AccountOfAccessKeyId(std::string_view access_key_id);

}  // namespace hearth::aws
