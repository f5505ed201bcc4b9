#include "services/lambda/settings.h"

#include "codec/crypto/crypto.h"
#include "services/lambda/errors.h"
#include "services/lambda/function_name.h"
#include "services/lambda/limits.h"

#include "gen/lambda/types.gen.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace hearth::lambda {
namespace {

// What AWS names as valid when it refuses a runtime.
constexpr std::string_view kValidRuntimes =
    "[nodejs24.x, nodejs22.x, nodejs20.x, provided.al2023, python3.14, python3.13, python3.12, "
    "python3.11, python3.10, python3.9, java25, java21, java17, java11, java8.al2, dotnet10, "
    "dotnet8, "
    "ruby3.4, ruby3.3, provided.al2]";

// Valid at AWS, not here yet.
constexpr std::array kForeignRuntimes = {
    std::string_view("java25"),
    std::string_view("java21"),
    std::string_view("java17"),
    std::string_view("java11"),
    std::string_view("java8.al2"),
    std::string_view("dotnet10"),
    std::string_view("dotnet8"),
    std::string_view("ruby3.4"),
    std::string_view("ruby3.3"),
    std::string_view("ruby3.2"),
};

// No longer accepted by AWS, with what it recommends instead.
struct Deprecated {
    std::string_view runtime;
    std::string_view successor;
};

constexpr std::array kDeprecatedRuntimes = {
    Deprecated{"java8", "java21"},
    Deprecated{"go1.x", "provided.al2023"},
    Deprecated{"provided", "provided.al2023"},
    Deprecated{"ruby2.7", "ruby3.2"},
    Deprecated{"ruby2.5", "ruby3.2"},
    Deprecated{"nodejs14.x", "nodejs20.x"},
    Deprecated{"nodejs12.x", "nodejs18.x"},
    Deprecated{"nodejs10.x", "nodejs18.x"},
    Deprecated{"python3.7", "python3.12"},
    Deprecated{"python3.6", "python3.10"},
    Deprecated{"python2.7", "python3.8"},
    Deprecated{"dotnetcore3.1", "dotnet6"},
    Deprecated{"dotnetcore2.1", "dotnet6"},
};

// Variables that belong to Lambda. Source: "Defined runtime environment variables", Lambda
// Developer Guide.
constexpr std::array kReservedVariables = {
    std::string_view("_HANDLER"),
    std::string_view("_X_AMZN_TRACE_ID"),
    std::string_view("AWS_DEFAULT_REGION"),
    std::string_view("AWS_REGION"),
    std::string_view("AWS_EXECUTION_ENV"),
    std::string_view("AWS_LAMBDA_FUNCTION_NAME"),
    std::string_view("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
    std::string_view("AWS_LAMBDA_FUNCTION_VERSION"),
    std::string_view("AWS_LAMBDA_INITIALIZATION_TYPE"),
    std::string_view("AWS_LAMBDA_LOG_GROUP_NAME"),
    std::string_view("AWS_LAMBDA_LOG_STREAM_NAME"),
    std::string_view("AWS_ACCESS_KEY"),
    std::string_view("AWS_ACCESS_KEY_ID"),
    std::string_view("AWS_SECRET_ACCESS_KEY"),
    std::string_view("AWS_SESSION_TOKEN"),
    std::string_view("AWS_LAMBDA_RUNTIME_API"),
    std::string_view("LAMBDA_TASK_ROOT"),
    std::string_view("LAMBDA_RUNTIME_DIR"),
};

bool AllDigits(std::string_view text) {
    return !text.empty() && text.size() <= 3 &&
           std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// python3.N and nodejsN.x from the oldest that AWS still takes, provided.al2 and provided.al2023.
bool IsOurRuntime(std::string_view runtime) {
    if (runtime == "provided.al2" || runtime == "provided.al2023") {
        return true;
    }
    constexpr std::string_view kPython = "python3.";
    if (runtime.starts_with(kPython)) {
        const std::string_view minor = runtime.substr(kPython.size());
        return AllDigits(minor) && std::stoi(std::string(minor)) >= 8;
    }
    constexpr std::string_view kNode = "nodejs";
    if (runtime.starts_with(kNode) && runtime.ends_with(".x")) {
        const std::string_view major =
            runtime.substr(kNode.size(), runtime.size() - kNode.size() - 2);
        return AllDigits(major) && std::stoi(std::string(major)) >= 16;
    }
    return false;
}

Status CheckRuntime(std::string_view runtime) {
    if (IsOurRuntime(runtime)) {
        return Status();
    }
    for (const Deprecated& deprecated : kDeprecatedRuntimes) {
        if (deprecated.runtime == runtime) {
            return errors::InvalidParameterValue(fmt::format(
                "The runtime parameter of {} is no longer supported for creating or updating "
                "AWS Lambda functions. We recommend you use a supported runtime while creating "
                "or updating functions.",
                runtime));
        }
    }
    if (std::ranges::find(kForeignRuntimes, runtime) != kForeignRuntimes.end()) {
        return errors::NotSupported(fmt::format("the runtime {}", runtime));
    }
    return errors::InvalidParameterValue(fmt::format(
        "Value {} at 'runtime' failed to satisfy constraint: Member must satisfy enum value "
        "set: {} or be a valid ARN",
        runtime,
        kValidRuntimes));
}

// As AWS measures: the variables as a JSON object.
std::string EnvironmentAsJson(const std::map<std::string, std::string>& variables) {
    std::string json = "{";
    const auto text = [&json](std::string_view value) {
        json.push_back('"');
        for (const char c : value) {
            switch (c) {
                case '"':
                case '\\':
                    json.push_back('\\');
                    json.push_back(c);
                    break;
                case '\n':
                    json += "\\n";
                    break;
                case '\r':
                    json += "\\r";
                    break;
                case '\t':
                    json += "\\t";
                    break;
                default:
                    if (static_cast<unsigned char>(c) < 0x20) {
                        json += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
                    } else {
                        json.push_back(c);
                    }
            }
        }
        json.push_back('"');
    };
    for (const auto& [name, value] : variables) {
        if (json.size() > 1) {
            json.push_back(',');
        }
        text(name);
        json.push_back(':');
        text(value);
    }
    json.push_back('}');
    return json;
}

Status CheckEnvironment(const std::map<std::string, std::string>& variables) {
    std::string reserved;
    for (const std::string_view name : kReservedVariables) {
        if (variables.contains(std::string(name))) {
            reserved += reserved.empty() ? "" : ", ";
            reserved += name;
        }
    }
    if (!reserved.empty()) {
        return errors::InvalidParameterValue(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided contains reserved keys that are currently not supported "
            "for modification. Reserved keys used in this request: " +
            reserved);
    }
    for (const auto& [name, value] : variables) {
        // They travel as C strings.
        if (value.find('\0') != std::string::npos) {
            return errors::InvalidParameterValue(
                fmt::format("The environment variable {} contains a NUL character.", name));
        }
    }
    std::string json = EnvironmentAsJson(variables);
    if (json.size() > limits::kEnvironmentBytesMax) {
        return errors::InvalidParameterValue(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided exceeded the 4KB limit. String measured: " +
            json);
    }
    return Status();
}

std::string Join(const std::vector<std::string>& parts) {
    return fmt::format("{}", fmt::join(parts, ","));
}

std::vector<std::string> Split(std::string_view text) {
    std::vector<std::string> parts;
    while (!text.empty()) {
        const size_t comma = text.find(',');
        parts.emplace_back(text.substr(0, comma));
        text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    }
    return parts;
}

// What Hearth cannot honour: `value` is empty when the request asks for nothing, or for what it is
// anyway.
class Unsupported final {
  public:
    Unsupported(const SettingsMode& mode, FunctionRecord& record, std::vector<std::string>& ignored)
        : mode_(mode), record_(record), ignored_(ignored) {}

    Status Set(const char* key, std::string value, const char* name, const char* description) {
        if (value.empty()) {
            record_.ignored.erase(key);
            return Status();
        }
        if (!mode_.lenient) {
            return errors::NotSupported(description);
        }
        record_.ignored[key] = std::move(value);
        if (std::ranges::find(ignored_, name) == ignored_.end()) {
            ignored_.emplace_back(name);
        }
        return Status();
    }

  private:
    const SettingsMode& mode_;
    FunctionRecord& record_;
    std::vector<std::string>& ignored_;
};

// Whether the queue is there is looked at where there is I/O: LambdaService::CheckDeadLetter.
Status ApplyDeadLetter(const std::string& arn, Unsupported& unsupported, FunctionRecord& record) {
    record.dead_letter_target.clear();
    if (arn.starts_with("arn:aws:sns:")) {
        return unsupported.Set(
            "DeadLetterConfig", arn, "DeadLetterConfig", "SNS topics as dead-letter queues");
    }
    HEARTH_RETURN_IF_ERROR(
        unsupported.Set("DeadLetterConfig", "", "DeadLetterConfig", "DeadLetterConfig"));
    if (arn.empty()) {
        return Status();
    }
    if (!arn.starts_with("arn:aws:sqs:")) {
        return errors::InvalidParameterValue(fmt::format(
            "The dead letter target ARN {} is invalid: it names neither a queue nor a topic.",
            arn));
    }
    if (arn.ends_with(".fifo")) {
        return errors::InvalidParameterValue(fmt::format(
            "The dead letter target ARN {} is invalid: FIFO queues cannot be dead-letter queues "
            "of functions.",
            arn));
    }
    record.dead_letter_target = arn;
    return Status();
}

Status ApplyLogging(const model::LoggingConfig& logging, FunctionRecord& record) {
    const std::string before = record.log_format;
    if (logging.log_format) {
        record.log_format = *logging.log_format;
    }
    if (record.log_format == "Text" &&
        (logging.application_log_level || logging.system_log_level)) {
        return errors::InvalidParameterValue(
            "To configure log level for your function, set LogFormat to JSON.");
    }
    if (logging.log_group) {
        record.log_group = *logging.log_group;
    }
    if (record.log_format == "Text") {
        record.application_log_level.reset();
        record.system_log_level.reset();
        return Status();
    }
    if (before != "JSON") {
        record.application_log_level = "INFO";
        record.system_log_level = "INFO";
    }
    if (logging.application_log_level) {
        record.application_log_level = logging.application_log_level;
    }
    if (logging.system_log_level) {
        record.system_log_level = logging.system_log_level;
    }
    return Status();
}

// The number right behind `prefix`, as 12 of python3.12; nothing when it goes on otherwise.
std::optional<int> NumberBehind(std::string_view text, std::string_view prefix) {
    int number = 0;
    if (!text.starts_with(prefix)) {
        return std::nullopt;
    }
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + prefix.size(), end, number);
    return error == std::errc() && rest == end ? std::optional(number) : std::nullopt;
}

// Which runtimes AWS has SnapStart for, and with which other settings it refuses it.
// Source: "Improving startup performance with Lambda SnapStart", docs.aws.amazon.com/lambda.
Status CheckSnapStart(const FunctionRecord& record) {
    constexpr int kEphemeralStorageMbMax = 512;
    if (NumberBehind(record.runtime, "python3.").value_or(0) < 12 &&
        NumberBehind(record.runtime, "java").value_or(0) < 11 &&
        NumberBehind(record.runtime, "dotnet").value_or(0) < 8) {
        return errors::InvalidParameterValue(
            fmt::format("{} is not supported for SnapStart enabled functions.", record.runtime));
    }
    if (record.ephemeral_storage_mb > kEphemeralStorageMbMax) {
        return errors::InvalidParameterValue(fmt::format(
            "EphemeralStorage of more than {} MB is not supported for SnapStart enabled "
            "functions.",
            kEphemeralStorageMbMax));
    }
    return Status();
}

// The members that both requests have.
template <class Request>
Status ApplyShared(
    const Request& request,
    const SettingsMode& mode,
    FunctionRecord& record,
    std::vector<std::string>& ignored) {
    if (request.environment) {
        const auto variables =
            request.environment->variables.value_or(std::map<std::string, std::string>());
        HEARTH_RETURN_IF_ERROR(CheckEnvironment(variables));
        record.environment = variables;
    }
    if (request.runtime) {
        HEARTH_RETURN_IF_ERROR(CheckRuntime(*request.runtime));
        record.runtime = *request.runtime;
        if (!record.runtime_version_arn.empty()) {
            // Pinned (runtime_management.cc): to the one build that the new runtime has.
            record.runtime_version_arn = RuntimeVersionArn(record);
        }
    }
    record.handler = request.handler.value_or(record.handler);
    record.role = request.role.value_or(record.role);
    record.description = request.description.value_or(record.description);
    record.memory_mb = request.memory_size.value_or(record.memory_mb);
    record.timeout_s = request.timeout.value_or(record.timeout_s);
    if (request.ephemeral_storage && request.ephemeral_storage->size) {
        record.ephemeral_storage_mb = *request.ephemeral_storage->size;
    }
    if (request.logging_config) {
        HEARTH_RETURN_IF_ERROR(ApplyLogging(*request.logging_config, record));
    }

    if (request.image_config) {
        return errors::NotSupported("container images (ImageConfig)");
    }
    Unsupported unsupported(mode, record, ignored);
    if (request.tracing_config && request.tracing_config->mode) {
        const bool active = *request.tracing_config->mode == "Active";
        HEARTH_RETURN_IF_ERROR(unsupported.Set(
            "TracingConfig", active ? "Active" : "", "TracingConfig", "TracingConfig Mode Active"));
        record.tracing_mode = *request.tracing_config->mode;
    }
    if (request.vpc_config) {
        // A member that the request leaves out keeps its value.
        if (request.vpc_config->subnet_ids) {
            HEARTH_RETURN_IF_ERROR(unsupported.Set(
                "VpcConfig.SubnetIds",
                Join(*request.vpc_config->subnet_ids),
                "VpcConfig",
                "VpcConfig"));
        }
        if (request.vpc_config->security_group_ids) {
            HEARTH_RETURN_IF_ERROR(unsupported.Set(
                "VpcConfig.SecurityGroupIds",
                Join(*request.vpc_config->security_group_ids),
                "VpcConfig",
                "VpcConfig"));
        }
    }
    if (request.dead_letter_config) {
        HEARTH_RETURN_IF_ERROR(ApplyDeadLetter(
            request.dead_letter_config->target_arn.value_or(""), unsupported, record));
    }
    if (request.kms_key_arn) {
        HEARTH_RETURN_IF_ERROR(
            unsupported.Set("KMSKeyArn", *request.kms_key_arn, "KMSKeyArn", "KMSKeyArn"));
    }
    if (request.layers) {
        // The layers themselves need storage: layer_use.cc. An older Hearth may have kept a list of
        // them without effect, which this one takes the place of.
        record.ignored.erase("Layers");
    }
    if (request.file_system_configs) {
        std::vector<std::string> systems;
        for (const auto& system : *request.file_system_configs) {
            systems.push_back(system.arn.value_or("") + "=" + system.local_mount_path.value_or(""));
        }
        HEARTH_RETURN_IF_ERROR(unsupported.Set(
            "FileSystemConfigs", Join(systems), "FileSystemConfigs", "FileSystemConfigs"));
    }
    if (request.snap_start && request.snap_start->apply_on) {
        const bool published = *request.snap_start->apply_on == "PublishedVersions";
        if (mode.snapshots) {
            record.snap_start = published;
        } else {
            HEARTH_RETURN_IF_ERROR(unsupported.Set(
                "SnapStart",
                published ? "PublishedVersions" : "",
                "SnapStart",
                "SnapStart ApplyOn PublishedVersions"));
        }
    }
    if (record.snap_start && mode.snapstart_as_aws) {
        HEARTH_RETURN_IF_ERROR(CheckSnapStart(record));
    }
    if (request.capacity_provider_config) {
        return errors::NotSupported("CapacityProviderConfig");
    }
    if (request.durable_config) {
        return errors::NotSupported("DurableConfig");
    }
    return Status();
}

bool IsAscii(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Code points of valid UTF-8; AWS counts characters.
size_t CharacterCount(std::string_view text) {
    return static_cast<size_t>(
        std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

std::string RuntimeVersionArn(const FunctionRecord& record) {
    return fmt::format(
        "arn:aws:lambda:{}::runtime:{}", record.region.text(), codec::Sha256Hex(record.runtime));
}

Status ApplySettings(
    const model::CreateFunctionRequest& request,
    const SettingsMode& mode,
    FunctionRecord& record,
    std::vector<std::string>& ignored) {
    if (request.package_type && *request.package_type == "Image") {
        return errors::NotSupported("container images (PackageType Image)");
    }
    if (!request.runtime || !request.handler) {
        return errors::InvalidParameterValue(
            "Runtime and Handler are mandatory parameters for functions created with deployment "
            "packages.");
    }
    HEARTH_RETURN_IF_ERROR(ApplyArchitectures(request.architectures, mode, record, ignored));
    HEARTH_RETURN_IF_ERROR(ApplyShared(request, mode, record, ignored));
    if (request.publish_to) {
        return errors::NotSupported("PublishTo");
    }
    if (request.tenancy_config) {
        return errors::NotSupported("TenancyConfig");
    }
    return Unsupported(mode, record, ignored)
        .Set(
            "CodeSigningConfigArn",
            request.code_signing_config_arn.value_or(""),
            "CodeSigningConfigArn",
            "CodeSigningConfigArn");
}

Status ApplySettings(
    const model::UpdateFunctionConfigurationRequest& request,
    const SettingsMode& mode,
    FunctionRecord& record,
    std::vector<std::string>& ignored) {
    return ApplyShared(request, mode, record, ignored);
}

Status ApplyArchitectures(
    const std::optional<std::vector<std::string>>& architectures,
    const SettingsMode& mode,
    FunctionRecord& record,
    std::vector<std::string>& ignored) {
    if (!architectures || architectures->empty()) {
        return Status();
    }
    const std::string& wanted = architectures->front();
    HEARTH_RETURN_IF_ERROR(Unsupported(mode, record, ignored)
                               .Set(
                                   "Architectures",
                                   wanted == mode.architecture ? "" : wanted,
                                   "Architectures",
                                   "another architecture than the machine's own"));
    record.architecture = wanted;
    return Status();
}

Status AddTags(
    const std::map<std::string, std::string>& added, std::map<std::string, std::string>& tags) {
    for (const auto& [key, value] : added) {
        if (key.empty() || CharacterCount(key) > limits::kTagKeyCharactersMax) {
            return errors::InvalidParameterValue(fmt::format(
                "The length of a tag key must be between 1 and {} characters.",
                limits::kTagKeyCharactersMax));
        }
        if (CharacterCount(value) > limits::kTagValueCharactersMax) {
            return errors::InvalidParameterValue(fmt::format(
                "The length of a tag value must be at most {} characters.",
                limits::kTagValueCharactersMax));
        }
        if (IsAscii(key) && key.size() >= 4) {
            std::string prefix = key.substr(0, 4);
            std::ranges::transform(
                prefix, prefix.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
            if (prefix == "aws:") {
                return errors::InvalidParameterValue(
                    "System tags cannot be added/updated by requester");
            }
        }
        tags[key] = value;
    }
    if (tags.size() > limits::kTagsMax) {
        return errors::InvalidParameterValue("Number of tags exceeds resource tag limit.");
    }
    return Status();
}

std::string LambdaTimestamp(WallClock::time_point time) {
    using namespace std::chrono;
    const auto day = floor<days>(time.time_since_epoch());
    const year_month_day date{sys_days(day)};
    const hh_mm_ss<milliseconds> clock(time.time_since_epoch() - day);
    return fmt::format(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}+0000",
        static_cast<int>(date.year()),
        static_cast<unsigned>(date.month()),
        static_cast<unsigned>(date.day()),
        clock.hours().count(),
        clock.minutes().count(),
        clock.seconds().count(),
        clock.subseconds().count());
}

model::FunctionConfiguration ShowConfiguration(
    const FunctionRecord& record, std::string_view qualifier, Shown shown) {
    model::FunctionConfiguration out;
    out.function_name = record.name;
    out.function_arn = FunctionArn(record.account, record.region, record.name, qualifier);
    out.runtime = record.runtime;
    out.role = record.role;
    out.handler = record.handler;
    out.code_size = record.code_size;
    out.code_sha256 = record.code_sha256;
    out.description = record.description;
    out.timeout = record.timeout_s;
    out.memory_size = record.memory_mb;
    out.last_modified = LambdaTimestamp(record.last_modified);
    out.version = record.version;
    out.revision_id = record.revision_id;
    out.package_type = record.package_type;
    out.architectures = {record.architecture};
    out.ephemeral_storage = model::EphemeralStorage{.size = record.ephemeral_storage_mb};
    out.tracing_config = model::TracingConfigResponse{.mode = record.tracing_mode};
    out.snap_start = model::SnapStartResponse{
        .apply_on = record.snap_start ? "PublishedVersions" : "None", .optimization_status = "Off"};
    if (record.environment) {
        out.environment = model::EnvironmentResponse{};
        out.environment->variables = *record.environment;
    }
    out.logging_config = model::LoggingConfig{};
    out.logging_config->log_format = record.log_format;
    out.logging_config->application_log_level = record.application_log_level;
    out.logging_config->system_log_level = record.system_log_level;
    out.logging_config->log_group = record.log_group;

    const auto ignored = [&record](const char* key) -> const std::string* {
        const auto it = record.ignored.find(key);
        return it == record.ignored.end() ? nullptr : &it->second;
    };
    const std::string* subnets = ignored("VpcConfig.SubnetIds");
    const std::string* groups = ignored("VpcConfig.SecurityGroupIds");
    if (subnets || groups) {
        out.vpc_config = model::VpcConfigResponse{};
        out.vpc_config->subnet_ids = Split(subnets ? *subnets : "");
        out.vpc_config->security_group_ids = Split(groups ? *groups : "");
        out.vpc_config->vpc_id = "";
    }
    if (!record.dead_letter_target.empty()) {
        out.dead_letter_config = model::DeadLetterConfig{.target_arn = record.dead_letter_target};
    } else if (const std::string* target = ignored("DeadLetterConfig")) {
        out.dead_letter_config = model::DeadLetterConfig{.target_arn = *target};
    }
    if (const std::string* key = ignored("KMSKeyArn")) {
        out.kms_key_arn = *key;
    }
    if (!record.layers.empty()) {
        out.layers.emplace();
        for (const LayerUse& use : record.layers) {
            model::Layer layer;
            layer.arn = use.arn;
            layer.code_size = use.code_size;
            out.layers->push_back(std::move(layer));
        }
    } else if (const std::string* layers = ignored("Layers")) {
        out.layers.emplace();
        for (std::string& arn : Split(*layers)) {
            model::Layer layer;
            layer.arn = std::move(arn);
            layer.code_size = 0;
            out.layers->push_back(std::move(layer));
        }
    }
    if (const std::string* systems = ignored("FileSystemConfigs")) {
        out.file_system_configs.emplace();
        for (const std::string& system : Split(*systems)) {
            const size_t equals = system.find('=');
            out.file_system_configs->push_back(
                {.arn = system.substr(0, equals), .local_mount_path = system.substr(equals + 1)});
        }
    }
    if (const std::string* apply_on = ignored("SnapStart")) {
        out.snap_start->apply_on = *apply_on;
    }

    if (shown == Shown::kInList) {
        return out;
    }
    out.runtime_version_config = model::RuntimeVersionConfig{};
    out.runtime_version_config->runtime_version_arn = RuntimeVersionArn(record);
    constexpr const char* kReason = "The function is being created.";
    if (shown == Shown::kCreating) {
        out.state = "Pending";
        out.state_reason = kReason;
        out.state_reason_code = "Creating";
        return out;
    }
    out.state = "Active";
    if (shown == Shown::kUpdating) {
        out.last_update_status = "InProgress";
        out.last_update_status_reason = kReason;
        out.last_update_status_reason_code = "Creating";
    } else {
        out.last_update_status = "Successful";
    }
    return out;
}

}  // namespace hearth::lambda
