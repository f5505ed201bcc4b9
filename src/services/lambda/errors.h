#pragma once

#include "base/error.h"

#include <source_location>
#include <string>
#include <string_view>

// Lambda's errors, with the codes, statuses and texts that AWS answers.
namespace hearth::lambda::errors {

using std::source_location;

Error InvalidParameterValue(
    std::string message, source_location where = source_location::current());
// A constraint that AWS states outside of its public model: "1 validation error detected: Value
// '<value>' at
// '<member>' failed to satisfy constraint: <constraint>".
Error Validation(
    std::string_view value,
    std::string_view member,
    std::string_view constraint,
    source_location where = source_location::current());
Error ResourceNotFound(std::string message, source_location where = source_location::current());
// "Function not found: <arn>"
Error FunctionNotFound(std::string_view arn, source_location where = source_location::current());
// "Cannot find alias arn: <arn>"
Error AliasNotFound(std::string_view arn, source_location where = source_location::current());
Error ResourceConflict(std::string message, source_location where = source_location::current());
// Someone changed it since the caller read its RevisionId.
Error RevisionMismatch(source_location where = source_location::current());
Error RequestEntityTooLarge(
    std::string message, source_location where = source_location::current());
Error InvalidRequestContent(
    std::string message, source_location where = source_location::current());
Error AccessDenied(std::string message, source_location where = source_location::current());
Error CodeSigningConfigNotFound(
    std::string_view arn, source_location where = source_location::current());
Error ProvisionedConcurrencyNotFound(source_location where = source_location::current());
// A version with SnapStart that has no snapshot yet.
Error SnapStartNotReady(source_location where = source_location::current());
// Its after-restore hooks failed.
Error SnapStartFailed(source_location where = source_location::current());
// Restoring it, the hooks included, took longer than 10 s.
Error SnapStartTimedOut(source_location where = source_location::current());
// A setting or mode that Hearth does not have yet: InvalidParameterValueException that says so.
Error NotSupported(std::string_view what, source_location where = source_location::current());

}  // namespace hearth::lambda::errors
