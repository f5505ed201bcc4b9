#pragma once

#include "base/error.h"

#include <string>
#include <utility>

// What an API answers instead of doing: a status and a `fault_message`, in Firecracker's words, so
// that programs that look into the text still find what they look for.
namespace hearth::vmm::faults {

inline Error Bad(
    std::string message, std::source_location where = std::source_location::current()) {
    return Error(Error::Kind::kInvalid, "", std::move(message), 400, where);
}

// Firecracker has it, Hearth does not (yet): said, never silently accepted.
inline Error NotSupported(
    const std::string& what, std::source_location where = std::source_location::current()) {
    return Error(
        Error::Kind::kUnimplemented,
        "",
        "The requested operation is not supported: " + what,
        400,
        where);
}

inline Error AfterBoot(std::source_location where = std::source_location::current()) {
    return Error(
        Error::Kind::kConflict,
        "",
        "The requested operation is not supported after starting the microVM.",
        400,
        where);
}

inline Error BeforeBoot(std::source_location where = std::source_location::current()) {
    return Error(
        Error::Kind::kConflict,
        "",
        "The requested operation is not supported before starting the microVM.",
        400,
        where);
}

}  // namespace hearth::vmm::faults
