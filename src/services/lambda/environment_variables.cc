#include "services/lambda/environment_variables.h"

#include <map>
#include <utility>

namespace hearth::lambda {

namespace {

using Variables = std::map<std::string, std::string>;

// The ones that cannot be changed are `reserved` and those that all environments have.
std::vector<std::string> Merge(
    const FunctionVersion& function, const RuntimePlan& plan, const Variables& reserved) {
    Variables variables = {
        {"LANG", "en_US.UTF-8"},
        {"TZ", ":UTC"},
        {"PATH", "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"},
        {"LD_LIBRARY_PATH",
         "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:"
         "/opt/lib"},
        {"AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR"},
    };
    for (const auto& [name, value] : plan.environment) {
        variables.insert_or_assign(name, value);
    }
    for (const auto& [name, value] : function.environment) {
        variables.insert_or_assign(name, value);
    }

    const Variables everywhere = {
        {"_HANDLER", function.handler},
        {"LAMBDA_TASK_ROOT", "/var/task"},
        {"LAMBDA_RUNTIME_DIR", "/var/runtime"},
        {"AWS_REGION", function.region.text()},
        {"AWS_DEFAULT_REGION", function.region.text()},
        {"AWS_LAMBDA_FUNCTION_NAME", function.name},
        {"AWS_LAMBDA_FUNCTION_VERSION", function.version},
        {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", std::to_string(function.memory_mb)},
        {"AWS_XRAY_DAEMON_ADDRESS", "169.254.79.129:2000"},
        {"_AWS_XRAY_DAEMON_ADDRESS", "169.254.79.129"},
        {"_AWS_XRAY_DAEMON_PORT", "2000"},
    };
    for (const auto& [name, value] : everywhere) {
        variables.insert_or_assign(name, value);
    }
    for (const auto& [name, value] : reserved) {
        variables.insert_or_assign(name, value);
    }
    if (function.log_format == "JSON") {
        variables.insert_or_assign("AWS_LAMBDA_LOG_FORMAT", "JSON");
        variables.insert_or_assign(
            "AWS_LAMBDA_LOG_LEVEL",
            function.application_log_level.empty() ? "INFO" : function.application_log_level);
    }
    // The backend puts the addresses in; a function's own endpoint must not be overwritten with
    // two.
    variables.erase("AWS_LAMBDA_RUNTIME_API");

    std::vector<std::string> texts;
    texts.reserve(variables.size());
    for (const auto& [name, value] : variables) {
        texts.push_back(name + "=" + value);
    }
    return texts;
}

}  // namespace

std::vector<std::string> EnvironmentVariables(
    const FunctionVersion& function,
    const RuntimePlan& plan,
    const EnvironmentCredentials& credentials,
    const std::string& log_stream) {
    return Merge(
        function,
        plan,
        {{"AWS_ACCESS_KEY_ID", credentials.access_key_id},
         {"AWS_SECRET_ACCESS_KEY", credentials.secret_access_key},
         {"AWS_SESSION_TOKEN", credentials.session_token},
         {"AWS_LAMBDA_LOG_GROUP_NAME", function.log_group},
         {"AWS_LAMBDA_LOG_STREAM_NAME", log_stream},
         {"AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"}});
}

std::vector<std::string> SnapStartVariables(
    const FunctionVersion& function,
    const RuntimePlan& plan,
    const std::string& credentials_token) {
    return Merge(
        function,
        plan,
        {{"AWS_CONTAINER_CREDENTIALS_FULL_URI",
          "http://127.0.0.1:9001" + std::string(kCredentialsPath)},
         {"AWS_CONTAINER_AUTHORIZATION_TOKEN", credentials_token},
         {"AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start"}});
}

}  // namespace hearth::lambda
