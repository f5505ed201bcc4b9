#include "services/lambda/function_name.h"

#include "services/lambda/errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace hearth::lambda {
namespace {

bool IsDigits(std::string_view text, size_t count) {
    return text.size() == count &&
           std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

bool IsNameCharacter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

bool IsName(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, IsNameCharacter);
}

std::vector<std::string_view> Split(std::string_view text) {
    std::vector<std::string_view> parts;
    for (;;) {
        const size_t colon = text.find(':');
        parts.push_back(text.substr(0, colon));
        if (colon == std::string_view::npos) {
            return parts;
        }
        text.remove_prefix(colon + 1);
    }
}

Error Malformed(std::string_view text) {
    return errors::Validation(
        text,
        "functionName",
        "Member must satisfy regular expression pattern: "
        "(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:"
        ")?"
        "(function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?");
}

}  // namespace

Result<FunctionReference> ParseFunctionName(
    std::string_view text,
    std::string_view qualifier,
    const AccountId& account,
    const Region& region) {
    FunctionReference reference{account, region, {}, {}};
    std::vector<std::string_view> parts = Split(text);
    size_t at = 0;
    const auto left = [&] { return parts.size() - at; };
    if (left() >= 7 && parts[0] == "arn" && parts[2] == "lambda") {
        reference.region = Region(std::string(parts[3]));
        at = 4;
    } else if (left() >= 4 && IsDigits(parts[1], 12) && parts[2] == "function") {
        // region:account:function:name, which the pattern allows as well.
        reference.region = Region(std::string(parts[0]));
        at = 1;
    }
    if (left() >= 3 && IsDigits(parts[at], 12) && parts[at + 1] == "function") {
        reference.account = AccountId(std::string(parts[at]));
        at += 2;
    } else if (at != 0) {
        return Malformed(text);
    } else if (left() >= 2 && parts[0] == "function") {
        at = 1;
    }
    if (left() < 1 || left() > 2 || !IsName(parts[at])) {
        return Malformed(text);
    }
    reference.name = std::string(parts[at]);
    if (left() == 2) {
        if (parts[at + 1] != "$LATEST" && !IsName(parts[at + 1])) {
            return Malformed(text);
        }
        reference.qualifier = std::string(parts[at + 1]);
    }
    if (reference.region != region) {
        return errors::ResourceNotFound(fmt::format(
            "Functions from '{}' are not reachable in this region ('{}')",
            reference.region.text(),
            region.text()));
    }
    if (!qualifier.empty()) {
        if (!reference.qualifier.empty() && reference.qualifier != qualifier) {
            return errors::InvalidParameterValue(
                "The derived qualifier from the function name does not match the specified "
                "qualifier.");
        }
        reference.qualifier = std::string(qualifier);
    }
    return reference;
}

bool IsVersionNumber(std::string_view qualifier) {
    return !qualifier.empty() && qualifier.size() <= 18 && qualifier[0] != '0' &&
           IsDigits(qualifier, qualifier.size());
}

std::string FunctionArn(
    const AccountId& account,
    const Region& region,
    std::string_view name,
    std::string_view qualifier) {
    std::string arn =
        fmt::format("arn:aws:lambda:{}:{}:function:{}", region.text(), account.text(), name);
    if (!qualifier.empty()) {
        arn.append(":").append(qualifier);
    }
    return arn;
}

}  // namespace hearth::lambda
