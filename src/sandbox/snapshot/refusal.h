#pragma once

#include "base/error.h"

#include <string>
#include <utility>

namespace hearth::snapshot {

// The process has something that a snapshot cannot hold. No fault of anyone: the function starts
// cold, and the reason, a clause such as "it has a child process", is told to its owner.
inline Error NotSnapshottable(std::string reason) {
    return {Error::Kind::kUnimplemented, "", "cannot be snapshotted: " + std::move(reason), 501};
}

// The process is between two states (a signal is on its way, a request unread): worth another try.
inline Error NotQuiet(std::string reason) {
    return {Error::Kind::kUnavailable, "", "not at rest: " + std::move(reason), 503};
}

}  // namespace hearth::snapshot
