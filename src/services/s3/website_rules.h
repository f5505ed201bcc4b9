#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// A bucket as a web site: which key a path means, and where else a browser is sent. Pure.
// Source: S3 User Guide, "Hosting a static website", "Configuring advanced conditional redirects".
namespace hearth::s3 {

struct WebsiteRedirect {
    std::string host;      // empty: the same
    std::string protocol;  // "http", "https"; empty: the same
    int status = 301;
    std::optional<std::string> replace_key;
    std::optional<std::string> replace_prefix;
};

struct WebsiteRoutingRule {
    std::string key_prefix;
    // 0: not asked about.
    int error_code = 0;
    WebsiteRedirect redirect;
};

struct WebsiteRules {
    // Everything goes elsewhere; the rest is empty then.
    bool redirect_all = false;
    std::string redirect_host;
    std::string redirect_protocol;

    std::string index_suffix;
    // Empty: S3's own pages.
    std::string error_key;
    std::vector<WebsiteRoutingRule> routing;

    // The rule that sends a request for `key` elsewhere before it is looked up (`error_code` 0), or
    // when looking it up failed that way; nullptr: none.
    const WebsiteRoutingRule* Route(std::string_view key, int error_code) const;

    // The key that a path (decoded, without its first slash) means.
    std::string KeyOf(std::string_view path) const;
};

// Where a rule sends a request: `scheme` and `host` are the request's own.
std::string RedirectLocation(
    const WebsiteRoutingRule& rule,
    std::string_view scheme,
    std::string_view host,
    std::string_view key);

}  // namespace hearth::s3
