#include "services/lambda/exec_wrapper.h"

namespace hearth::lambda {
namespace {

// What AWS's runtimes say and how they exit when there is no such program; the environment's own
// shell looks, because only inside are the layers where the variable says.
constexpr const char* kScript =
    "if [ ! -f \"$1\" ]; then echo \"$1: does not exist\"; exit 127; fi\n"
    "if [ ! -x \"$1\" ]; then echo \"$1: is not an executable\"; exit 126; fi\n"
    "exec \"$@\"";

}  // namespace

void ApplyExecWrapper(const FunctionVersion& function, std::vector<std::string>& argv) {
    const auto wrapper = function.environment.find("AWS_LAMBDA_EXEC_WRAPPER");
    if (wrapper == function.environment.end() || wrapper->second.empty()) {
        return;
    }
    std::vector<std::string> wrapped = {"/bin/sh", "-c", kScript, "bootstrap", wrapper->second};
    wrapped.insert(wrapped.end(), argv.begin(), argv.end());
    argv = std::move(wrapped);
}

}  // namespace hearth::lambda
