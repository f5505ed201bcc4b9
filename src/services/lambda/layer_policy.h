#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "services/lambda/layer_store.h"

#include <string>
#include <string_view>

namespace hearth::aws {
struct RequestContext;
}

// The resource policy of a layer version: statements that let other accounts fetch and use it.
namespace hearth::lambda {

// One statement as JSON, as AddLayerVersionPermission shows it.
std::string LayerStatementText(const LayerStatement& statement, std::string_view layer_version_arn);
// The whole document.
std::string LayerPolicyText(const LayerVersionRecord& record, std::string_view layer_version_arn);

// Whether the policy lets the caller of `context`, who is of another account, fetch this version.
bool LayerPolicyAllows(
    const aws::RequestContext& context,
    const LayerVersionRecord& record,
    std::string_view layer_version_arn);

// "User: … is not authorized to perform: lambda:<operation> on resource: …"
Error LayerAccessDenied(
    const aws::RequestContext& context, std::string_view operation, std::string_view arn);

}  // namespace hearth::lambda
