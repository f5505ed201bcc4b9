#include "services/all_services.h"

#include "services/sts/sts_service.h"

#include <utility>

namespace hearth {

AllServices MakeAllServices(const ServiceDeps& deps) {
    AllServices all;
    const auto add = [&all](auto service) {
        auto& made = *service;
        all.services.push_back(std::move(service));
        return &made;
    };
    RoleDirectory* roles = nullptr;
    add(std::make_unique<sts::StsService>(deps, roles));
    return all;
}

}  // namespace hearth
