#include "codec/event_pattern/leaf_matcher.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace hearth::codec::internal {
namespace {

constexpr double kFiveBillion = 5e9;
constexpr double kMillion = 1e6;

constexpr const char* kOneKey = "Only one key allowed in match expression";

Error Invalid(std::string reason) {
    return errors::Malformed(std::move(reason));
}

// What AWS's parser would call the token.
std::string Describe(const Json& value) {
    const std::string* text = value.AsString();
    return text != nullptr ? *text : WriteJson(value);
}

char32_t FoldLetter(char32_t letter) {
    if (letter < 0x80) {
        return letter >= 'A' && letter <= 'Z' ? letter + 32 : letter;
    }
    if ((letter >= 0xC0 && letter <= 0xDE && letter != 0xD7) ||
        (letter >= 0x391 && letter <= 0x3A9 && letter != 0x3A2) ||
        (letter >= 0x410 && letter <= 0x42F)) {
        return letter + 32;
    }
    if (letter >= 0x400 && letter <= 0x40F) {
        return letter + 80;
    }
    const bool even_is_upper =
        (letter >= 0x100 && letter <= 0x12F) || (letter >= 0x132 && letter <= 0x137) ||
        (letter >= 0x14A && letter <= 0x177) || (letter >= 0x460 && letter <= 0x481) ||
        (letter >= 0x1E00 && letter <= 0x1E95);
    if (even_is_upper && letter % 2 == 0) {
        return letter + 1;
    }
    const bool odd_is_upper =
        (letter >= 0x139 && letter <= 0x148) || (letter >= 0x179 && letter <= 0x17E);
    if (odd_is_upper && letter % 2 == 1) {
        return letter + 1;
    }
    return letter;
}

// One letter of UTF-8 that is known to be valid.
char32_t TakeLetter(std::string_view text, size_t& at) {
    const auto byte = [&text](size_t index) {
        return index < text.size() ? static_cast<unsigned char>(text[index]) : 0u;
    };
    const unsigned first = byte(at);
    if (first < 0x80 || first < 0xC0) {
        at += 1;
        return first;
    }
    if (first < 0xE0) {
        const char32_t letter = (first & 0x1Fu) << 6 | (byte(at + 1) & 0x3Fu);
        at += 2;
        return letter;
    }
    if (first < 0xF0) {
        const char32_t letter =
            (first & 0x0Fu) << 12 | (byte(at + 1) & 0x3Fu) << 6 | (byte(at + 2) & 0x3Fu);
        at += 3;
        return letter;
    }
    const char32_t letter = (first & 0x07u) << 18 | (byte(at + 1) & 0x3Fu) << 12 |
                            (byte(at + 2) & 0x3Fu) << 6 | (byte(at + 3) & 0x3Fu);
    at += 4;
    return letter;
}

void AppendLetter(std::string& out, char32_t letter) {
    const auto add = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (letter < 0x80) {
        add(letter);
    } else if (letter < 0x800) {
        add(0xC0 | letter >> 6);
        add(0x80 | (letter & 0x3F));
    } else if (letter < 0x10000) {
        add(0xE0 | letter >> 12);
        add(0x80 | (letter >> 6 & 0x3F));
        add(0x80 | (letter & 0x3F));
    } else {
        add(0xF0 | letter >> 18);
        add(0x80 | (letter >> 12 & 0x3F));
        add(0x80 | (letter >> 6 & 0x3F));
        add(0x80 | (letter & 0x3F));
    }
}

}  // namespace

std::string FoldCase(std::string_view text) {
    std::string folded;
    folded.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const char byte = text[at];
        if (static_cast<unsigned char>(byte) < 0x80) {
            folded.push_back(byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + 32) : byte);
            ++at;
        } else {
            AppendLetter(folded, FoldLetter(TakeLetter(text, at)));
        }
    }
    return folded;
}

std::optional<std::string> ParseAddress(std::string_view text) {
    // inet_pton wants a terminated string; nothing longer is an address.
    std::array<char, 64> terminated{};
    if (text.empty() || text.size() >= terminated.size() ||
        text.find_first_of(".:") == std::string_view::npos ||
        text.find('\0') != std::string_view::npos) {
        return std::nullopt;
    }
    std::ranges::copy(text, terminated.begin());
    std::string address(16, '\0');
    if (inet_pton(AF_INET6, terminated.data(), address.data()) == 1) {
        return address;
    }
    address.assign(16, '\0');
    address[10] = address[11] = '\xff';
    if (inet_pton(AF_INET, terminated.data(), address.data() + 12) == 1) {
        return address;
    }
    return std::nullopt;
}

