#pragma once

#include "aws/auth/access_key_directory.h"
#include "aws/front/service.h"
#include "services/event_targets.h"
#include "services/service_deps.h"

#include <memory>
#include <vector>

namespace hearth {

// The services in the order they start; they stop in the opposite order.
struct AllServices {
    // How services send events to each other; outlives them.
    std::unique_ptr<EventTargets> event_targets;
    std::vector<std::unique_ptr<aws::ServiceApi>> services;
    // The keys of IAM's users; null without IAM. Owned by one of `services`.
    aws::AccessKeyDirectory* access_keys = nullptr;
};

AllServices MakeAllServices(const ServiceDeps& deps);

}  // namespace hearth
