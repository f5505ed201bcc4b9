#include "services/lambda/settings.h"

#include "gen/lambda/types.gen.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace hearth::lambda {
namespace {

using Variables = std::map<std::string, std::string>;

model::CreateFunctionRequest Minimal() {
    model::CreateFunctionRequest request;
    request.function_name = "resize";
    request.runtime = "python3.12";
    request.handler = "index.handler";
    request.role = "arn:aws:iam::123456789012:role/r";
    return request;
}

FunctionRecord Defaults() {
    FunctionRecord record;
    record.account = AccountId("123456789012");
    record.region = Region("us-east-1");
    record.name = "resize";
    record.version = "$LATEST";
    record.log_group = "/aws/lambda/resize";
    record.architecture = kMachineArchitecture;
    return record;
}

struct Applied {
    Status status;
    FunctionRecord record;
    std::vector<std::string> ignored;
};

template <class Request>
Applied Apply(const Request& request, bool lenient = false, FunctionRecord record = Defaults()) {
    Applied applied;
    applied.record = std::move(record);
    applied.status = ApplySettings(request, {.lenient = lenient}, applied.record, applied.ignored);
    return applied;
}

std::string MessageOf(const model::CreateFunctionRequest& request) {
    const Applied applied = Apply(request);
    if (applied.status.ok()) {
        return "ok";
    }
    EXPECT_EQ(applied.status.error().code(), "InvalidParameterValueException");
    return applied.status.error().message();
}

TEST(LambdaSettings, DefaultsAreThoseOfAws) {
    const Applied applied = Apply(Minimal());
    ASSERT_TRUE(applied.status.ok());
    const auto shown = ShowConfiguration(applied.record, {}, Shown::kSettled);
    EXPECT_EQ(shown.function_arn, "arn:aws:lambda:us-east-1:123456789012:function:resize");
    EXPECT_EQ(shown.timeout, 3);
    EXPECT_EQ(shown.memory_size, 128);
    EXPECT_EQ(shown.description, "");
    EXPECT_EQ(shown.package_type, "Zip");
    EXPECT_EQ(shown.ephemeral_storage->size, 512);
    EXPECT_EQ(shown.tracing_config->mode, "PassThrough");
    EXPECT_EQ(shown.snap_start->apply_on, "None");
    EXPECT_EQ(shown.snap_start->optimization_status, "Off");
    EXPECT_EQ(shown.logging_config->log_format, "Text");
    EXPECT_EQ(shown.logging_config->log_group, "/aws/lambda/resize");
    EXPECT_FALSE(shown.logging_config->application_log_level);
    EXPECT_FALSE(shown.environment);
    EXPECT_FALSE(shown.vpc_config);
    EXPECT_EQ(shown.state, "Active");
    EXPECT_EQ(shown.last_update_status, "Successful");
}

TEST(LambdaSettings, AnswersOfChangesShowTheStateBefore) {
    const FunctionRecord record = Defaults();
    const auto created = ShowConfiguration(record, {}, Shown::kCreating);
    EXPECT_EQ(created.state, "Pending");
    EXPECT_EQ(created.state_reason, "The function is being created.");
    EXPECT_EQ(created.state_reason_code, "Creating");
    EXPECT_FALSE(created.last_update_status);
    const auto updated = ShowConfiguration(record, {}, Shown::kUpdating);
    EXPECT_EQ(updated.state, "Active");
    EXPECT_EQ(updated.last_update_status, "InProgress");
    const auto listed = ShowConfiguration(record, "7", Shown::kInList);
    EXPECT_FALSE(listed.state);
    EXPECT_FALSE(listed.runtime_version_config);
    EXPECT_EQ(listed.function_arn, "arn:aws:lambda:us-east-1:123456789012:function:resize:7");
}

TEST(LambdaSettings, RuntimeAndHandlerAreMandatory) {
    auto request = Minimal();
    request.handler.reset();
    EXPECT_EQ(
        MessageOf(request),
        "Runtime and Handler are mandatory parameters for functions created with deployment "
        "packages.");
}

TEST(LambdaSettings, Runtimes) {
    auto request = Minimal();
    for (const char* runtime :
         {"python3.8",
          "python3.14",
          "nodejs18.x",
          "nodejs24.x",
          "provided.al2",
          "provided.al2023"}) {
        request.runtime = runtime;
        EXPECT_EQ(MessageOf(request), "ok") << runtime;
    }
    request.runtime = "java21";
    EXPECT_EQ(MessageOf(request), "Hearth does not support the runtime java21 yet.");
    request.runtime = "python2.7";
    EXPECT_EQ(
        MessageOf(request),
        "The runtime parameter of python2.7 is no longer supported for creating or updating AWS "
        "Lambda functions. We recommend you use a supported runtime while creating or updating "
        "functions.");
    for (const char* runtime : {"cobol85", "python3", "python3.x", "nodejs", "nodejs20", ""}) {
        request.runtime = runtime;
        EXPECT_TRUE(MessageOf(request).starts_with(
            std::string("Value ") + runtime + " at 'runtime' failed to satisfy constraint"))
            << runtime;
    }
}

TEST(LambdaSettings, ReservedVariablesAreRefused) {
    auto request = Minimal();
    request.environment = model::Environment{};
    request.environment->variables =
        Variables{{"AWS_REGION", "x"}, {"_HANDLER", "y"}, {"MINE", "z"}};
    EXPECT_EQ(
        MessageOf(request),
        "Lambda was unable to configure your environment variables because the environment "
        "variables you have provided contains reserved keys that are currently not supported for "
        "modification. Reserved keys used in this request: _HANDLER, AWS_REGION");
}

TEST(LambdaSettings, VariablesHaveFourKilobytesAsJson) {
    auto request = Minimal();
    request.environment = model::Environment{};
    // {"K":"..."} is eight characters besides the value.
    request.environment->variables = Variables{{"K", std::string(4096 - 8, 'v')}};
    EXPECT_EQ(MessageOf(request), "ok");
    request.environment->variables = Variables{{"K", std::string(4096 - 7, 'v')}};
    EXPECT_TRUE(MessageOf(request).starts_with(
        "Lambda was unable to configure your environment variables because the environment "
        "variables you have provided exceeded the 4KB limit. String measured: {\"K\":\"vvv"));
}

TEST(LambdaSettings, JsonLogsHaveLevels) {
    auto request = Minimal();
    request.logging_config = model::LoggingConfig{};
    request.logging_config->application_log_level = "WARN";
    EXPECT_EQ(
        MessageOf(request), "To configure log level for your function, set LogFormat to JSON.");
    request.logging_config->log_format = "JSON";
    const Applied json = Apply(request);
    ASSERT_TRUE(json.status.ok());
    EXPECT_EQ(json.record.application_log_level, "WARN");
    EXPECT_EQ(json.record.system_log_level, "INFO");

    model::UpdateFunctionConfigurationRequest back;
    back.logging_config = model::LoggingConfig{.log_format = "Text"};
    const Applied text = Apply(back, false, json.record);
    ASSERT_TRUE(text.status.ok());
    EXPECT_FALSE(text.record.application_log_level);
    EXPECT_FALSE(text.record.system_log_level);
}

TEST(LambdaSettings, WhatHearthCannotHonourIsRefusedOrNamed) {
    auto request = Minimal();
    request.vpc_config = model::VpcConfig{};
    request.vpc_config->subnet_ids = {"subnet-1", "subnet-2"};
    request.vpc_config->security_group_ids = {"sg-1"};
    request.tracing_config = model::TracingConfig{.mode = "Active"};
    EXPECT_EQ(MessageOf(request), "Hearth does not support TracingConfig Mode Active yet.");

    const Applied lenient = Apply(request, true);
    ASSERT_TRUE(lenient.status.ok());
    EXPECT_EQ(lenient.ignored, (std::vector<std::string>{"TracingConfig", "VpcConfig"}));
    const auto shown = ShowConfiguration(lenient.record, {}, Shown::kSettled);
    EXPECT_EQ(shown.vpc_config->subnet_ids, (std::vector<std::string>{"subnet-1", "subnet-2"}));
    EXPECT_EQ(shown.tracing_config->mode, "Active");

    // Taking it back leaves nothing behind.
    model::UpdateFunctionConfigurationRequest back;
    back.vpc_config = model::VpcConfig{};
    back.vpc_config->subnet_ids.emplace();
    back.vpc_config->security_group_ids.emplace();
    const Applied cleared = Apply(back, false, lenient.record);
    ASSERT_TRUE(cleared.status.ok());
    EXPECT_FALSE(ShowConfiguration(cleared.record, {}, Shown::kSettled).vpc_config);
}

TEST(LambdaSettings, EmptyVpcConfigAsksForNothing) {
    auto request = Minimal();
    request.vpc_config = model::VpcConfig{};
    request.vpc_config->subnet_ids.emplace();
    request.vpc_config->security_group_ids.emplace();
    EXPECT_EQ(MessageOf(request), "ok");
}

TEST(LambdaSettings, UpdatesLeaveTheRestAlone) {
    auto request = Minimal();
    request.environment = model::Environment{};
    request.environment->variables = Variables{{"A", "1"}};
    request.memory_size = 512;
    const Applied created = Apply(request);
    model::UpdateFunctionConfigurationRequest update;
    update.timeout = 30;
    const Applied updated = Apply(update, false, created.record);
    ASSERT_TRUE(updated.status.ok());
    EXPECT_EQ(updated.record.timeout_s, 30);
    EXPECT_EQ(updated.record.memory_mb, 512);
    EXPECT_EQ(updated.record.environment, created.record.environment);
}

TEST(LambdaSettings, Timestamps) {
    EXPECT_EQ(
        LambdaTimestamp(WallClock::time_point(std::chrono::milliseconds(1'769'853'600'123))),
        "2026-01-31T10:00:00.123+0000");
}

TEST(LambdaSettings, TagRules) {
    std::map<std::string, std::string> tags;
    EXPECT_TRUE(AddTags({{"a", "1"}}, tags).ok());
    EXPECT_EQ(
        AddTags({{"aws:x", "1"}}, tags).error().message(),
        "System tags cannot be added/updated by requester");
    std::map<std::string, std::string> many;
    for (int i = 0; i < 50; ++i) {
        many["k" + std::to_string(i)] = "v";
    }
    EXPECT_EQ(AddTags(many, tags).error().message(), "Number of tags exceeds resource tag limit.");
    EXPECT_FALSE(AddTags({{std::string(129, 'k'), ""}}, tags).ok());
    EXPECT_FALSE(AddTags({{"k", std::string(257, 'v')}}, tags).ok());
}

}  // namespace
}  // namespace hearth::lambda
