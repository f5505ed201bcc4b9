#include "aws/front/admin.h"

namespace hearth::aws {

void AdminEndpoints::Add(std::string method, std::string path, Handler handler) {
    AddEndpoint(std::move(method), std::move(path), {.handler = std::move(handler)});
}

void AdminEndpoints::AddUnsigned(std::string method, std::string path, Handler handler) {
    AddEndpoint(
        std::move(method), std::move(path), {.handler = std::move(handler), .is_unsigned = true});
}

void AdminEndpoints::AddEndpoint(std::string method, std::string path, Endpoint endpoint) {
    auto& table = path.ends_with('/') ? prefixes_ : exact_;
    table[std::move(path)][std::move(method)] = std::move(endpoint);
}

void AdminEndpoints::OnStop(std::function<void()> end_streams) {
    on_stop_.push_back(std::move(end_streams));
}

void AdminEndpoints::BeginStop() const {
    for (const auto& end_streams : on_stop_) {
        end_streams();
    }
}

AdminEndpoints::Found AdminEndpoints::Find(std::string_view method, std::string_view path) const {
    const auto pick = [method](const auto& methods) {
        Found found{.path_known = true};
        if (const auto it = methods.find(method); it != methods.end()) {
            found.handler = &it->second.handler;
            found.is_unsigned = it->second.is_unsigned;
        }
        return found;
    };
    if (const auto it = exact_.find(path); it != exact_.end()) {
        return pick(it->second);
    }
    // Prefixes sort before what they are prefixes of, so the last match is the longest.
    const Methods* best = nullptr;
    for (const auto& [prefix, methods] : prefixes_) {
        if (path.starts_with(prefix)) {
            best = &methods;
        }
    }
    return best == nullptr ? Found() : pick(*best);
}

}  // namespace hearth::aws
