#pragma once

#include "base/random.h"
#include "sandbox/sandbox.h"
#include "services/lambda/runtime_api.h"
#include "services/lambda/saved_extensions.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::lambda {

// What GET /extension/event/next tells of an invocation.
struct ExtensionInvocation {
    std::string request_id;
    int64_t deadline_unix_ms = 0;
    std::string invoked_function_arn;
    std::string trace_header;
};

// Why an environment ends because of an extension.
struct ExtensionFailure {
    // "Extension.Crash", "Extension.InitError", "Extension.ExitError" or "Extension.LaunchError".
    std::string type;
    // "exit status 1"
    std::string text;
};

// What the log and telemetry say of an extension when init is over.
struct ExtensionStatus {
    std::string name;
    std::string state;
    std::vector<std::string> events;
    std::string error_type;
};

// The Extensions API (2020-01-01) of one environment, beside the Runtime API on its listener.
//
// External extensions are known from the start by the names of their files and have to register;
// internal ones come up by registering under any other name. Each goes through the states of AWS's
// public emulator, whose names, statuses and messages callers see:
//
//   Started → Registered → Ready ⇄ Running, and the ends InitError, ExitError, LaunchError, Exited
//
// Everything on one loop.
// Source: "Using the Lambda Extensions API", docs.aws.amazon.com/lambda/latest/dg.
class ExtensionsApi final : public ApiPaths {
  public:
    static constexpr size_t kExtensionsMax = 10;

    // What POST /extension/register answers.
    struct Facts {
        std::string account;
        std::string function_name;
        std::string function_version;
        std::string handler;
    };

    // PUT /telemetry and /logs of a registered extension.
    using Subscribe = std::function<ApiAnswer(
        std::string_view path, const std::string& extension, const RuntimeApiRequest& request)>;

    // `external` are the names of the files, in the order of their processes.
    ExtensionsApi(
        RuntimeApi& api,
        Random& random,
        Facts facts,
        std::vector<std::string> external,
        Subscribe subscribe);
    ~ExtensionsApi() override;

    bool Has(std::string_view path) const override;
    std::optional<ApiAnswer> Handle(uint64_t connection, RuntimeApiRequest& request) override;
    void Gone(uint64_t connection) override;

    bool any() const { return !extensions_.empty(); }

    bool any_external() const { return external_count_ > 0; }

    // All external ones have registered.
    bool registered() const;

    // The runtime is ready: nobody can register any more.
    void CloseRegistration() { open_ = false; }

    // Init is over: nobody can subscribe to telemetry any more.
    void CloseSubscriptions() { subscriptions_open_ = false; }

    // All have asked for their next event and none works on one: the environment may be frozen.
    bool quiet() const;

    // Internal ones as they are now, all of them at rest (quiet), and the connections on which they
    // wait.
    struct Resting {
        std::vector<SavedExtension> extensions;
        std::vector<uint64_t> connections;
    };

    Resting AtRest() const;

    // One of them in an environment that goes on: it waits on `connection`, before anything was
    // asked or told.
    void Resume(SavedExtension extension, uint64_t connection);

    // The first extension that ended by itself; stays.
    const std::optional<ExtensionFailure>& failure() const { return failure_; }

    // The process of an external extension, counted from 1, has ended.
    void Exited(size_t process, const sandbox::ExitReport& report);
    bool exited(size_t process) const;
    // Whether that extension wants to hear of the shutdown, and can.
    bool awaits_shutdown(size_t process) const;
    // More files than kExtensionsMax.
    void RefuseTooMany(std::string name);

    // Gives the event to those who registered for it.
    void Invoke(const ExtensionInvocation& invocation);
    // As above; from now on exits are no failures.
    void Shutdown(std::string_view reason, int64_t deadline_unix_ms);

    void BeginShutdown() { shutting_down_ = true; }

    std::vector<ExtensionStatus> Describe() const;

  private:
    enum class State {
        kStarted,
        kRegistered,
        kReady,
        kRunning,
        kInitError,
        kExitError,
        kLaunchError,
        kExited,
    };

    struct Extension {
        std::string name;
        std::string id;
        bool external = false;
        State state = State::kStarted;
        std::vector<std::string> events;
        std::string error_type;
        // Waits in /event/next; 0: does not.
        uint64_t connection = 0;

        bool Wants(std::string_view event) const;
    };

    static std::string_view NameOf(State state);

    ApiAnswer Register(RuntimeApiRequest& request);
    std::optional<ApiAnswer> Next(Extension& extension, uint64_t connection);
    ApiAnswer ReportError(Extension& extension, const RuntimeApiRequest& request, State target);
    // The extension that the request names, or the refusal.
    Extension* Identify(const RuntimeApiRequest& request, ApiAnswer& refusal);
    ApiAnswer RefuseTransition(
        const Extension& extension, std::string_view target, std::string_view who) const;
    ApiAnswer EventAnswer(const std::string& event);
    void Send(Extension& extension, const std::string& event);
    void Fail(std::string type, std::string text);

    RuntimeApi& api_;
    Random& random_;
    Facts facts_;
    size_t external_count_ = 0;
    // External ones first. Handed out by pointer only within a call.
    std::vector<Extension> extensions_;
    Subscribe subscribe_;
    bool open_ = true;
    bool subscriptions_open_ = true;
    bool shutting_down_ = false;
    // For those who ask later than the shutdown began.
    std::string shutdown_event_;
    // What the first extension to report an error called it; an exit then has this type.
    std::string reported_type_;
    std::optional<ExtensionFailure> failure_;
};

// Refusals of the Extensions and Telemetry APIs.
ApiAnswer ExtensionRefusal(int status, std::string_view type, std::string_view message);

// The executables of /opt/extensions, as AWS lists them: files of the top level in the order of
// their names. `layers` are the directories mounted at /opt, later ones above earlier ones. At most
// one more than there may be.
std::vector<std::string> ListExtensions(const std::vector<std::string>& layers);

// The variables of an extension's process: the function's without those that belong to the runtime.
std::vector<std::string> ExtensionVariables(const std::vector<std::string>& runtime_variables);

}  // namespace hearth::lambda
