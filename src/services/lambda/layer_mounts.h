#pragma once

#include "base/result.h"
#include "rt/task.h"
#include "sandbox/sandbox.h"
#include "services/lambda/invoker.h"

#include <memory>
#include <string>
#include <vector>

// How a function's layers come into its environment: mounted below /opt, never copied.
namespace hearth::lambda {

inline constexpr std::string_view kLayersTarget = "/opt";

// The directories that, mounted on /opt in this order, show the function's layers merged, files of
// later ones on top. One for a sandbox that cannot lay mounts over each other.
Task<Result<std::vector<std::shared_ptr<const CodeDirectory>>>> OpenLayers(
    CodeCache& cache, const sandbox::Sandbox& sandbox, std::vector<std::string> layer_code_ids);

}  // namespace hearth::lambda
