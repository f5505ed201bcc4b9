#include "aws/auth/policy/condition.h"

#include "aws/auth/policy/policy.h"
#include "codec/timestamp/timestamp.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

namespace hearth::aws {
namespace policy {
namespace {

using codec::Json;

// Wildcards in an expanded pattern. Neither byte occurs in UTF-8, so a star that a variable brought
// along stays a star.
constexpr char kAnyText = '\xFF';
constexpr char kAnyLetter = '\xFE';

bool Matches(std::string_view pattern, std::string_view text, char any_text, char any_letter) {
    size_t p = 0;
    size_t t = 0;
    size_t star = std::string_view::npos;
    size_t star_text = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == any_text) {
            star = p++;
            star_text = t;
        } else if (p < pattern.size() && (pattern[p] == any_letter || pattern[p] == text[t])) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == any_text) {
        ++p;
    }
    return p == pattern.size();
}

void AppendLiteral(std::string& out, std::string_view text) {
    for (const char letter : text) {
        // Bytes of a broken client; they match nothing.
        out.push_back(letter == kAnyText || letter == kAnyLetter ? '\xFD' : letter);
    }
}

struct Expanded {
    std::string pattern;
    // kYes: the pattern is whole. kNo: a variable has no value, so nothing matches.
    Answer answer = Answer::kYes;
};

// "aws:username" or "aws:username, 'nobody'", from between the braces.
Answer AppendVariable(std::string& out, std::string_view name, const AccessRequest& request) {
    if (name == "*" || name == "?" || name == "$") {
        out.append(name);
        return Answer::kYes;
    }
    std::optional<std::string_view> otherwise;
    if (const size_t comma = name.find(','); comma != std::string_view::npos) {
        std::string_view rest = name.substr(comma + 1);
        rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
        if (rest.size() < 2 || rest.front() != '\'' || rest.back() != '\'') {
            return Answer::kUnknown;
        }
        otherwise = rest.substr(1, rest.size() - 2);
        name = name.substr(0, comma);
    }
    const std::vector<std::string>* values = request.Find(name);
    if (values == nullptr || values->size() > 1) {
        // Variables of several values are not allowed, so there is no telling what is meant.
        return Answer::kUnknown;
    }
    if (!values->empty()) {
        AppendLiteral(out, values->front());
        return Answer::kYes;
    }
    if (otherwise) {
        AppendLiteral(out, *otherwise);
        return Answer::kYes;
    }
    return Answer::kNo;
}

Expanded Expand(
    std::string_view entry, bool variables, bool wildcards, const AccessRequest& request) {
    Expanded expanded;
    for (size_t at = 0; at < entry.size();) {
        if (variables && entry.substr(at).starts_with("${")) {
            const size_t end = entry.find('}', at);
            if (end == std::string_view::npos) {
                expanded.answer = Answer::kUnknown;
                return expanded;
            }
            expanded.answer =
                And(expanded.answer,
                    AppendVariable(expanded.pattern, entry.substr(at + 2, end - at - 2), request));
            at = end + 1;
            continue;
        }
        const char letter = entry[at++];
        expanded.pattern.push_back(
            wildcards && letter == '*'   ? kAnyText
            : wildcards && letter == '?' ? kAnyLetter
                                         : letter);
    }
    return expanded;
}

// The six parts of an ARN; the last one keeps its colons. False for other texts.
bool SplitArn(std::string_view text, std::array<std::string_view, 6>& parts) {
    for (size_t i = 0; i < 5; ++i) {
        const size_t colon = text.find(':');
        if (colon == std::string_view::npos) {
            return false;
        }
        parts[i] = text.substr(0, colon);
        text.remove_prefix(colon + 1);
    }
    parts[5] = text;
    return true;
}

bool ArnMatches(std::string_view pattern, std::string_view text) {
    std::array<std::string_view, 6> wanted;
    std::array<std::string_view, 6> actual;
    if (!SplitArn(pattern, wanted) || !SplitArn(text, actual)) {
        return false;
    }
    for (size_t i = 0; i < wanted.size(); ++i) {
        if (!Matches(wanted[i], actual[i], kAnyText, kAnyLetter)) {
            return false;
        }
    }
    return true;
}

std::optional<double> Number(std::string_view text) {
    double value = 0;
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, value);
    if (parsed.ec != std::errc() || parsed.ptr != end || !std::isfinite(value)) {
        return std::nullopt;
    }
    return value;
}

