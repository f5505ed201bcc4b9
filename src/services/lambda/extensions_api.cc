#include "services/lambda/extensions_api.h"

#include "base/check.h"
#include "codec/json/json.h"
#include "services/lambda/exit_status.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <utility>

namespace hearth::lambda {

namespace {

constexpr std::string_view kPrefix = "/2020-01-01/extension/";
constexpr std::string_view kTelemetryPath = "/2022-07-01/telemetry";
constexpr std::string_view kLogsPath = "/2020-08-15/logs";
constexpr std::string_view kInvoke = "INVOKE";
constexpr std::string_view kShutdown = "SHUTDOWN";
constexpr std::string_view kInvalidState = "Extension.InvalidExtensionState";
// A layer's directory may hold a million names; so many are looked at.
constexpr size_t kDirectoryEntriesMax = 1000;

bool IsUuid(std::string_view text) {
    if (text.size() != 36) {
        return false;
    }
    for (size_t i = 0; i < text.size(); ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : std::isxdigit(static_cast<unsigned char>(text[i])) == 0) {
            return false;
        }
    }
    return true;
}

std::string Lower(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) {
        return static_cast<char>(std::tolower(c));
    });
    return lower;
}

bool AcceptsFeature(std::string_view list, std::string_view feature) {
    while (!list.empty()) {
        const size_t comma = std::min(list.find(','), list.size());
        std::string_view one = list.substr(0, comma);
        while (!one.empty() && one.front() == ' ') {
            one.remove_prefix(1);
        }
        while (!one.empty() && one.back() == ' ') {
            one.remove_suffix(1);
        }
        if (one == feature) {
            return true;
        }
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return false;
}

// The events of a registration.
Result<std::vector<std::string>> ParseEvents(const std::string& body) {
    if (body.empty()) {
        return errors::Malformed("unexpected end of JSON input");
    }
    HEARTH_TRY(
        const codec::Json json, codec::ParseJson(body, {.depth_max = 8, .values_max = 1000}));
    if (!json.is_object()) {
        return errors::Malformed("json: cannot unmarshal the body into a registration");
    }
    if (const codec::Json* keys = json.Find("configurationKeys")) {
        if (const auto* list = keys->AsArray(); list != nullptr && !list->empty()) {
            return errors::Malformed(
                "configurationKeys are deprecated; use environment variables instead");
        }
    }
    std::vector<std::string> events;
    const codec::Json* list = json.Find("events");
    if (list == nullptr || list->is_null()) {
        return events;
    }
    if (!list->is_array()) {
        return errors::Malformed("json: cannot unmarshal events into a list of strings");
    }
    for (const codec::Json& one : *list->AsArray()) {
        const std::string* event = one.AsString();
        if (event == nullptr) {
            return errors::Malformed("json: cannot unmarshal events into a list of strings");
        }
        if (std::find(events.begin(), events.end(), *event) == events.end()) {
            events.push_back(*event);
        }
    }
    return events;
}

}  // namespace

ApiAnswer ExtensionRefusal(int status, std::string_view type, std::string_view message) {
    codec::JsonWriter writer;
    writer.BeginObject();
    writer.Key("errorMessage");
    writer.String(message);
    writer.Key("errorType");
    writer.String(type);
    writer.EndObject();
    return ApiAnswer{.status = status, .headers = {}, .body = writer.Take() + "\n"};
}

std::vector<std::string> ListExtensions(const std::vector<std::string>& layers) {
    // The last layer that has a name decides what it is.
    std::map<std::string, bool> is_file;
    for (const std::string& layer : layers) {
        const std::string directory = layer + "/extensions";
        DIR* const list = ::opendir(directory.c_str());
        if (list == nullptr) {
            continue;
        }
        for (size_t i = 0; i < kDirectoryEntriesMax; ++i) {
            const dirent* entry = ::readdir(list);
            if (entry == nullptr) {
                break;
            }
            const std::string name = static_cast<const char*>(entry->d_name);
            struct stat facts{};
            if (name != "." && name != ".." &&
                ::lstat((directory + "/" + name).c_str(), &facts) == 0) {
                is_file[name] = !S_ISDIR(facts.st_mode);
            }
        }
        ::closedir(list);
    }
    std::vector<std::string> names;
    for (const auto& [name, file] : is_file) {
        if (file && names.size() <= ExtensionsApi::kExtensionsMax) {
            names.push_back(name);
        }
    }
    return names;
}