Result<Wildcard> Wildcard::Compile(std::string_view pattern) {
    Wildcard wildcard;
    std::string piece;
    for (size_t at = 0; at < pattern.size(); ++at) {
        const char next = at + 1 < pattern.size() ? pattern[at + 1] : '\0';
        if (pattern[at] == '*') {
            if (next == '*') {
                // AWS counts the quote that begins the string.
                return Invalid(fmt::format("Consecutive wildcard characters at pos {}", at + 1));
            }
            wildcard.pieces_.push_back(std::move(piece));
            piece.clear();
        } else if (pattern[at] == '\\') {
            if (next != '*' && next != '\\') {
                return Invalid(fmt::format("Invalid escape character at pos {}", at + 1));
            }
            piece.push_back(next);
            ++at;
        } else {
            piece.push_back(pattern[at]);
        }
    }
    wildcard.pieces_.push_back(std::move(piece));
    return wildcard;
}

bool Wildcard::Matches(std::string_view text) const {
    if (pieces_.size() == 1) {
        return text == pieces_.front();
    }
    const std::string& first = pieces_.front();
    const std::string& last = pieces_.back();
    if (text.size() < first.size() + last.size() || !text.starts_with(first) ||
        !text.ends_with(last)) {
        return false;
    }
    text.remove_prefix(first.size());
    text.remove_suffix(last.size());
    for (size_t index = 1; index + 1 < pieces_.size(); ++index) {
        const std::string& piece = pieces_[index];
        // Linear in the text, unlike string_view::find.
        const void* const found = memmem(text.data(), text.size(), piece.data(), piece.size());
        if (found == nullptr) {
            return false;
        }
        text.remove_prefix(
            static_cast<size_t>(static_cast<const char*>(found) - text.data()) + piece.size());
    }
    return true;
}

std::optional<LeafMatcher::Comparable> LeafMatcher::ToComparable(const Json& value) {
    double number = 0;
    if (const int64_t* const integer = value.AsInt()) {
        number = static_cast<double>(*integer);
    } else if (const double* const real = value.AsDouble()) {
        number = *real;
    } else {
        return std::nullopt;  // uint64_t: beyond int64_t
    }
    if (!(number >= -kFiveBillion && number <= kFiveBillion)) {
        return std::nullopt;
    }
    return static_cast<Comparable>(kMillion * (kFiveBillion + number));
}

Result<LeafMatcher::Comparable> LeafMatcher::NumberOf(const Json& value, std::string_view what) {
    if (!value.is_number()) {
        return Invalid(fmt::format("Value of {} must be numeric", what));
    }
    const auto comparable = ToComparable(value);
    if (!comparable) {
        return Invalid("Value must be between -5.0E9 and 5.0E9, inclusive");
    }
    return *comparable;
}

Result<LeafMatcher::NumericRange> LeafMatcher::CompileNumeric(const Json& value) {
    const Json::Array* const terms = value.AsArray();
    if (terms == nullptr) {
        return Invalid("Value of numeric must be an array.");
    }
    if (terms->empty() || !terms->front().is_string()) {
        return Invalid(fmt::format(
            "Invalid member in numeric match: {}",
            terms->empty() ? std::string("]") : Describe(terms->front())));
    }
    const std::string& op = *terms->front().AsString();
    if (op != "=" && op != "<" && op != "<=" && op != ">" && op != ">=") {
        return Invalid(fmt::format("Unrecognized numeric range operator: {}", op));
    }
    const std::string_view name = op == "=" ? std::string_view("equals") : std::string_view(op);
    if (terms->size() < 2) {
        return Invalid(fmt::format("Value of {} must be numeric", name));
    }
    HEARTH_TRY(const Comparable number, NumberOf((*terms)[1], name));
    NumericRange range{.bottom = 0, .top = ToComparable(Json(kFiveBillion)).value()};
    if (op == "=" || op == "<" || op == "<=") {
        if (terms->size() > 2) {
            return Invalid("Too many elements in numeric expression");
        }
        range.bottom = op == "=" ? number : 0;
        range.top = number;
        range.open_top = op == "<";
        return range;
    }
    range.bottom = number;
    range.open_bottom = op == ">";
    if (terms->size() == 2) {
        return range;
    }
    const std::string* const upper = (*terms)[2].AsString();
    if (upper == nullptr) {
        return Invalid(fmt::format("Bad value in numeric range: {}", Describe((*terms)[2])));
    }
    if (*upper != "<" && *upper != "<=") {
        return Invalid(fmt::format("Bad numeric range operator: {}", *upper));
    }
    if (terms->size() < 4) {
        return Invalid(fmt::format("Value of {} must be numeric", *upper));
    }
    HEARTH_TRY(range.top, NumberOf((*terms)[3], *upper));
    range.open_top = *upper == "<";
    if (terms->size() > 4) {
        return Invalid("Too many terms in numeric range expression");
    }
    if (range.top <= range.bottom) {
        return Invalid("Bottom must be less than top");
    }
    return range;
}

