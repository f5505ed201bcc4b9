#pragma once

#include "codec/json/json.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// The parts of a statement that compare texts: conditions, wildcards and policy variables. Answers
// are three-valued, because a key that nobody gave a value for cannot be judged (policy.h).
namespace hearth::aws {

struct AccessRequest;

namespace policy {

enum class Answer : uint8_t { kNo, kYes, kUnknown };

// Kleene's logic: one certain No decides And, one certain Yes decides Or.
Answer And(Answer a, Answer b);
Answer Or(Answer a, Answer b);
Answer Not(Answer a);

// A string, or a list of strings, appended to `out` as views into `value`; false for anything else.
bool Strings(const codec::Json& value, std::vector<std::string_view>& out);

std::string Lower(std::string_view text);

// `text` against one entry of a statement, with wildcards, and with ${variables} when
// `variables`. What a variable stands for is literal: a star in it matches only a star.
Answer TextMatches(
    std::string_view entry, std::string_view text, bool variables, const AccessRequest& request);

// All operators and keys of a Condition element.
Answer ConditionsHold(const codec::Json& condition, bool variables, const AccessRequest& request);

}  // namespace policy
}  // namespace hearth::aws
