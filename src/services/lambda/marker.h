#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hearth::lambda {

// Where the next page of a list begins: after `name`, and for lists of versions from `number` on.
// Opaque to callers (base64 of name, NUL, number).
struct Marker {
    std::string name;
    int64_t number = 0;
};

std::string EncodeMarker(const Marker& marker);
// Empty text: the start.
//   errors  InvalidParameterValueException
Result<Marker> DecodeMarker(const std::optional<std::string>& text);

// How many items a page may have.
size_t PageSize(const std::optional<int32_t>& max_items);

}  // namespace hearth::lambda
