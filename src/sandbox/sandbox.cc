#include "sandbox/sandbox.h"

namespace hearth::sandbox {

namespace {

Error NotHere() {
    return Error(
        Error::Kind::kUnimplemented,
        "",
        "environments of this machine can be neither saved nor restored",
        500);
}

}  // namespace

Status Environment::SetCpuQuota(int64_t cpu_quota_millis) {
    (void)cpu_quota_millis;
    return NotHere();
}

Task<Result<SaveReport>> Environment::Save(SaveRequest request) {
    (void)request;
    co_return NotHere();
}

Task<Result<std::unique_ptr<Template>>> Sandbox::MakeTemplate(
    EnvironmentSpec spec, SavedImage saved) {
    (void)spec;
    (void)saved;
    co_return NotHere();
}

}  // namespace hearth::sandbox
