#include "aws/front/admin.h"

namespace hearth::aws {

void AdminEndpoints::Add(std::string method, std::string path, Handler handler) {
    auto& table = path.ends_with('/') ? prefixes_ : exact_;
    table[std::move(path)][std::move(method)] = std::move(handler);
}

AdminEndpoints::Found AdminEndpoints::Find(std::string_view method, std::string_view path) const {
    const auto pick = [method](const auto& methods) {
        Found found{.path_known = true};
        if (const auto it = methods.find(method); it != methods.end()) {
            found.handler = &it->second;
        }
        return found;
    };
    if (const auto it = exact_.find(path); it != exact_.end()) {
        return pick(it->second);
    }
    // Prefixes sort before what they are prefixes of, so the last match is the longest.
    const std::map<std::string, Handler, std::less<>>* best = nullptr;
    for (const auto& [prefix, methods] : prefixes_) {
        if (path.starts_with(prefix)) {
            best = &methods;
        }
    }
    return best == nullptr ? Found() : pick(*best);
}

}  // namespace hearth::aws
