#include "services/lambda/lambda_service.h"

#include <fmt/format.h>

namespace hearth::lambda {

std::string LambdaService::CodeLocation(
    const aws::RequestContext& context, const FunctionRecord& record) const {
    if (!record.hot_reload_directory.empty()) {
        return "file://" + record.hot_reload_directory;
    }
    return fmt::format("{}/_hearth/lambda/code/{}", context.endpoint, record.code_blob);
}

}  // namespace hearth::lambda
