#pragma once

#include "base/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace hearth::lambda {

// An internal extension as it was when its runtime was saved: registered, and waiting for its next
// event. Each environment that goes on from the snapshot has it again, under the same identifier,
// because that is what the process remembers.
struct SavedExtension {
    std::string name;
    // A UUID, what the process sends as Lambda-Extension-Identifier.
    std::string id;
    // What it registered for: "INVOKE", or nothing.
    std::vector<std::string> events;

    bool operator==(const SavedExtension&) const = default;
};

// The form in which they are kept with the name of their image, in the order of their connections.
// Empty for none.
std::string EncodeSavedExtensions(const std::vector<SavedExtension>& extensions);

// Takes what EncodeSavedExtensions gave and nothing else: with a registration that was not
// understood, or was forgotten, an environment would wait for an extension for ever.
//   errors  Malformed: of another form, or damaged
Result<std::vector<SavedExtension>> DecodeSavedExtensions(std::string_view bytes);

}  // namespace hearth::lambda
