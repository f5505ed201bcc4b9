#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace hearth::lambda {

// Whether a payload is one JSON value, without building it: the payload itself goes to the function
// as it is. `problem` says what is wrong in the words of the parser that AWS uses, as far as they
// are known.
struct JsonCheck {
    bool ok = true;
    std::string problem;
};

// Linear in time, constant in stack: nesting is bounded at 1,000 as there.
JsonCheck CheckJson(std::string_view text);

}  // namespace hearth::lambda
