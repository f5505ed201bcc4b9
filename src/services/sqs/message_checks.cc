#include "services/sqs/message_checks.h"

#include "codec/crypto/crypto.h"
#include "services/sqs/errors.h"
#include "services/sqs/limits.h"

#include "gen/sqs/types.gen.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace hearth::sqs {
namespace {

// The bytes that a sequence beginning with `lead` has; 0: nothing begins so.
size_t SequenceBytes(unsigned char lead) {
    if (lead >= 0xC2 && lead <= 0xDF) {
        return 2;
    }
    if (lead >= 0xE0 && lead <= 0xEF) {
        return 3;
    }
    return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

// A sequence of more than one byte at the front of `text`; its length, or 0 when it is not allowed.
size_t AllowedSequence(std::string_view text) {
    const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const size_t bytes = SequenceBytes(at(0));
    if (bytes == 0 || text.size() < bytes) {
        return 0;
    }
    for (size_t i = 1; i < bytes; ++i) {
        if ((at(i) & 0xC0) != 0x80) {
            return 0;
        }
    }
    const bool overlong = (at(0) == 0xE0 && at(1) < 0xA0) || (at(0) == 0xF0 && at(1) < 0x90);
    const bool surrogate = at(0) == 0xED && at(1) >= 0xA0;
    const bool too_large = at(0) == 0xF4 && at(1) >= 0x90;
    const bool no_character = at(0) == 0xEF && at(1) == 0xBF && at(2) >= 0xBE;
    return overlong || surrogate || too_large || no_character ? 0 : bytes;
}

constexpr std::array<bool, 256> kPlain = [] {
    std::array<bool, 256> plain{};
    for (size_t c = 0x20; c < 0x80; ++c) {
        plain[c] = true;
    }
    plain[0x9] = plain[0xA] = plain[0xD] = true;
    return plain;
}();

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
    return std::ranges::equal(text, lower, [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
    });
}

Status CheckAttributeName(std::string_view name) {
    if (name.empty()) {
        return errors::InvalidParameterValue(
            "The request must contain non-empty message (user) attribute name.");
    }
    if (name.size() > kAttributeNameBytesMax) {
        return errors::InvalidParameterValue(
            "Length of message (user) attribute name must be less than 257 bytes.");
    }
    const auto allowed = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '_' || c == '-' || c == '.';
    };
    if (!std::ranges::all_of(name, allowed)) {
        return errors::InvalidParameterValue(
            "Invalid non-alphanumeric character was found in the message (user) attribute name. "
            "Can only include alphanumeric characters, hyphens, underscores, or dots.");
    }
    if (EqualsIgnoringCase(name.substr(0, 4), "aws.") ||
        EqualsIgnoringCase(name.substr(0, 7), "amazon.")) {
        return errors::InvalidParameterValue(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These "
            "strings are reserved for internal use.");
    }
    if (name.front() == '.' || name.back() == '.' || name.find("..") != std::string_view::npos) {
        return errors::InvalidParameterValue(
            "You can't use message attribute names that start or end with a period, or that have "
            "periods in succession.");
    }
    return {};
}

