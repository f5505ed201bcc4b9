#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "rt/task.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace hearth {

// What other services may ask about roles; implemented by IAM.
class RoleDirectory {
  public:
    struct Answer {
        bool exists = false;
        // The trust policy lets `service_principal` assume it.
        bool trusts = false;
        // The account has at least one role. In open mode a role of an account without any is taken
        // as given, so that a first function needs no IAM.
        bool account_has_roles = false;
        // Unique id (AROA...) and name without path; empty when it does not exist.
        std::string role_id;
        std::string role_name;
        // The trust policy as stored, and the longest session it gives; for AssumeRole.
        std::string trust_policy;
        int32_t max_session_duration_s = 3600;
    };

    virtual ~RoleDirectory() = default;

    // `arn`: arn:aws:iam::<account>:role/<path><name>. `service_principal`: "lambda.amazonaws.com".
    // May be called from any loop.
    virtual Task<Result<Answer>> FindRole(
        const AccountId& account, std::string_view arn, std::string_view service_principal) = 0;
};

}  // namespace hearth
