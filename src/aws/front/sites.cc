#include "aws/front/sites.h"

#include <utility>

namespace hearth::aws {
namespace {

constexpr std::string_view kPathPrefix = "/_hearth/";
// A domain name is no longer, and what is longer is nobody's site.
constexpr size_t kHostBytesMax = 255;

}  // namespace

std::string HostName(std::string_view host) {
    if (!host.starts_with('[')) {
        host = host.substr(0, host.find(':'));
    } else {
        host = host.substr(0, host.find(']') + 1);
    }
    if (host.ends_with('.')) {
        host.remove_suffix(1);
    }
    return http::LowerCase(host);
}

void Sites::Add(std::string label, Site& site) {
    sites_.emplace_back(std::move(label), &site);
}

std::optional<Sites::Address> Sites::FindByHost(std::string_view host) const {
    if (host.size() > kHostBytesMax + 6) {
        return std::nullopt;
    }
    // Every request of the cloud comes by here: most hosts have no second label at all.
    const size_t first = host.find('.');
    if (first == std::string_view::npos || first == 0) {
        return std::nullopt;
    }
    size_t begin = first + 1;
    for (;;) {
        const size_t end = host.find('.', begin);
        if (end == std::string_view::npos) {
            return std::nullopt;
        }
        for (const auto& [label, site] : sites_) {
            if (http::EqualsIgnoringCase(host.substr(begin, end - begin), label)) {
                return Address{.site = site, .id = http::LowerCase(host.substr(0, begin - 1))};
            }
        }
        begin = end + 1;
    }
}

std::optional<Sites::Address> Sites::FindByPath(std::string_view path) const {
    if (!path.starts_with(kPathPrefix)) {
        return std::nullopt;
    }
    const std::string_view rest = path.substr(kPathPrefix.size());
    for (const auto& [label, site] : sites_) {
        if (!rest.starts_with(label) || rest.size() <= label.size() + 1 ||
            rest[label.size()] != '/') {
            continue;
        }
        const std::string_view address = rest.substr(label.size() + 1);
        const size_t slash = address.find('/');
        return Address{
            .site = site,
            .id = http::LowerCase(address.substr(0, slash)),
            .path =
                slash == std::string_view::npos ? std::string_view("/") : address.substr(slash)};
    }
    return std::nullopt;
}

}  // namespace hearth::aws
