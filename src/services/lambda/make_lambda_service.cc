#include "services/lambda/lambda_service.h"

namespace hearth::lambda {

std::unique_ptr<aws::ServiceApi> MakeLambdaService(
    const ServiceDeps& deps, RoleDirectory* roles, LogSink* /*log_sink*/) {
    return std::make_unique<LambdaService>(deps, roles);
}

}  // namespace hearth::lambda
