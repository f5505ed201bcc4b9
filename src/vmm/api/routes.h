#pragma once

#include "base/result.h"
#include "vmm/api/controller.h"
#include "vmm/http/request.h"

#include <string_view>

// From a request's method, path and body to what is to be done. Every path of Firecracker's public
// description is here: as an action, or with a fault that says that it is not supported.
namespace hearth::vmm {

struct ParsedRequest {
    ActionRequest action;
    std::string_view deprecation;  // for the log and the Deprecation header; or empty
};

Result<ParsedRequest> ParseApiRequest(const HttpRequest& request);

}  // namespace hearth::vmm
