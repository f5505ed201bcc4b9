#include "aws/front/router.h"

#include "aws/model/descriptor.h"

#include <utility>

namespace hearth::aws {

Router::Router(std::vector<const model::Service*> services) : services_(std::move(services)) {}

const model::Service* Router::FindBySigningName(std::string_view name) const {
    for (const model::Service* service : services_) {
        if (service->signing_name == name) {
            return service;
        }
    }
    return nullptr;
}

const model::Service* Router::FindByHead(
    const protocol::RequestParts& head, const std::optional<CredentialScope>& scope) const {
    if (const std::string_view target = head.Header("x-amz-target"); !target.empty()) {
        const std::string_view prefix = target.substr(0, target.rfind('.'));
        for (const model::Service* service : services_) {
            if (!service->target_prefix.empty() && service->target_prefix == prefix) {
                return service;
            }
        }
    }
    if (scope) {
        if (const model::Service* service = FindBySigningName(scope->service)) {
            return service;
        }
    }
    const std::string_view host = head.Header("host");
    if (const size_t dot = host.find('.'); dot != std::string_view::npos) {
        if (const model::Service* service = FindBySigningName(host.substr(0, dot))) {
            return service;
        }
    }
    if (head.path != "/") {
        for (const model::Service* service : services_) {
            if (service->protocol == model::Protocol::kRestJson &&
                protocol::FindOperation(*service, head).ok()) {
                return service;
            }
        }
    }
    return nullptr;
}

const model::Service* Router::FindByBody(const protocol::RequestParts& request) const {
    const std::string action = protocol::QueryAction(request);
    if (action.empty()) {
        return nullptr;
    }
    for (const model::Service* service : services_) {
        if (service->protocol == model::Protocol::kQuery &&
            service->FindOperation(action) != nullptr) {
            return service;
        }
    }
    return nullptr;
}

}  // namespace hearth::aws
