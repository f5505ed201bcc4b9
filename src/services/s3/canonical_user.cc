#include "services/s3/canonical_user.h"

#include "codec/crypto/crypto.h"

#include <algorithm>

namespace hearth::s3 {

std::string CanonicalUserId(const AccountId& account) {
    return codec::Sha256Hex("hearth s3 canonical user " + account.text());
}

bool IsCanonicalUserId(std::string_view text) {
    return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

}  // namespace hearth::s3