// A date, or seconds since 1970; in milliseconds.
std::optional<double> Instant(std::string_view text) {
    if (const auto seconds = Number(text)) {
        return *seconds * 1000;
    }
    const auto parsed = codec::ParseIso8601(text);
    if (!parsed.ok()) {
        return std::nullopt;
    }
    return static_cast<double>(UnixMs(*parsed));
}

struct Address {
    std::array<uint8_t, 16> bytes{};
    size_t bits = 0;  // 32 or 128
};

std::optional<Address> ParseAddress(std::string_view text) {
    const std::string copy(text);
    Address address;
    if (::inet_pton(AF_INET, copy.c_str(), address.bytes.data()) == 1) {
        address.bits = 32;
        return address;
    }
    if (::inet_pton(AF_INET6, copy.c_str(), address.bytes.data()) == 1) {
        address.bits = 128;
        return address;
    }
    return std::nullopt;
}

std::optional<bool> InNetwork(std::string_view network, std::string_view text) {
    const size_t slash = network.find('/');
    const auto base = ParseAddress(network.substr(0, slash));
    const auto actual = ParseAddress(text);
    if (!base || !actual) {
        return std::nullopt;
    }
    size_t prefix = base->bits;
    if (slash != std::string_view::npos) {
        const std::string_view digits = network.substr(slash + 1);
        const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
        if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size() ||
            prefix > base->bits) {
            return std::nullopt;
        }
    }
    if (base->bits != actual->bits) {
        return false;
    }
    for (size_t bit = 0; bit < prefix; ++bit) {
        const int mask = 0x80 >> (bit % 8);
        if (((base->bytes[bit / 8] ^ actual->bytes[bit / 8]) & mask) != 0) {
            return false;
        }
    }
    return true;
}

enum class Comparison : uint8_t {
    kText,
    kTextAnyCase,
    kLike,
    kArn,
    kNumber,
    kInstant,
    kBool,
    kBinary,
    kAddress,
};

enum class Order : uint8_t { kEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual };

struct Operator {
    std::string_view name;
    Comparison comparison;
    bool negated = false;
    Order order = Order::kEqual;
};

constexpr auto kOperators = std::to_array<Operator>({
    {"StringEquals", Comparison::kText},
    {"StringNotEquals", Comparison::kText, true},
    {"StringEqualsIgnoreCase", Comparison::kTextAnyCase},
    {"StringNotEqualsIgnoreCase", Comparison::kTextAnyCase, true},
    {"StringLike", Comparison::kLike},
    {"StringNotLike", Comparison::kLike, true},
    // AWS: "ArnEquals and ArnLike behave identically".
    {"ArnEquals", Comparison::kArn},
    {"ArnNotEquals", Comparison::kArn, true},
    {"ArnLike", Comparison::kArn},
    {"ArnNotLike", Comparison::kArn, true},
    {"NumericEquals", Comparison::kNumber},
    {"NumericNotEquals", Comparison::kNumber, true},
    {"NumericLessThan", Comparison::kNumber, false, Order::kLess},
    {"NumericLessThanEquals", Comparison::kNumber, false, Order::kLessOrEqual},
    {"NumericGreaterThan", Comparison::kNumber, false, Order::kGreater},
    {"NumericGreaterThanEquals", Comparison::kNumber, false, Order::kGreaterOrEqual},
    {"DateEquals", Comparison::kInstant},
    {"DateNotEquals", Comparison::kInstant, true},
    {"DateLessThan", Comparison::kInstant, false, Order::kLess},
    {"DateLessThanEquals", Comparison::kInstant, false, Order::kLessOrEqual},
    {"DateGreaterThan", Comparison::kInstant, false, Order::kGreater},
    {"DateGreaterThanEquals", Comparison::kInstant, false, Order::kGreaterOrEqual},
    {"Bool", Comparison::kBool},
    {"BinaryEquals", Comparison::kBinary},
    {"IpAddress", Comparison::kAddress},
    {"NotIpAddress", Comparison::kAddress, true},
});

