#pragma once

#include "base/random.h"
#include "base/result.h"

#include <string>

namespace hearth::aws {

// The root key of account 000000000000.
struct RootCredentials {
    std::string access_key_id;
    std::string secret_access_key;

    // From HEARTH_ROOT_ACCESS_KEY_ID and HEARTH_ROOT_SECRET_ACCESS_KEY where both are set (one
    // alone is an error). Else from `path`, which is made at the first start: mode 0600, durable,
    // in the form of an AWS shared credentials file, so that AWS_SHARED_CREDENTIALS_FILE may name
    // it.
    static Result<RootCredentials> LoadOrMake(const std::string& path, Random& random);
};

}  // namespace hearth::aws
