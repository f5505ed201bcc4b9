#pragma once

#include "services/lambda/invoker.h"

#include <string>
#include <vector>

namespace hearth::lambda {

// AWS_LAMBDA_EXEC_WRAPPER: a program, mostly of a layer, that is started in the place of a managed
// runtime and gets the runtime's command line as its arguments. Runtimes that bring their own
// bootstrap do not know it.
// Source: "Modifying the runtime environment", docs.aws.amazon.com/lambda/latest/dg.
void ApplyExecWrapper(const FunctionVersion& function, std::vector<std::string>& argv);

}  // namespace hearth::lambda