// A decimal number of at most 38 digits that count, between -10^128 and 10^126.
bool IsNumber(std::string_view text) {
    if (text.starts_with('-') || text.starts_with('+')) {
        text.remove_prefix(1);
    }
    size_t digits = 0;
    int64_t magnitude = 0;
    bool point = false;
    bool counts = false;
    // From the first digit that is no zero: so far, and to the last that is none.
    size_t from_first = 0;
    size_t significant = 0;
    size_t i = 0;
    for (; i < text.size(); ++i) {
        if (text[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (text[i] < '0' || text[i] > '9') {
            break;
        }
        ++digits;
        counts = counts || text[i] != '0';
        from_first += counts ? 1 : 0;
        significant = text[i] != '0' ? from_first : significant;
        if (!point && counts) {
            ++magnitude;
        } else if (point && !counts) {
            --magnitude;
        }
    }
    if (digits == 0) {
        return false;
    }
    int64_t exponent = 0;
    if (i < text.size()) {
        if (text[i] != 'e' && text[i] != 'E') {
            return false;
        }
        ++i;
        bool negative = false;
        if (i < text.size() && (text[i] == '-' || text[i] == '+')) {
            negative = text[i] == '-';
            ++i;
        }
        if (i == text.size() || text.size() - i > 6) {
            return false;
        }
        for (; i < text.size(); ++i) {
            if (text[i] < '0' || text[i] > '9') {
                return false;
            }
            exponent = exponent * 10 + (text[i] - '0');
        }
        exponent = negative ? -exponent : exponent;
    }
    return significant <= kNumberDigitsMax &&
           (!counts || (magnitude + exponent <= 128 && magnitude + exponent >= -127));
}

enum class Kind { kString, kNumber, kBinary };

// The kind of "String", "Number.float" and the like.
Result<Kind> KindOf(std::string_view name, std::string_view type) {
    if (type.empty()) {
        return errors::InvalidParameterValue(fmt::format(
            "The message (user) attribute '{}' must contain non-empty attribute type.", name));
    }
    if (type.size() > kAttributeTypeBytesMax || !IsMessageText(type)) {
        return errors::InvalidParameterValue(fmt::format(
            "Length of message (user) attribute '{}' type must be less than 257 bytes.", name));
    }
    const std::string_view prefix = type.substr(0, type.find('.'));
    if (prefix == "String") {
        return Kind::kString;
    }
    if (prefix == "Number") {
        return Kind::kNumber;
    }
    if (prefix == "Binary") {
        return Kind::kBinary;
    }
    return errors::InvalidParameterValue(fmt::format(
        "The message (user) attribute '{}' has an invalid message attribute type, the set of "
        "supported type prefixes is Binary, Number, and String.",
        name));
}

template <class Value>
Result<MessageQueues::AttributeValue> TakeValue(std::string_view name, Value value) {
    if ((value.string_list_values && !value.string_list_values->empty()) ||
        (value.binary_list_values && !value.binary_list_values->empty())) {
        return errors::UnsupportedOperation(
            "Message attribute list values in SendMessage operation are not supported.");
    }
    MessageQueues::AttributeValue taken;
    taken.data_type = std::move(value.data_type).value_or("");
    HEARTH_TRY(const Kind kind, KindOf(name, taken.data_type));
    const bool binary = kind == Kind::kBinary;
    if (binary ? value.string_value.has_value() && !value.string_value->empty()
               : value.binary_value.has_value() && !value.binary_value->empty()) {
        return errors::InvalidParameterValue(fmt::format(
            "The message (user) attribute '{}' with type '{}' must use field '{}'.",
            name,
            taken.data_type,
            binary ? "Binary" : "String"));
    }
    taken.value = std::move(binary ? value.binary_value : value.string_value).value_or("");
    if (taken.value.empty()) {
        return errors::InvalidParameterValue(fmt::format(
            "Message (user) attribute '{}' must contain a non-empty value of type '{}'.",
            name,
            taken.data_type));
    }
    if (kind == Kind::kNumber && !IsNumber(taken.value)) {
        return errors::InvalidParameterValue(fmt::format(
            "Can't cast the value of message (user) attribute '{}' to a number.", name));
    }
    if (!binary && !IsMessageText(taken.value)) {
        return errors::InvalidParameterValue(errors::InvalidMessageContents().message());
    }
    return taken;
}

void AppendLength(std::string& out, size_t length) {
    for (int shift = 24; shift >= 0; shift -= 8) {
        out.push_back(static_cast<char>(length >> shift & 0xFF));
    }
}

void AppendWithLength(std::string& out, std::string_view text) {
    AppendLength(out, text.size());
    out.append(text);
}

}  // namespace

bool IsMessageText(std::string_view text) {
    while (!text.empty()) {
        size_t plain = 0;
        while (plain < text.size() && kPlain[static_cast<unsigned char>(text[plain])]) {
            ++plain;
        }
        text.remove_prefix(plain);
        if (text.empty()) {
            break;
        }
        const size_t bytes = AllowedSequence(text);
        if (bytes == 0) {
            return false;
        }
        text.remove_prefix(bytes);
    }
    return true;
}

std::string AsMessageText(std::string text) {
    if (IsMessageText(text)) {
        return text;
    }
    std::string allowed;
    for (size_t at = 0; at < text.size();) {
        const auto first = static_cast<unsigned char>(text[at]);
        const size_t bytes = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
        const std::string_view character = std::string_view(text).substr(at, bytes);
        allowed.append(IsMessageText(character) ? character : "\xEF\xBF\xBD");
        at += character.size();
    }
    return allowed;
}

Status CheckBody(const std::optional<std::string>& body) {
    if (!body || body->empty()) {
        return errors::MissingParameter("MessageBody");
    }
    if (!IsMessageText(*body)) {
        return errors::InvalidMessageContents();
    }
    return {};
}

Status CheckToken(std::string_view parameter, std::string_view value) {
    const auto allowed = [](char c) { return c >= 0x21 && c <= 0x7E; };
    if (value.empty() || value.size() > kTokenCharactersMax ||
        !std::ranges::all_of(value, allowed)) {
        return errors::InvalidValueOf(
            parameter,
            value.substr(0, 2 * kTokenCharactersMax),
            fmt::format(
                "{} can only include alphanumeric and punctuation characters. 1 to {} in length.",
                parameter,
                kTokenCharactersMax));
    }
    return {};
}

Result<AttributeValues> TakeAttributes(std::map<std::string, model::MessageAttributeValue> given) {
    if (given.size() > kMessageAttributesMax) {
        return errors::InvalidParameterValue(fmt::format(
            "Number of message attributes [{}] exceeds the allowed maximum [{}].",
            given.size(),
            kMessageAttributesMax));
    }
    AttributeValues taken;
    for (auto& [name, value] : given) {
        HEARTH_RETURN_IF_ERROR(CheckAttributeName(name));
        HEARTH_TRY(auto checked, TakeValue(name, std::move(value)));
        taken.emplace_hint(taken.end(), name, std::move(checked));
    }
    return taken;
}

Result<SystemAttributes> TakeSystemAttributes(
    std::map<std::string, model::MessageSystemAttributeValue> given) {
    SystemAttributes taken;
    AttributeValues all;
    for (auto& [name, value] : given) {
        if (name != "AWSTraceHeader") {
            return errors::InvalidParameterValue(
                fmt::format("Message system attribute name '{}' is invalid.", name.substr(0, 256)));
        }
        HEARTH_TRY(auto checked, TakeValue(name, std::move(value)));
        if (checked.data_type != "String") {
            return errors::InvalidParameterValue(
                fmt::format("The message system attribute '{}' must be of type 'String'.", name));
        }
        taken.trace_header = checked.value;
        all.emplace(name, std::move(checked));
    }
    taken.md5 = AttributesMd5(all);
    return taken;
}

size_t BytesOf(const AttributeValues& attributes) {
    size_t bytes = 0;
    for (const auto& [name, value] : attributes) {
        bytes += name.size() + value.data_type.size() + value.value.size();
    }
    return bytes;
}

std::string AttributesMd5(const AttributeValues& attributes) {
    if (attributes.empty()) {
        return {};
    }
    std::string text;
    text.reserve(BytesOf(attributes) + attributes.size() * 13);
    for (const auto& [name, value] : attributes) {
        AppendWithLength(text, name);
        AppendWithLength(text, value.data_type);
        text.push_back(value.is_binary() ? '\2' : '\1');
        AppendWithLength(text, value.value);
    }
    return codec::Md5Hex(text);
}

}  // namespace hearth::sqs
