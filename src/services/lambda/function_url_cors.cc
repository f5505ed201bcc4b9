#include "services/lambda/function_url_cors.h"

#include "http/message.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

namespace hearth::lambda {
namespace {

using List = std::optional<std::vector<std::string>>;

constexpr std::string_view kAny = "*";

bool Holds(const List& list, std::string_view text) {
    return list && std::ranges::any_of(*list, [&](const std::string& item) {
               return http::EqualsIgnoringCase(item, text);
           });
}

bool Allows(const List& list, std::string_view text) {
    return Holds(list, kAny) || Holds(list, text);
}

bool AllowsHeaders(const List& list, std::string_view names) {
    while (!names.empty()) {
        const size_t end = std::min(names.find(','), names.size());
        std::string_view name = names.substr(0, end);
        names.remove_prefix(std::min(end + 1, names.size()));
        while (name.starts_with(' ')) {
            name.remove_prefix(1);
        }
        while (name.ends_with(' ')) {
            name.remove_suffix(1);
        }
        if (!name.empty() && !Allows(list, name)) {
            return false;
        }
    }
    return true;
}

// Browsers send these without asking, so they need no permission.
bool IsSimple(std::string_view method) {
    return method == "GET" || method == "HEAD" || method == "POST";
}

// What the wildcard stands for is spelled out, because browsers take a literal star with
// credentials for a name. Else the list as it was configured.
void AddList(HttpHeaders& headers, const char* name, const List& list, std::string_view asked_for) {
    if (Holds(list, kAny)) {
        if (!asked_for.empty()) {
            headers.emplace_back(name, asked_for);
        }
    } else if (list && !list->empty()) {
        headers.emplace_back(name, fmt::format("{}", fmt::join(*list, ",")));
    }
}

bool AddOrigin(HttpHeaders& headers, const UrlCors& cors, std::string_view origin) {
    if (origin.empty() || !Allows(cors.allow_origins, origin)) {
        return false;
    }
    const bool any = Holds(cors.allow_origins, kAny) && !cors.allow_credentials;
    headers.emplace_back("Access-Control-Allow-Origin", any ? kAny : origin);
    if (!any) {
        headers.emplace_back("Vary", "Origin");
    }
    if (cors.allow_credentials) {
        headers.emplace_back("Access-Control-Allow-Credentials", "true");
    }
    return true;
}

}  // namespace

HttpHeaders CorsPreflightHeaders(const UrlCors& cors, const CorsQuestion& question) {
    HttpHeaders headers;
    const bool method_allowed = question.method.empty() || IsSimple(question.method) ||
                                Allows(cors.allow_methods, question.method);
    if (!method_allowed || !AllowsHeaders(cors.allow_headers, question.headers) ||
        !AddOrigin(headers, cors, question.origin)) {
        return {};
    }
    AddList(headers, "Access-Control-Allow-Headers", cors.allow_headers, question.headers);
    AddList(headers, "Access-Control-Allow-Methods", cors.allow_methods, question.method);
    if (cors.max_age_s) {
        headers.emplace_back("Access-Control-Max-Age", fmt::format("{}", *cors.max_age_s));
    }
    return headers;
}

HttpHeaders CorsAnswerHeaders(const UrlCors& cors, std::string_view origin) {
    HttpHeaders headers;
    if (AddOrigin(headers, cors, origin) && cors.expose_headers && !cors.expose_headers->empty()) {
        headers.emplace_back(
            "Access-Control-Expose-Headers",
            fmt::format("{}", fmt::join(*cors.expose_headers, ",")));
    }
    return headers;
}

}  // namespace hearth::lambda
