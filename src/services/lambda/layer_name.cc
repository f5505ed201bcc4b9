#include "services/lambda/layer_name.h"

#include "services/lambda/errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

namespace hearth::lambda {
namespace {

bool IsName(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_';
    });
}

bool IsAccount(std::string_view text) {
    return text.size() == 12 &&
           std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// arn:aws:lambda:region:account:layer:name[:version]
std::optional<LayerReference> ParseArn(std::string_view text) {
    std::vector<std::string_view> parts;
    for (std::string_view rest = text;;) {
        const size_t colon = rest.find(':');
        parts.push_back(rest.substr(0, colon));
        if (colon == std::string_view::npos) {
            break;
        }
        rest.remove_prefix(colon + 1);
    }
    if ((parts.size() != 7 && parts.size() != 8) || parts[0] != "arn" || parts[1].empty() ||
        parts[2] != "lambda" || parts[3].empty() || !IsAccount(parts[4]) || parts[5] != "layer" ||
        !IsName(parts[6])) {
        return std::nullopt;
    }
    LayerReference reference{
        AccountId(std::string(parts[4])), Region(std::string(parts[3])), std::string(parts[6]), 0};
    if (parts.size() == 8) {
        const char* end = parts[7].data() + parts[7].size();
        const auto parsed = std::from_chars(parts[7].data(), end, reference.version);
        // A number of any length is well-formed; one that no counter reaches names nothing.
        if (parsed.ec == std::errc::result_out_of_range) {
            reference.version = INT64_MAX;
        } else if (parsed.ec != std::errc() || parsed.ptr != end || reference.version < 0) {
            return std::nullopt;
        }
    }
    return reference;
}

}  // namespace

Result<LayerReference> ParseLayerName(
    std::string_view text, const AccountId& account, const Region& region) {
    if (IsName(text)) {
        return LayerReference{account, region, std::string(text), 0};
    }
    const auto reference = ParseArn(text);
    if (!reference || std::ranges::count(text, ':') != 6) {
        return errors::Validation(
            text,
            "layerName",
            "Member must satisfy regular expression pattern: "
            "(arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\\d{12}:layer:[a-zA-Z0-9-_]+)|"
            "[a-zA-Z0-9-_]+");
    }
    return *reference;
}

Result<LayerReference> ParseLayerVersionArn(std::string_view text, std::string_view member) {
    const auto reference = ParseArn(text);
    if (!reference || std::ranges::count(text, ':') != 7) {
        return errors::Validation(
            text,
            member,
            "Member must satisfy regular expression pattern: "
            "arn:(aws[a-zA-Z-]*)?:lambda:[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:\\d{12}:"
            "layer:[a-zA-Z0-9-_]+:[0-9]+");
    }
    return *reference;
}

std::string LayerArn(const AccountId& account, const Region& region, std::string_view name) {
    return fmt::format("arn:aws:lambda:{}:{}:layer:{}", region.text(), account.text(), name);
}

std::string LayerVersionArn(
    const AccountId& account, const Region& region, std::string_view name, int64_t version) {
    return fmt::format("{}:{}", LayerArn(account, region, name), version);
}

}  // namespace hearth::lambda