Result<LeafMatcher::AnythingBut> LeafMatcher::CompileAnythingBut(const Json& value) {
    AnythingBut but;
    constexpr const char* kBadList =
        "Inside anything but list, start|null|boolean is not supported.";
    if (const Json::Object* const expression = value.AsObject()) {
        if (expression->empty()) {
            return Invalid("Anything-But expression name not found");
        }
        if (expression->size() > 1) {
            return Invalid(kOneKey);
        }
        const std::string& op = expression->front().name;
        const Json& operand = expression->front().value;
        const bool affix = op == "prefix" || op == "suffix";
        if (!affix && op != "equals-ignore-case" && op != "wildcard") {
            return Invalid(fmt::format("Unsupported anything-but pattern: {}", op));
        }
        Json::Array single;
        const Json::Array* list = operand.AsArray();
        if (list == nullptr) {
            if (!operand.is_string() && !operand.is_number()) {
                return Invalid(
                    "Value of anything-but must be an array or single string/number value.");
            }
            single.push_back(operand);
            list = &single;
        }
        for (const Json& entry : *list) {
            const std::string* const text = entry.AsString();
            if (text == nullptr) {
                return Invalid(
                    op == "wildcard" ? "wildcard match pattern must be a string"
                    : affix          ? "prefix/suffix match pattern must be a string"
                                     : "Inside anything-but/equals-ignore-case list, "
                                       "number|start|null|boolean is not supported.");
            }
            if (affix && text->empty()) {
                return Invalid("Null prefix/suffix not allowed");
            }
            if (op == "prefix") {
                but.prefixes.push_back(*text);
            } else if (op == "suffix") {
                but.suffixes.push_back(*text);
            } else if (op == "wildcard") {
                HEARTH_TRY(Wildcard wildcard, Wildcard::Compile(*text));
                but.wildcards.push_back(std::move(wildcard));
            } else {
                but.folded.insert(FoldCase(*text));
            }
        }
        return but;
    }
    Json::Array single;
    const Json::Array* list = value.AsArray();
    if (list == nullptr) {
        if (!value.is_string() && !value.is_number()) {
            return Invalid("Value of anything-but must be an array or single string/number value.");
        }
        single.push_back(value);
        list = &single;
    }
    for (const Json& entry : *list) {
        if (const std::string* const text = entry.AsString()) {
            but.strings.insert(*text);
        } else if (entry.is_number()) {
            HEARTH_TRY(const Comparable number, NumberOf(entry, "anything-but"));
            but.numbers.insert(number);
        } else {
            return Invalid(kBadList);
        }
    }
    if (but.strings.empty() == but.numbers.empty()) {
        return Invalid(
            "Inside anything but list, either all values are number or string, mixed type is not "
            "supported");
    }
    return but;
}

