#include "aws/front/context.h"

namespace hearth::aws {

std::string Arn(
    std::string_view service,
    std::string_view region,
    const AccountId& account,
    std::string_view resource) {
    std::string arn;
    arn.reserve(16 + service.size() + region.size() + account.text().size() + resource.size());
    arn.append("arn:aws:").append(service).append(":").append(region).append(":");
    arn.append(account.text()).append(":").append(resource);
    return arn;
}

}  // namespace hearth::aws