Answer InOrder(std::optional<double> wanted, std::optional<double> actual, Order order) {
    if (!wanted || !actual) {
        return Answer::kUnknown;
    }
    const auto answer = [](bool yes) { return yes ? Answer::kYes : Answer::kNo; };
    switch (order) {
        case Order::kEqual:
            return answer(*actual == *wanted);
        case Order::kLess:
            return answer(*actual < *wanted);
        case Order::kLessOrEqual:
            return answer(*actual <= *wanted);
        case Order::kGreater:
            return answer(*actual > *wanted);
        case Order::kGreaterOrEqual:
            return answer(*actual >= *wanted);
    }
    return Answer::kUnknown;
}

// Whether one value of the request is what one entry of the statement says, before negation.
Answer Compare(
    const Operator& how,
    std::string_view entry,
    std::string_view actual,
    bool variables,
    const AccessRequest& request) {
    const bool wildcards =
        how.comparison == Comparison::kLike || how.comparison == Comparison::kArn;
    const bool texts = wildcards || how.comparison == Comparison::kText ||
                       how.comparison == Comparison::kTextAnyCase;
    const Expanded wanted = Expand(entry, variables && texts, wildcards, request);
    if (wanted.answer != Answer::kYes) {
        return wanted.answer;
    }
    const auto answer = [](bool yes) { return yes ? Answer::kYes : Answer::kNo; };
    switch (how.comparison) {
        case Comparison::kText:
        case Comparison::kBinary:
            return answer(wanted.pattern == actual);
        case Comparison::kTextAnyCase:
        case Comparison::kBool:
            return answer(Lower(wanted.pattern) == Lower(actual));
        case Comparison::kLike:
            return answer(Matches(wanted.pattern, actual, kAnyText, kAnyLetter));
        case Comparison::kArn:
            return answer(ArnMatches(wanted.pattern, actual));
        case Comparison::kNumber:
            return InOrder(Number(wanted.pattern), Number(actual), how.order);
        case Comparison::kInstant:
            return InOrder(Instant(wanted.pattern), Instant(actual), how.order);
        case Comparison::kAddress: {
            const auto inside = InNetwork(wanted.pattern, actual);
            return inside ? answer(*inside) : Answer::kUnknown;
        }
    }
    return Answer::kUnknown;
}

// Strings, numbers and booleans, as texts.
bool ConditionValues(const Json& value, std::vector<std::string>& out) {
    if (const Json::Array* list = value.AsArray()) {
        return std::ranges::all_of(*list, [&out](const Json& item) {
            return !item.is_array() && ConditionValues(item, out);
        });
    }
    if (const std::string* text = value.AsString()) {
        out.push_back(*text);
    } else if (const bool* flag = value.AsBool()) {
        out.emplace_back(*flag ? "true" : "false");
    } else if (value.is_number()) {
        out.push_back(codec::WriteJson(value));
    } else {
        return false;
    }
    return true;
}

