#include "services/s3/website_rules.h"

#include "codec/uri/uri.h"

#include <fmt/format.h>

namespace hearth::s3 {

const WebsiteRoutingRule* WebsiteRules::Route(std::string_view key, int error_code) const {
    for (const WebsiteRoutingRule& rule : routing) {
        if (rule.error_code == error_code && key.starts_with(rule.key_prefix)) {
            return &rule;
        }
    }
    return nullptr;
}

std::string WebsiteRules::KeyOf(std::string_view path) const {
    std::string key(path);
    if (key.empty() || key.ends_with('/')) {
        key += index_suffix;
    }
    return key;
}

std::string RedirectLocation(
    const WebsiteRoutingRule& rule,
    std::string_view scheme,
    std::string_view host,
    std::string_view key) {
    const WebsiteRedirect& to = rule.redirect;
    std::string target(key);
    if (to.replace_key) {
        target = *to.replace_key;
    } else if (to.replace_prefix) {
        target = *to.replace_prefix + target.substr(rule.key_prefix.size());
    }
    return fmt::format(
        "{}://{}/{}",
        to.protocol.empty() ? scheme : std::string_view(to.protocol),
        to.host.empty() ? host : std::string_view(to.host),
        codec::PercentEncode(target, true));
}

}  // namespace hearth::s3
