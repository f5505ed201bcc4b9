#pragma once

#include "os/fd.h"
#include "rt/event.h"
#include "rt/fd_watch.h"
#include "rt/task.h"
#include "rt/task_group.h"
#include "services/lambda/bandwidth.h"
#include "services/lambda/response_stream.h"
#include "services/lambda/runtime_api_parser.h"

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace hearth::lambda {

// What a runtime gets from GET /invocation/next.
struct RuntimeInvocation {
    std::string request_id;
    int64_t deadline_unix_ms = 0;
    std::string invoked_function_arn;
    std::string trace_header;
    std::string client_context;
    std::string payload;
    // Takes a streamed answer as it comes; null: it is collected.
    std::shared_ptr<ResponseStream> stream;
    // A streamed answer gets AWS's bandwidth and no more.
    bool limit_bandwidth = false;
};

// What a runtime posted for an invocation or for its init.
struct RuntimeAnswer {
    bool is_error = false;
    std::string body;
    // Lambda-Runtime-Function-Error-Type.
    std::string error_type;
    // The answer was beyond its limit and was dropped; the runtime got 413.
    bool too_large = false;
    // The runtime stated a response mode that there is not.
    bool invalid_mode = false;

    // The answer went to the invocation's stream; `body` is what the trailer says of an error.
    bool streamed = false;
    // It broke off before its end: the runtime died, or sent what is no chunk or trailer.
    bool truncated = false;
    // From its head to its last byte.
    std::chrono::steady_clock::time_point began_at;
    std::chrono::steady_clock::time_point ended_at;
    uint64_t produced_bytes = 0;
};

// Of a streamed answer. Source: "Lambda quotas", 2025-07-31.
inline constexpr uint64_t kStreamedBytesMax = 200ull * 1024 * 1024;

// An answer of further paths.
struct ApiAnswer {
    int status = 200;
    // Whole lines with their ends, beyond type and length.
    std::string headers;
    std::string body;
};

// Further paths on the Runtime API's listener: extensions_api.h.
class ApiPaths {
  public:
    virtual ~ApiPaths() = default;
    virtual bool Has(std::string_view path) const = 0;
    // The answer; or nothing, and the connection waits until RuntimeApi::AnswerWaiting or Gone.
    virtual std::optional<ApiAnswer> Handle(uint64_t connection, RuntimeApiRequest& request) = 0;
    // A connection that waited has ended.
    virtual void Gone(uint64_t connection) = 0;
};

// The Runtime API (2018-06-01) of one execution environment, on the listening socket inside it.
// Serves the function's calls itself: a warm invocation is one write and one read on a kept
// connection.
//
// The caller and the runtime take turns through a small state machine, the same as in AWS's public
// emulator (rapid), so out-of-order calls get its answers: 400 InvalidRequestID, 403
// InvalidStateTransition. Everything on one loop.
// Source: "Using the Lambda runtime API", docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
class RuntimeApi final {
  public:
    explicit RuntimeApi(os::Fd listener);
    ~RuntimeApi();

    // Before Start; `paths` outlives this.
    void Add(ApiPaths* paths) { paths_ = paths; }

    // Answers a connection that waits for one of the further paths.
    void AnswerWaiting(uint64_t connection, const ApiAnswer& answer);

    // Begins to accept.
    void Start();
    // Closes all connections. Call before the object goes.
    Task<void> Stop();

    // A runtime that is to be saved may wait in /runtime/restore/next; one that was not told so
    // gets 404 there. Before Start.
    void ExpectRestore() { expects_restore_ = true; }

    // It waits there, and goes on with AnswerRestore. `ahead`: no call waits for it, so it may take
    // time to touch what a call will need.
    bool waiting_for_restore() const { return restoring_ != nullptr; }

    // It waits in /invocation/next?rehearse instead: it knows events that nobody sent, whose
    // request id is "rehearsal", and does with the first one what it takes.
    bool rehearses() const { return rehearses_; }

    // `rehearse`: what waits in /invocation/next is given such an event, when no call waits for it.
    void AnswerRestore(bool ahead, bool rehearse);

    // What it posted to restore/error; stays.
    const std::optional<RuntimeAnswer>& restore_error() const { return restore_error_; }

    // Answers GET /2021-04-23/credentials, with `token` as its Authorization, by what `make` gives:
    // a function with SnapStart gets credentials so. Before Start.
    void ServeCredentials(std::string token, std::function<std::string()> make);

    // Where the runtime waits for us, as ports inside, and then where `further` wait for one of the
    // further paths, in their order; empty while one of them does not, or while anybody else has a
    // request under way. All they sent has been read.
    std::vector<uint16_t> RestingPorts(const std::vector<uint64_t>& further) const;

    // A connection on which a restored runtime waits as the saved one did. Before Start.
    Status Adopt(os::Fd connection, bool in_restore);

    // One that waits for one of the further paths, after Add. Its number there.
    Result<uint64_t> AdoptWaiting(os::Fd connection);

    // A runtime waits in /next: Offer may be called.
    bool ready() const;
    void Offer(const RuntimeInvocation& invocation);

    // The answer of the invocation offered last; once.
    std::optional<RuntimeAnswer> TakeAnswer();

    // What the runtime posted to init/error; stays.
    const std::optional<RuntimeAnswer>& init_error() const { return init_error_; }

    // Connections open now: none left after the runtime has ended and all it sent was read.
    size_t connection_count() const { return connection_count_; }

    // Woken whenever one of the above may have changed.
    rt::Event& changed() { return changed_; }

  private:
    enum class State {
        kStarted,
        kRestoring,
        kInitError,
        kReady,
        kRunning,
        kResponding,
        kResponseSent
    };

    struct Connection;

    static std::string_view NameOf(State state);

    Result<std::shared_ptr<Connection>> MakeParked(os::Fd socket);
    Task<void> Accept();
    Task<void> Serve(std::shared_ptr<Connection> connection);
    Task<void> Flush(std::shared_ptr<Connection> connection);
    void Handle(const std::shared_ptr<Connection>& connection, RuntimeApiRequest& request);
    void HandleNext(const std::shared_ptr<Connection>& connection);
    void HandleAnswer(
        const std::shared_ptr<Connection>& connection,
        RuntimeApiRequest& request,
        std::string_view request_id,
        bool is_error);
    // The head of a streamed request: true when its body goes to the invocation as it comes.
    bool BeginStreamed(const std::shared_ptr<Connection>& connection);
    // Passes on what the parser has of the body.
    void PassOn(const std::shared_ptr<Connection>& connection);
    void FinishStreamed(
        const std::shared_ptr<Connection>& connection, RuntimeApiRequest& request, bool truncated);
    void HandleRestoreNext(const std::shared_ptr<Connection>& connection);
    // A made-up event, for a runtime that runs the path of one before it is saved.
    void SendRehearsal(const std::shared_ptr<Connection>& connection);
    void SendEvent(
        const std::shared_ptr<Connection>& connection, const RuntimeInvocation& invocation);
    void HandleCredentials(
        const std::shared_ptr<Connection>& connection, const RuntimeApiRequest& request);
    void HandleInitError(const std::shared_ptr<Connection>& connection, RuntimeApiRequest& request);

    void Send(
        const std::shared_ptr<Connection>& connection,
        std::string_view head,
        std::string_view body);
    void Reply(const std::shared_ptr<Connection>& connection, int status, std::string_view body);
    void Reply(const std::shared_ptr<Connection>& connection, const ApiAnswer& answer);
    void Refuse(
        const std::shared_ptr<Connection>& connection,
        int status,
        std::string_view type,
        std::string_view message);
    void RefuseTransition(const std::shared_ptr<Connection>& connection, std::string_view target);

    os::Fd listener_;
    std::optional<rt::FdWatch> listener_watch_;
    State state_ = State::kStarted;
    // Connections whose GET /next waits for an invocation; the first one gets it.
    std::deque<std::shared_ptr<Connection>> parked_;
    std::string credentials_token_;
    std::function<std::string()> make_credentials_;
    bool expects_restore_ = false;
    bool rehearses_ = false;
    // The one whose GET /restore/next waits.
    std::shared_ptr<Connection> restoring_;
    std::optional<RuntimeAnswer> restore_error_;
    size_t connection_count_ = 0;
    ApiPaths* paths_ = nullptr;
    uint64_t last_connection_ = 0;
    // Connections that wait for one of the further paths.
    std::unordered_map<uint64_t, std::shared_ptr<Connection>> waiting_;
    std::string request_id_;
    std::optional<RuntimeAnswer> answer_;
    // Of the answer that flows now.
    RuntimeAnswer streamed_;
    std::shared_ptr<ResponseStream> stream_;
    std::optional<Bandwidth> bandwidth_;
    std::optional<RuntimeAnswer> init_error_;
    rt::Event changed_;
    rt::TaskGroup tasks_;
};

}  // namespace hearth::lambda
