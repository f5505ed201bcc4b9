#pragma once

#include "base/error.h"
#include "services/iam/records.h"

#include <string>
#include <string_view>

// IAM's errors. Source: IAM API Reference, "Common errors" and each operation's list.
namespace hearth::iam::errors {

Error NoSuchEntity(std::string message);
Error EntityAlreadyExists(std::string message);
Error DeleteConflict(std::string message);
Error LimitExceeded(std::string message);
Error Validation(std::string message);
Error InvalidInput(std::string message);

// "The role with name x cannot be found."
Error NoPrincipal(PrincipalKind kind, std::string_view name);
// "Policy arn:... was not found."
Error NoPolicy(std::string_view arn);

}  // namespace hearth::iam::errors
