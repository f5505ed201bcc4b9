#pragma once

#include <optional>
#include <utility>

namespace hearth::s3 {

// A member that is not set counts as an empty list, text or structure.
template <class T>
T ValueOrEmpty(std::optional<T> value) {
    return value ? *std::move(value) : T();
}

}  // namespace hearth::s3