Result<LeafMatcher::AddressRange> LeafMatcher::CompileCidr(const Json& value) {
    const std::string* const text = value.AsString();
    if (text == nullptr) {
        return Invalid("prefix match pattern must be a string");  // AWS's own words
    }
    const size_t slash = text->find('/');
    if (slash == std::string::npos || text->find('/', slash + 1) != std::string::npos) {
        return Invalid("Malformed CIDR, one '/' required");
    }
    const std::string_view bits_text = std::string_view(*text).substr(slash + 1);
    int bits = 0;
    const auto parsed =
        std::from_chars(bits_text.data(), bits_text.data() + bits_text.size(), bits);
    if (parsed.ec != std::errc() || parsed.ptr != bits_text.data() + bits_text.size()) {
        return Invalid("Malformed CIDR, mask bits must be an integer");
    }
    if (bits < 0) {
        return Invalid("Malformed CIDR, mask bits must not be negative");
    }
    const std::string_view address_text = std::string_view(*text).substr(0, slash);
    const auto address = ParseAddress(address_text);
    if (!address) {
        return Invalid(fmt::format("Nonstandard IP address: {}", address_text));
    }
    const bool is_v4 = address_text.find(':') == std::string_view::npos;
    if (is_v4 && bits > 31) {
        return Invalid("IPv4 mask bits must be < 32");
    }
    if (!is_v4 && bits > 127) {
        return Invalid("IPv6 mask bits must be < 128");
    }
    AddressRange range{.first = *address, .last = *address};
    const size_t fixed = static_cast<size_t>(is_v4 ? bits + 96 : bits);
    for (size_t bit = fixed; bit < 128; ++bit) {
        const auto mask = static_cast<unsigned char>(0x80u >> (bit % 8));
        char& first = range.first[bit / 8];
        char& last = range.last[bit / 8];
        first = static_cast<char>(static_cast<unsigned char>(first) & ~mask);
        last = static_cast<char>(static_cast<unsigned char>(last) | mask);
    }
    return range;
}

void LeafMatcher::AddLiteral(const Json& value) {
    if (const std::string* const text = value.AsString()) {
        strings_.insert(*text);
        if (auto address = ParseAddress(*text)) {
            addresses_.insert(*std::move(address));
        }
    } else if (const bool* const truth = value.AsBool()) {
        (*truth ? true_ : false_) = true;
    } else if (value.is_null()) {
        null_ = true;
    } else if (const auto comparable = ToComparable(value)) {
        numbers_.insert(*comparable);
    } else {
        large_numbers_.push_back(value);
    }
}

Status LeafMatcher::AddExpression(const Json::Object& expression) {
    if (expression.empty()) {
        return Invalid("Match expression name not found");
    }
    const std::string& op = expression.front().name;
    const Json& operand = expression.front().value;
    const std::string* const text = operand.AsString();
    if (op == "exactly") {
        if (text == nullptr) {
            return Invalid("exact match pattern must be a string");
        }
        strings_.insert(*text);
    } else if (op == "prefix" || op == "suffix") {
        Text affix;
        if (const Json::Object* const inner = operand.AsObject()) {
            if (inner->empty()) {
                return Invalid(fmt::format(
                    "{} expression name not found", op == "prefix" ? "Prefix" : "Suffix"));
            }
            if (inner->front().name != "equals-ignore-case") {
                return Invalid(fmt::format("Unsupported {} pattern: {}", op, inner->front().name));
            }
            const std::string* const folded = inner->front().value.AsString();
            if (folded == nullptr) {
                return Invalid("equals-ignore-case match pattern must be a string");
            }
            if (inner->size() > 1) {
                return Invalid(kOneKey);
            }
            affix = {.text = FoldCase(*folded), .ignore_case = true};
        } else if (text == nullptr) {
            return Invalid(fmt::format("{} match pattern must be a string", op));
        } else {
            affix.text = *text;
        }
        (op == "prefix" ? prefixes_ : suffixes_).push_back(std::move(affix));
    } else if (op == "numeric") {
        HEARTH_TRY(const NumericRange range, CompileNumeric(operand));
        ranges_.push_back(range);
    } else if (op == "anything-but") {
        HEARTH_TRY(AnythingBut but, CompileAnythingBut(operand));
        anything_but_.push_back(std::move(but));
    } else if (op == "exists") {
        const bool* const there = operand.AsBool();
        if (there == nullptr) {
            return Invalid("exists match pattern must be either true or false.");
        }
        (*there ? presence_ : absence_) = true;
    } else if (op == "cidr") {
        HEARTH_TRY(AddressRange range, CompileCidr(operand));
        networks_.push_back(std::move(range));
    } else if (op == "equals-ignore-case") {
        if (text == nullptr) {
            return Invalid("equals-ignore-case match pattern must be a string");
        }
        folded_.insert(FoldCase(*text));
    } else if (op == "wildcard") {
        if (text == nullptr) {
            return Invalid("wildcard match pattern must be a string");
        }
        HEARTH_TRY(Wildcard wildcard, Wildcard::Compile(*text));
        wildcards_.push_back(std::move(wildcard));
    } else {
        return Invalid(fmt::format("Unrecognized match type {}", op));
    }
    if (expression.size() > 1) {
        return Invalid(
            op == "numeric" || op == "anything-but" ? "Too many elements in numeric expression"
                                                    : kOneKey);
    }
    return Status();
}

