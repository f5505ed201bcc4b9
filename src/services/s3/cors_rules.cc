#include "services/s3/cors_rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace hearth::s3 {
namespace {

constexpr std::string_view kVary =
    "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

std::string_view Trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
        text.remove_prefix(1);
    }
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
        text.remove_suffix(1);
    }
    return text;
}

std::vector<std::string> HeaderNames(std::string_view list) {
    std::vector<std::string> names;
    while (!list.empty()) {
        const size_t comma = std::min(list.find(','), list.size());
        std::string name(Trim(list.substr(0, comma)));
        list.remove_prefix(std::min(comma + 1, list.size()));
        if (name.empty()) {
            continue;
        }
        std::transform(name.begin(), name.end(), name.begin(), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        });
        names.push_back(std::move(name));
    }
    return names;
}

bool AnyMatches(const std::vector<std::string>& patterns, std::string_view text) {
    return std::any_of(patterns.begin(), patterns.end(), [text](const std::string& pattern) {
        return MatchesOneStar(pattern, text);
    });
}

}  // namespace

bool MatchesOneStar(std::string_view pattern, std::string_view text) {
    const size_t star = pattern.find('*');
    if (star == std::string_view::npos) {
        return pattern == text;
    }
    const std::string_view before = pattern.substr(0, star);
    const std::string_view after = pattern.substr(star + 1);
    return text.size() >= before.size() + after.size() && text.starts_with(before) &&
           text.ends_with(after);
}

std::optional<CorsRules::Headers> CorsRules::Answer(
    std::string_view origin, std::string_view method, std::string_view request_headers) const {
    const std::vector<std::string> wanted = HeaderNames(request_headers);
    for (const CorsRule& rule : rules_) {
        if (std::find(rule.methods.begin(), rule.methods.end(), method) == rule.methods.end() ||
            !AnyMatches(rule.origins, origin) ||
            !std::all_of(wanted.begin(), wanted.end(), [&rule](const std::string& name) {
                return AnyMatches(rule.allowed_headers, name);
            })) {
            continue;
        }
        const bool anybody =
            std::find(rule.origins.begin(), rule.origins.end(), "*") != rule.origins.end();
        Headers headers;
        headers.emplace_back("Access-Control-Allow-Origin", anybody ? "*" : std::string(origin));
        headers.emplace_back(
            "Access-Control-Allow-Methods", fmt::format("{}", fmt::join(rule.methods, ", ")));
        if (!wanted.empty()) {
            headers.emplace_back(
                "Access-Control-Allow-Headers", fmt::format("{}", fmt::join(wanted, ", ")));
        }
        if (!rule.expose_headers.empty()) {
            headers.emplace_back(
                "Access-Control-Expose-Headers",
                fmt::format("{}", fmt::join(rule.expose_headers, ", ")));
        }
        if (rule.max_age_s) {
            headers.emplace_back("Access-Control-Max-Age", std::to_string(*rule.max_age_s));
        }
        if (!anybody) {
            headers.emplace_back("Access-Control-Allow-Credentials", "true");
        }
        headers.emplace_back("Vary", kVary);
        return headers;
    }
    return std::nullopt;
}

}  // namespace hearth::s3
