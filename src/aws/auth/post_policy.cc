#include "aws/auth/post_policy.h"

#include "aws/auth/s3_errors.h"
#include "codec/base64/base64.h"
#include "codec/json/json.h"
#include "codec/timestamp/timestamp.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace hearth::aws {
namespace {

using codec::Json;

constexpr codec::JsonLimits kPolicyLimits{.depth_max = 8, .values_max = 10'000};

// What a form needs for itself and no policy has to name.
constexpr std::array<std::string_view, 5> kFreeFields = {
    "x-amz-signature", "file", "policy", "awsaccesskeyid", "signature"};

Error Invalid(std::string_view why) {
    return {
        Error::Kind::kInvalid,
        "InvalidPolicyDocument",
        fmt::format("Invalid Policy: {}", why),
        400};
}

Error NotMet(std::string_view why) {
    return s3_errors::AccessDenied(fmt::format("Invalid according to Policy: {}", why));
}

std::string LowerCase(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return lower;
}

// People write numbers with and without quotes.
std::optional<std::string> AsText(const Json& value) {
    if (const std::string* text = value.AsString()) {
        return *text;
    }
    if (const int64_t* number = value.AsInt()) {
        return std::to_string(*number);
    }
    return std::nullopt;
}

std::optional<uint64_t> AsSize(const Json& value) {
    const auto text = AsText(value);
    uint64_t size = 0;
    if (!text) {
        return std::nullopt;
    }
    const auto parsed = std::from_chars(text->data(), text->data() + text->size(), size);
    if (parsed.ec != std::errc() || parsed.ptr != text->data() + text->size()) {
        return std::nullopt;
    }
    return size;
}

// A list of media types begins so when each of them does.
bool BeginsWith(std::string_view field, std::string_view value, std::string_view prefix) {
    if (field != "content-type" || value.find(',') == std::string_view::npos) {
        return value.starts_with(prefix);
    }
    while (!value.empty()) {
        const size_t comma = value.find(',');
        std::string_view type = value.substr(0, comma);
        while (type.starts_with(' ')) {
            type.remove_prefix(1);
        }
        if (!type.starts_with(prefix)) {
            return false;
        }
        value.remove_prefix(comma == std::string_view::npos ? value.size() : comma + 1);
    }
    return true;
}

}  // namespace

Result<PostPolicy> PostPolicy::Parse(std::string_view encoded) {
    const auto text = codec::Base64Decode(encoded);
    if (!text.ok()) {
        return Invalid("Invalid Base64.");
    }
    const auto document = codec::ParseJson(*text, kPolicyLimits);
    if (!document.ok() || !document->is_object()) {
        return Invalid("Invalid JSON.");
    }
    PostPolicy policy;
    const std::string* expiration = document->FindString("expiration");
    if (expiration == nullptr) {
        return Invalid("Policy missing expiration.");
    }
    const auto time = codec::ParseIso8601(*expiration);
    if (!time.ok()) {
        return Invalid(fmt::format("Invalid 'expiration' value: '{}'", *expiration));
    }
    policy.expiration_ = *time;
    const Json* conditions = document->Find("conditions");
    if (conditions == nullptr || !conditions->is_array()) {
        return Invalid("Policy missing conditions.");
    }
    for (const Json& condition : *conditions->AsArray()) {
        const std::string as_written = codec::WriteJson(condition);
        const Error bad = Invalid(fmt::format("Invalid Condition: {}", as_written));
        if (const Json::Object* pairs = condition.AsObject()) {
            for (const Json::Member& pair : *pairs) {
                const auto value = AsText(pair.value);
                if (!value) {
                    return bad;
                }
                policy.conditions_.push_back(
                    {.field = LowerCase(pair.name),
                     .value = *value,
                     .text = fmt::format("[\"eq\", \"${}\", \"{}\"]", pair.name, *value)});
            }
            continue;
        }
        const Json::Array* parts = condition.AsArray();
        if (parts == nullptr || parts->size() != 3 || !(*parts)[0].is_string()) {
            return bad;
        }
        const std::string kind = LowerCase(*(*parts)[0].AsString());
        if (kind == "content-length-range") {
            const auto min = AsSize((*parts)[1]);
            const auto max = AsSize((*parts)[2]);
            if (!min || !max) {
                return bad;
            }
            policy.content_length_ = {
                .min = std::max(policy.content_length_.min, *min),
                .max = std::min(policy.content_length_.max, *max)};
            continue;
        }
        const auto field = AsText((*parts)[1]);
        const auto value = AsText((*parts)[2]);
        if ((kind != "eq" && kind != "starts-with") || !field || !field->starts_with('$') ||
            !value) {
            return bad;
        }
        policy.conditions_.push_back(
            {.is_prefix = kind == "starts-with",
             .field = LowerCase(std::string_view(*field).substr(1)),
             .value = *value,
             .text = fmt::format("[\"{}\", \"{}\", \"{}\"]", kind, *field, *value)});
    }
    return policy;
}

Status PostPolicy::Check(const Fields& fields, WallClock::time_point now) const {
    if (expiration_ < now) {
        return NotMet("Policy expired.");
    }
    for (const Condition& condition : conditions_) {
        const auto field =
            std::ranges::find(fields, condition.field, &std::pair<std::string, std::string>::first);
        // A field that is not there is empty.
        const std::string_view value =
            field == fields.end() ? std::string_view() : std::string_view(field->second);
        const bool met = condition.is_prefix ? BeginsWith(condition.field, value, condition.value)
                                             : value == condition.value;
        if (!met) {
            return NotMet(fmt::format("Policy Condition failed: {}", condition.text));
        }
    }
    for (const auto& [name, value] : fields) {
        const bool free = name.starts_with("x-ignore-") ||
                          std::ranges::find(kFreeFields, name) != kFreeFields.end();
        const bool covered = std::ranges::any_of(
            conditions_, [&](const Condition& condition) { return condition.field == name; });
        if (!free && !covered) {
            return NotMet(fmt::format("Extra input fields: {}", name));
        }
    }
    return Status();
}

}  // namespace hearth::aws