Result<LeafMatcher> LeafMatcher::Compile(const Json::Array& list) {
    LeafMatcher leaf;
    for (const Json& entry : list) {
        if (entry.is_array()) {
            return Invalid("Match value must be String, number, true, false, or null");
        }
        if (const Json::Object* const expression = entry.AsObject()) {
            HEARTH_RETURN_IF_ERROR(leaf.AddExpression(*expression));
        } else {
            leaf.AddLiteral(entry);
        }
    }
    if (list.empty()) {
        return Invalid("Empty arrays are not allowed");
    }
    return leaf;
}

bool LeafMatcher::MatchesString(const std::string& text) const {
    if (strings_.contains(text)) {
        return true;
    }
    std::optional<std::string> folded;
    const auto fold = [&]() -> const std::string& {
        if (!folded) {
            folded = FoldCase(text);
        }
        return *folded;
    };
    if (!folded_.empty() && folded_.contains(fold())) {
        return true;
    }
    for (const Text& prefix : prefixes_) {
        if ((prefix.ignore_case ? fold() : text).starts_with(prefix.text)) {
            return true;
        }
    }
    for (const Text& suffix : suffixes_) {
        if ((suffix.ignore_case ? fold() : text).ends_with(suffix.text)) {
            return true;
        }
    }
    if (!addresses_.empty() || !networks_.empty()) {
        if (const auto address = ParseAddress(text)) {
            if (addresses_.contains(*address) ||
                std::ranges::any_of(networks_, [&](const AddressRange& network) {
                    return network.first <= *address && *address <= network.last;
                })) {
                return true;
            }
        }
    }
    if (std::ranges::any_of(
            wildcards_, [&](const Wildcard& wildcard) { return wildcard.Matches(text); })) {
        return true;
    }
    return std::ranges::any_of(anything_but_, [&](const AnythingBut& but) {
        return !but.strings.contains(text) &&
               (but.folded.empty() || !but.folded.contains(fold())) &&
               std::ranges::none_of(
                   but.prefixes, [&](const std::string& p) { return text.starts_with(p); }) &&
               std::ranges::none_of(
                   but.suffixes, [&](const std::string& s) { return text.ends_with(s); }) &&
               std::ranges::none_of(
                   but.wildcards, [&](const Wildcard& w) { return w.Matches(text); });
    });
}

bool LeafMatcher::MatchesNumber(const Json& value) const {
    const auto number = ToComparable(value);
    if (number) {
        if (numbers_.contains(*number)) {
            return true;
        }
        for (const NumericRange& range : ranges_) {
            if ((range.open_bottom ? range.bottom < *number : range.bottom <= *number) &&
                (range.open_top ? *number < range.top : *number <= range.top)) {
                return true;
            }
        }
    } else if (std::ranges::find(large_numbers_, value) != large_numbers_.end()) {
        return true;
    }
    return std::ranges::any_of(anything_but_, [&](const AnythingBut& but) {
        return !number || !but.numbers.contains(*number);
    });
}

bool LeafMatcher::MatchesScalar(const Json& value) const {
    if (presence_) {
        return true;
    }
    if (const std::string* const text = value.AsString()) {
        return MatchesString(*text);
    }
    if (value.is_number()) {
        return MatchesNumber(value);
    }
    const bool* const truth = value.AsBool();
    if (truth == nullptr ? null_ : *truth ? true_ : false_) {
        return true;
    }
    return !anything_but_.empty();
}

}  // namespace hearth::codec::internal
