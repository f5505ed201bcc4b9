#pragma once

#include "services/lambda/invoker.h"
#include "services/lambda/runtimes.h"

#include <string>
#include <string_view>
#include <vector>

// The variables a function finds. Source: "Defined runtime environment variables",
// docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html.
namespace hearth::lambda {

// The role's temporary credentials as the function sees them.
struct EnvironmentCredentials {
    std::string access_key_id;
    std::string secret_access_key;
    std::string session_token;
};

// How a function with SnapStart gets credentials: its variables are saved with it, so they must not
// hold any. Served by the Runtime API (runtime_api.h).
inline constexpr std::string_view kCredentialsPath = "/2021-04-23/credentials";

// "NAME=value" each. The function's own variables come on top of the defaults that AWS lets a
// function change; the reserved ones cannot be changed (the control plane refuses them).
std::vector<std::string> EnvironmentVariables(
    const FunctionVersion& function,
    const RuntimePlan& plan,
    const EnvironmentCredentials& credentials,
    const std::string& log_stream);

// The same for an environment that is to be saved: SnapStart's initialization type; no names of
// logs, as on AWS; credentials by `credentials_token`.
std::vector<std::string> SnapStartVariables(
    const FunctionVersion& function, const RuntimePlan& plan, const std::string& credentials_token);

}  // namespace hearth::lambda
