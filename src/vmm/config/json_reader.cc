#include "vmm/config/json_reader.h"

#include "vmm/config/faults.h"

#include <fmt/format.h>

#include <algorithm>

namespace hearth::vmm {
namespace {

constexpr std::string_view kBodyFault =
    "An error occurred when deserializing the json body of a request: ";

std::string Describe(const codec::Json& value) {
    if (const bool* boolean = value.AsBool()) {
        return fmt::format("boolean `{}`", *boolean);
    }
    if (const auto* integer = value.AsInt()) {
        return fmt::format("integer `{}`", *integer);
    }
    if (const auto* integer = value.AsUint()) {
        return fmt::format("integer `{}`", *integer);
    }
    if (const auto* number = value.AsDouble()) {
        return fmt::format("floating point `{}`", *number);
    }
    if (const auto* text = value.AsString()) {
        return fmt::format("string \"{}\"", *text);
    }
    return value.is_array() ? "sequence" : value.is_object() ? "map" : "null";
}

// "`a`", "`a` or `b`", "one of `a`, `b`, `c`".
std::string OneOf(std::span<const std::string_view> names) {
    if (names.size() == 1) {
        return fmt::format("`{}`", names[0]);
    }
    if (names.size() == 2) {
        return fmt::format("`{}` or `{}`", names[0], names[1]);
    }
    std::string text = "one of ";
    for (std::size_t i = 0; i < names.size(); ++i) {
        text += fmt::format("{}`{}`", i == 0 ? "" : ", ", names[i]);
    }
    return text;
}

std::optional<std::uint64_t> AsUnsigned(const codec::Json& value) {
    if (const auto* integer = value.AsUint()) {
        return *integer;
    }
    if (const auto* integer = value.AsInt(); integer != nullptr && *integer >= 0) {
        return static_cast<std::uint64_t>(*integer);
    }
    return std::nullopt;
}

}  // namespace

Error BodyFault(std::string_view why) {
    return faults::Bad(fmt::format("{}{}.", kBodyFault, why));
}

Result<codec::Json> ParseBody(std::string_view text) {
    auto parsed = codec::ParseJson(text);
    if (!parsed.ok()) {
        return BodyFault(parsed.error().message());
    }
    return parsed;
}

JsonReader::JsonReader(
    const codec::Json& value,
    std::string_view structure,
    std::initializer_list<std::string_view> fields)
    : value_(value) {
    const auto* members = value.AsObject();
    if (members == nullptr) {
        WrongType(value, fmt::format("struct {}", structure));
        return;
    }
    for (const auto& member : *members) {
        if (std::ranges::find(fields, member.name) == fields.end()) {
            Fail(fmt::format(
                "unknown field `{}`, expected {}",
                member.name,
                OneOf(std::span(fields.begin(), fields.size()))));
            return;
        }
    }
}

const codec::Json* JsonReader::Member(std::string_view name) const {
    const auto* found = value_.Find(name);
    return found == nullptr || found->is_null() ? nullptr : found;
}

void JsonReader::WrongType(const codec::Json& found, std::string_view expected) {
    Fail(fmt::format("invalid type: {}, expected {}", Describe(found), expected));
}

void JsonReader::Missing(std::string_view name) {
    if (const auto* found = value_.Find(name); found != nullptr) {
        WrongType(*found, "a value");
    } else if (!missing_) {
        missing_ = fmt::format("missing field `{}`", name);
    }
}

void JsonReader::Fail(const Error& error) {
    // A nested object's error carries the same beginning and end.
    std::string_view message = error.message();
    if (message.starts_with(kBodyFault) && message.ends_with('.')) {
        message.remove_prefix(kBodyFault.size());
        message.remove_suffix(1);
    }
    Fail(std::string(message));
}

void JsonReader::Fail(std::string message) {
    if (!error_) {
        error_ = std::move(message);
    }
}

Status JsonReader::status() const {
    if (error_) {
        return BodyFault(*error_);
    }
    if (missing_) {
        return BodyFault(*missing_);
    }
    return {};
}

std::optional<std::string> JsonReader::OptionalString(std::string_view name) {
    const auto* found = Member(name);
    if (found == nullptr) {
        return std::nullopt;
    }
    if (const auto* text = found->AsString()) {
        return *text;
    }
    WrongType(*found, "a string");
    return std::nullopt;
}

std::optional<bool> JsonReader::OptionalBool(std::string_view name) {
    const auto* found = Member(name);
    if (found == nullptr) {
        return std::nullopt;
    }
    if (const bool* boolean = found->AsBool()) {
        return *boolean;
    }
    WrongType(*found, "a boolean");
    return std::nullopt;
}

std::optional<std::uint64_t> JsonReader::OptionalUnsigned(
    std::string_view name, std::uint64_t max, std::string_view type) {
    const auto* found = Member(name);
    if (found == nullptr) {
        return std::nullopt;
    }
    if (const auto number = AsUnsigned(*found); number && *number <= max) {
        return number;
    }
    if (found->AsInt() != nullptr || found->AsUint() != nullptr) {
        Fail(fmt::format("invalid value: {}, expected {}", Describe(*found), type));
    } else {
        WrongType(*found, type);
    }
    return std::nullopt;
}

std::optional<std::vector<std::string>> JsonReader::OptionalStrings(std::string_view name) {
    const auto* found = Member(name);
    if (found == nullptr) {
        return std::nullopt;
    }
    const auto* items = found->AsArray();
    if (items == nullptr) {
        WrongType(*found, "a sequence");
        return std::nullopt;
    }
    std::vector<std::string> texts;
    for (const auto& item : *items) {
        const auto* text = item.AsString();
        if (text == nullptr) {
            WrongType(item, "a string");
            return std::nullopt;
        }
        texts.push_back(*text);
    }
    return texts;
}

std::optional<std::size_t> JsonReader::OptionalVariant(
    std::string_view name, std::span<const std::string_view> variants) {
    const auto text = OptionalString(name);
    if (!text) {
        return std::nullopt;
    }
    const auto found = std::ranges::find(variants, std::string_view(*text));
    if (found == variants.end()) {
        Fail(fmt::format("unknown variant `{}`, expected {}", *text, OneOf(variants)));
        return std::nullopt;
    }
    return static_cast<std::size_t>(found - variants.begin());
}

std::string JsonReader::String(std::string_view name) {
    if (!Has(name)) {
        Missing(name);
    }
    return OptionalString(name).value_or("");
}

bool JsonReader::Bool(std::string_view name) {
    if (!Has(name)) {
        Missing(name);
    }
    return OptionalBool(name).value_or(false);
}

std::uint64_t JsonReader::Unsigned(
    std::string_view name, std::uint64_t max, std::string_view type) {
    if (!Has(name)) {
        Missing(name);
    }
    return OptionalUnsigned(name, max, type).value_or(0);
}

const codec::Json* JsonReader::Value(std::string_view name) {
    if (!Has(name)) {
        Missing(name);
    }
    return Member(name);
}

std::size_t JsonReader::Variant(std::string_view name, std::span<const std::string_view> variants) {
    if (!Has(name)) {
        Missing(name);
    }
    return OptionalVariant(name, variants).value_or(0);
}

}  // namespace hearth::vmm