std::vector<std::string> ExtensionVariables(const std::vector<std::string>& runtime_variables) {
    // What belongs to the runtime's process alone. Source: "Using the Lambda Extensions API".
    static constexpr std::array<std::string_view, 7> kExcluded = {
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_XRAY_CONTEXT_MISSING",
        "AWS_XRAY_DAEMON_ADDRESS",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT"};
    std::vector<std::string> variables;
    for (const std::string& variable : runtime_variables) {
        const std::string_view name = std::string_view(variable).substr(0, variable.find('='));
        if (!name.starts_with('_') &&
            std::find(kExcluded.begin(), kExcluded.end(), name) == kExcluded.end()) {
            variables.push_back(variable);
        }
    }
    return variables;
}

ExtensionsApi::ExtensionsApi(
    RuntimeApi& api,
    Random& random,
    Facts facts,
    std::vector<std::string> external,
    Subscribe subscribe)
    : api_(api),
      random_(random),
      facts_(std::move(facts)),
      external_count_(external.size()),
      subscribe_(std::move(subscribe)) {
    for (std::string& name : external) {
        extensions_.push_back(
            Extension{.name = std::move(name), .id = random_.Uuid(), .external = true});
    }
}

ExtensionsApi::~ExtensionsApi() = default;

bool ExtensionsApi::Extension::Wants(std::string_view event) const {
    return std::find(events.begin(), events.end(), event) != events.end();
}

std::string_view ExtensionsApi::NameOf(State state) {
    switch (state) {
        case State::kStarted:
            return "Started";
        case State::kRegistered:
            return "Registered";
        case State::kReady:
            return "Ready";
        case State::kRunning:
            return "Running";
        case State::kInitError:
            return "InitError";
        case State::kExitError:
            return "ExitError";
        case State::kLaunchError:
            return "LaunchError";
        case State::kExited:
            return "Exited";
    }
    return "";
}

bool ExtensionsApi::Has(std::string_view path) const {
    return path.starts_with(kPrefix) || path == kTelemetryPath || path == kLogsPath;
}

ExtensionsApi::Extension* ExtensionsApi::Identify(
    const RuntimeApiRequest& request, ApiAnswer& refusal) {
    if (request.extension_identifier.empty()) {
        refusal = ExtensionRefusal(
            403,
            "Extension.MissingExtensionIdentifier",
            "Missing Lambda-Extension-Identifier header");
        return nullptr;
    }
    if (!IsUuid(request.extension_identifier)) {
        refusal = ExtensionRefusal(
            403, "Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier");
        return nullptr;
    }
    const std::string id = Lower(request.extension_identifier);
    for (Extension& extension : extensions_) {
        if (extension.id == id) {
            return &extension;
        }
    }
    const bool by_header = request.target.ends_with("/error");
    refusal = ExtensionRefusal(
        403,
        "Extension.UnknownExtensionIdentifier",
        by_header ? "Unknown Lambda-Extension-Identifier" : "Unknown extension " + id);
    return nullptr;
}

ApiAnswer ExtensionsApi::RefuseTransition(
    const Extension& extension, std::string_view target, std::string_view who) const {
    return ExtensionRefusal(
        403,
        kInvalidState,
        fmt::format(
            "State transition from {} to {} failed for extension {}. Error: State transition is "
            "not allowed",
            NameOf(extension.state),
            target,
            who));
}

std::optional<ApiAnswer> ExtensionsApi::Handle(uint64_t connection, RuntimeApiRequest& request) {
    std::string_view path = request.target;
    path = path.substr(0, path.find('?'));
    const bool is_get = request.method == "GET";
    const bool is_post = request.method == "POST";
    const ApiAnswer wrong_method{.status = 405, .headers = {}, .body = {}};
    if (request.body_too_large) {
        return ExtensionRefusal(
            413,
            "RequestEntityTooLarge",
            fmt::format(
                "Exceeded maximum allowed payload size ({} bytes).", kRuntimeApiBodyBytesMax));
    }
    ApiAnswer refusal;
    if (!path.starts_with(kPrefix)) {
        if (request.method != "PUT") {
            return wrong_method;
        }
        const Extension* extension = Identify(request, refusal);
        if (extension == nullptr) {
            return refusal;
        }
        if (!subscriptions_open_) {
            return path == kLogsPath ? ExtensionRefusal(
                                           403,
                                           "Logs.SubscriptionClosed",
                                           "Logs API subscription is closed already")
                                     : ExtensionRefusal(
                                           403,
                                           "Telemetry.SubscriptionClosed",
                                           "Telemetry API subscription is closed already");
        }
        return subscribe_(path, extension->name, request);
    }
    path.remove_prefix(kPrefix.size());
    if (path == "register") {
        return is_post ? Register(request) : wrong_method;
    }
    const bool is_next = path == "event/next";
    const bool is_init_error = path == "init/error";
    if (!is_next && !is_init_error && path != "exit/error") {
        return ApiAnswer{.status = 404, .headers = {}, .body = "404 page not found\n"};
    }
    if (is_next ? !is_get : !is_post) {
        return wrong_method;
    }
    Extension* extension = Identify(request, refusal);
    if (extension == nullptr) {
        return refusal;
    }
    if (is_next) {
        return Next(*extension, connection);
    }
    return ReportError(*extension, request, is_init_error ? State::kInitError : State::kExitError);
}

ApiAnswer ExtensionsApi::Register(RuntimeApiRequest& request) {
    if (request.extension_name.empty()) {
        return ExtensionRefusal(403, "Extension.InvalidExtensionName", "Empty extension name");
    }
    // It becomes a part of log lines.
    if (std::any_of(
            request.extension_name.begin(), request.extension_name.end(), [](unsigned char c) {
                return c < 0x20;
            })) {
        return ExtensionRefusal(403, "Extension.InvalidExtensionName", "Invalid extension name");
    }
    const auto events = ParseEvents(request.body);
    if (!events.ok()) {
        return ExtensionRefusal(403, "InvalidRequestFormat", events.error().message());
    }
    auto found = std::find_if(extensions_.begin(), extensions_.end(), [&](const Extension& one) {
        return one.external && one.name == request.extension_name;
    });
    const bool external = found != extensions_.end();
    for (const std::string& event : *events) {
        if (event != kInvoke && (event != kShutdown || !external)) {
            return ExtensionRefusal(
                403,
                "Extension.InvalidEventType",
                event + (event == kShutdown ? ": ShutdownEventNotSupportedForInternalExtension"
                                            : ": ErrorInvalidEventType"));
        }
    }
    if (!external) {
        if (!open_) {
            return ExtensionRefusal(
                403, "Extension.RegistrationClosed", "Extension registration closed already");
        }
        if (extensions_.size() >= kExtensionsMax) {
            return ExtensionRefusal(
                403,
                "Extension.TooManyExtensions",
                fmt::format("Extension limit ({}) reached", kExtensionsMax));
        }
        if (std::any_of(extensions_.begin(), extensions_.end(), [&](const Extension& one) {
                return one.name == request.extension_name;
            })) {
            return ExtensionRefusal(
                403, kInvalidState, "Extension with this name already registered");
        }
        extensions_.push_back(
            Extension{.name = std::move(request.extension_name), .id = random_.Uuid()});
        found = std::prev(extensions_.end());
    }
    if (found->state != State::kStarted) {
        return RefuseTransition(*found, "Registered", found->name);
    }
    found->state = State::kRegistered;
    found->events = *events;
    codec::JsonWriter writer;
    writer.BeginObject();
    if (AcceptsFeature(request.extension_features, "accountId")) {
        writer.Key("accountId");
        writer.String(facts_.account);
    }
    writer.Key("functionName");
    writer.String(facts_.function_name);
    writer.Key("functionVersion");
    writer.String(facts_.function_version);
    writer.Key("handler");
    writer.String(facts_.handler);
    writer.EndObject();
    api_.changed().WakeAll();
    return ApiAnswer{
        .status = 200,
        .headers = "Lambda-Extension-Identifier: " + found->id + "\r\n",
        .body = writer.Take() + "\n"};
}

std::optional<ApiAnswer> ExtensionsApi::Next(Extension& extension, uint64_t connection) {
    if (extension.state != State::kRegistered && extension.state != State::kRunning) {
        return RefuseTransition(extension, "Ready", extension.id);
    }
    if (!shutdown_event_.empty() && extension.Wants(kShutdown)) {
        extension.state = State::kRunning;
        return EventAnswer(shutdown_event_);
    }
    extension.state = State::kReady;
    extension.connection = connection;
    api_.changed().WakeAll();
    return std::nullopt;
}

void ExtensionsApi::Gone(uint64_t connection) {
    for (Extension& extension : extensions_) {
        if (extension.connection == connection) {
            // It may ask again, and until then nothing can be told to it.
            extension.connection = 0;
            extension.state = State::kRunning;
        }
    }
}

ApiAnswer ExtensionsApi::ReportError(
    Extension& extension, const RuntimeApiRequest& request, State target) {
    const bool init = target == State::kInitError;
    if (request.extension_error_type.empty()) {
        return ExtensionRefusal(
            403, "Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found");
    }
    if (extension.state != target) {
        const bool allowed =
            extension.state == State::kRegistered ||
            (!init && (extension.state == State::kReady || extension.state == State::kRunning));
        if (!allowed) {
            return RefuseTransition(extension, init ? "InitError" : "Exited", extension.id);
        }
        extension.state = target;
        extension.error_type = request.extension_error_type;
    }
    if (reported_type_.empty()) {
        reported_type_ = init ? "Extension.InitError" : "Extension.ExitError";
    }
    api_.changed().WakeAll();
    return ApiAnswer{.status = 202, .headers = {}, .body = "{\"status\":\"OK\"}\n"};
}

bool ExtensionsApi::registered() const {
    return std::none_of(extensions_.begin(), extensions_.end(), [](const Extension& one) {
        return one.external && one.state == State::kStarted;
    });
}

bool ExtensionsApi::quiet() const {
    return std::all_of(extensions_.begin(), extensions_.end(), [](const Extension& one) {
        return one.state == State::kReady;
    });
}

ExtensionsApi::Resting ExtensionsApi::AtRest() const {
    CHECK(quiet() && !any_external(), "extensions that are not at rest are to be saved");
    Resting resting;
    for (const Extension& one : extensions_) {
        resting.extensions.push_back(
            SavedExtension{.name = one.name, .id = one.id, .events = one.events});
        resting.connections.push_back(one.connection);
    }
    return resting;
}

void ExtensionsApi::Resume(SavedExtension extension, uint64_t connection) {
    extensions_.push_back(Extension{
        .name = std::move(extension.name),
        .id = std::move(extension.id),
        .state = State::kReady,
        .events = std::move(extension.events),
        .connection = connection});
}

bool ExtensionsApi::exited(size_t process) const {
    const State state = extensions_.at(process - 1).state;
    return state == State::kExited || state == State::kLaunchError;
}

bool ExtensionsApi::awaits_shutdown(size_t process) const {
    const Extension& extension = extensions_.at(process - 1);
    return !exited(process) && extension.Wants(kShutdown);
}

void ExtensionsApi::Fail(std::string type, std::string text) {
    if (!failure_.has_value() && !shutting_down_) {
        failure_ = ExtensionFailure{.type = std::move(type), .text = std::move(text)};
    }
    api_.changed().WakeAll();
}

void ExtensionsApi::RefuseTooMany(std::string name) {
    extensions_.push_back(Extension{
        .name = std::move(name),
        .id = random_.Uuid(),
        .external = true,
        .state = State::kLaunchError,
        .error_type = "TooManyExtensions"});
    Fail("Extension.LaunchError", "ErrTooManyExtensions");
}

void ExtensionsApi::Exited(size_t process, const sandbox::ExitReport& report) {
    if (process == 0 || process > external_count_) {
        return;
    }
    Extension& extension = extensions_[process - 1];
    if (!report.start_error.empty()) {
        extension.state = State::kLaunchError;
        extension.error_type = report.start_error.find("Permission denied") != std::string::npos
                                   ? "PermissionDenied"
                                   : "UnknownError";
        Fail("Extension.LaunchError", report.start_error);
        return;
    }
    // What it reported before stays to be read in its state.
    if (extension.state != State::kInitError && extension.state != State::kExitError) {
        extension.state = State::kExited;
    }
    Fail(
        reported_type_.empty() ? "Extension.Crash" : reported_type_,
        report.exit_code == 0 ? "exit code 0" : ExitStatusText(report));
}

ApiAnswer ExtensionsApi::EventAnswer(const std::string& event) {
    return ApiAnswer{
        .status = 200,
        .headers = "Lambda-Extension-Event-Identifier: " + random_.Uuid() + "\r\n",
        .body = event};
}

void ExtensionsApi::Send(Extension& extension, const std::string& event) {
    extension.state = State::kRunning;
    api_.AnswerWaiting(std::exchange(extension.connection, 0), EventAnswer(event));
}

void ExtensionsApi::Invoke(const ExtensionInvocation& invocation) {
    std::string event;
    for (Extension& extension : extensions_) {
        if (extension.state != State::kReady || !extension.Wants(kInvoke)) {
            continue;
        }
        if (event.empty()) {
            codec::JsonWriter writer;
            writer.BeginObject();
            writer.Key("eventType");
            writer.String(kInvoke);
            writer.Key("deadlineMs");
            writer.Int(invocation.deadline_unix_ms);
            writer.Key("requestId");
            writer.String(invocation.request_id);
            writer.Key("invokedFunctionArn");
            writer.String(invocation.invoked_function_arn);
            if (!invocation.trace_header.empty()) {
                writer.Key("tracing");
                writer.BeginObject();
                writer.Key("type");
                writer.String("X-Amzn-Trace-Id");
                writer.Key("value");
                writer.String(invocation.trace_header);
                writer.EndObject();
            }
            writer.EndObject();
            event = writer.Take();
        }
        Send(extension, event);
    }
}

void ExtensionsApi::Shutdown(std::string_view reason, int64_t deadline_unix_ms) {
    shutting_down_ = true;
    codec::JsonWriter writer;
    writer.BeginObject();
    writer.Key("eventType");
    writer.String(kShutdown);
    writer.Key("deadlineMs");
    writer.Int(deadline_unix_ms);
    writer.Key("shutdownReason");
    writer.String(reason);
    writer.EndObject();
    shutdown_event_ = writer.Take();
    for (Extension& extension : extensions_) {
        if (extension.state == State::kReady && extension.Wants(kShutdown)) {
            Send(extension, shutdown_event_);
        }
    }
}

std::vector<ExtensionStatus> ExtensionsApi::Describe() const {
    std::vector<ExtensionStatus> list;
    for (const Extension& extension : extensions_) {
        list.push_back(ExtensionStatus{
            .name = extension.name,
            .state = std::string(NameOf(extension.state)),
            .events = extension.events,
            .error_type = extension.error_type});
    }
    return list;
}

}  // namespace hearth::lambda