Answer KeyHolds(
    std::string_view name,
    std::string_view key,
    const Json& element,
    bool variables,
    const AccessRequest& request) {
    std::vector<std::string> wanted;
    const std::vector<std::string>* values = request.Find(key);
    if (values == nullptr || !ConditionValues(element, wanted)) {
        return Answer::kUnknown;
    }
    constexpr std::string_view kForAll = "ForAllValues:";
    constexpr std::string_view kForAny = "ForAnyValue:";
    constexpr std::string_view kIfExists = "IfExists";
    const bool for_all = name.starts_with(kForAll);
    const bool for_any = name.starts_with(kForAny);
    name.remove_prefix(for_all ? kForAll.size() : for_any ? kForAny.size() : 0);
    if (name == "Null") {
        const std::string_view is_null = values->empty() ? "true" : "false";
        const bool found = std::ranges::any_of(
            wanted, [is_null](const std::string& one) { return Lower(one) == is_null; });
        return found ? Answer::kYes : Answer::kNo;
    }
    const bool if_exists = name.ends_with(kIfExists);
    if (if_exists) {
        name.remove_suffix(kIfExists.size());
    }
    const auto how = std::ranges::find(kOperators, name, &Operator::name);
    if (how == kOperators.end()) {
        return Answer::kUnknown;
    }
    if (values->empty()) {
        return if_exists || for_all || (how->negated && !for_any) ? Answer::kYes : Answer::kNo;
    }
    // Without a set operator a negated comparison is about every value, any other about some value.
    const bool about_all = for_all || (how->negated && !for_any);
    Answer held = about_all ? Answer::kYes : Answer::kNo;
    for (const std::string& actual : *values) {
        Answer one = Answer::kNo;
        for (const std::string& entry : wanted) {
            one = Or(one, Compare(*how, entry, actual, variables, request));
        }
        one = how->negated ? Not(one) : one;
        held = about_all ? And(held, one) : Or(held, one);
    }
    return held;
}

}  // namespace

Answer And(Answer a, Answer b) {
    if (a == Answer::kNo || b == Answer::kNo) {
        return Answer::kNo;
    }
    return a == Answer::kYes && b == Answer::kYes ? Answer::kYes : Answer::kUnknown;
}

Answer Or(Answer a, Answer b) {
    if (a == Answer::kYes || b == Answer::kYes) {
        return Answer::kYes;
    }
    return a == Answer::kNo && b == Answer::kNo ? Answer::kNo : Answer::kUnknown;
}

Answer Not(Answer a) {
    return a == Answer::kUnknown ? a : a == Answer::kYes ? Answer::kNo : Answer::kYes;
}

bool Strings(const Json& value, std::vector<std::string_view>& out) {
    if (const std::string* one = value.AsString()) {
        out.push_back(*one);
        return true;
    }
    const Json::Array* list = value.AsArray();
    return list != nullptr && std::ranges::all_of(*list, [&out](const Json& item) {
               return item.is_string() && Strings(item, out);
           });
}

std::string Lower(std::string_view text) {
    std::string lower(text);
    for (char& letter : lower) {
        if (letter >= 'A' && letter <= 'Z') {
            letter = static_cast<char>(letter - 'A' + 'a');
        }
    }
    return lower;
}

Answer TextMatches(
    std::string_view entry, std::string_view text, bool variables, const AccessRequest& request) {
    const Expanded expanded = Expand(entry, variables, true, request);
    if (expanded.answer != Answer::kYes) {
        return expanded.answer;
    }
    return Matches(expanded.pattern, text, kAnyText, kAnyLetter) ? Answer::kYes : Answer::kNo;
}

Answer ConditionsHold(const Json& condition, bool variables, const AccessRequest& request) {
    const Json::Object* operators = condition.AsObject();
    if (operators == nullptr) {
        return Answer::kUnknown;
    }
    Answer held = Answer::kYes;
    for (const Json::Member& entry : *operators) {
        const Json::Object* keys = entry.value.AsObject();
        if (keys == nullptr) {
            held = And(held, Answer::kUnknown);
            continue;
        }
        for (const Json::Member& key : *keys) {
            held = And(held, KeyHolds(entry.name, key.name, key.value, variables, request));
        }
    }
    return held;
}

}  // namespace policy

bool WildcardMatches(std::string_view pattern, std::string_view text) {
    return policy::Matches(pattern, text, '*', '?');
}

}  // namespace hearth::aws
