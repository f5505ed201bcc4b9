#include "services/iam/errors.h"

#include <fmt/format.h>

namespace hearth::iam::errors {

Error NoSuchEntity(std::string message) {
    return Error(Error::Kind::kNotFound, "NoSuchEntity", std::move(message), 404);
}

Error EntityAlreadyExists(std::string message) {
    return Error(Error::Kind::kConflict, "EntityAlreadyExists", std::move(message), 409);
}

Error DeleteConflict(std::string message) {
    return Error(Error::Kind::kConflict, "DeleteConflict", std::move(message), 409);
}

Error LimitExceeded(std::string message) {
    return Error(Error::Kind::kConflict, "LimitExceeded", std::move(message), 409);
}

Error Validation(std::string message) {
    return Error(Error::Kind::kInvalid, "ValidationError", std::move(message), 400);
}

Error InvalidInput(std::string message) {
    return Error(Error::Kind::kInvalid, "InvalidInput", std::move(message), 400);
}

Error NoPrincipal(PrincipalKind kind, std::string_view name) {
    return NoSuchEntity(fmt::format("The {} with name {} cannot be found.", KindName(kind), name));
}

Error NoPolicy(std::string_view arn) {
    return NoSuchEntity(fmt::format("Policy {} was not found.", arn));
}

}  // namespace hearth::iam::errors
