#pragma once

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "rt/task.h"
#include "services/lambda/saved_extensions.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// The seam between Lambda's control plane (what functions are) and its data plane (how they run).
// The control plane resolves a name and a qualifier to a FunctionVersion and calls the Invoker.
namespace hearth::lambda {

// A directory with unpacked code, read-only, kept as long as somebody holds it.
class CodeDirectory {
  public:
    virtual ~CodeDirectory() = default;
    // Absolute, or relative to the data directory.
    virtual const std::string& path() const = 0;
};

// Unpacked code by content. The control plane implements it; the data plane opens code on a cold
// start.
class CodeCache {
  public:
    virtual ~CodeCache() = default;
    // `code_id` as the control plane wrote it into a FunctionVersion. Called on any loop.
    virtual Task<Result<std::shared_ptr<const CodeDirectory>>> Open(std::string code_id) = 0;
    // One directory that looks like all of `code_ids` laid over each other, later ones on top: for
    // sandboxes that cannot mount them so. Made once per combination.
    virtual Task<Result<std::shared_ptr<const CodeDirectory>>> OpenMerged(
        std::vector<std::string> code_ids) = 0;
};

// All the data plane knows of one version of a function. Immutable once made; shared by the control
// plane's cache, the slots and the environments that run it.
struct FunctionVersion {
    AccountId account;
    Region region;
    std::string name;
    std::string version;  // "$LATEST", or "7"
    // Differs whenever code or configuration differ (RevisionId or a counter): an environment
    // serves exactly one revision.
    std::string revision;
    std::string runtime;  // "python3.12", "nodejs20.x", "provided.al2023"
    std::string handler;
    std::string role_arn;
    std::string architecture = "x86_64";
    int32_t memory_mb = 128;
    int32_t ephemeral_storage_mb = 512;
    int32_t timeout_s = 3;
    std::map<std::string, std::string> environment;
    std::string code_id;
    // In order of LayerVersionArn; merged into /opt, later ones win.
    std::vector<std::string> layer_code_ids;

    std::string log_group;            // "/aws/lambda/<name>" unless configured
    std::string log_format = "Text";  // or "JSON"
    // TRACE .. FATAL and DEBUG, INFO, WARN; empty means the default (INFO). Used with JSON only.
    std::string application_log_level;
    std::string system_log_level;

    // A published version with SnapStart: its environments start from a snapshot where there is
    // one.
    bool snap_start = false;
};

class ResponseStream;

// A saved, initialised environment of one version.
struct SnapshotSource {
    // Path of the image. Whoever finds that it does not fit this machine any more deletes it.
    std::string image;
    // How many connections to the Runtime API it waits on.
    uint32_t connections = 0;
    // The first of them waits in /runtime/restore/next, rather than for its first event.
    bool in_restore = false;
    // Else: it takes an event that nobody sent for what it is (RuntimeApi::rehearses).
    bool rehearses = false;
    // Whose connections are the last ones, in this order.
    std::vector<SavedExtension> extensions;
};

struct InvokeRequest {
    std::string request_id;
    // With the qualifier the caller used.
    std::string invoked_function_arn;
    // JSON text; an empty payload reaches the function as "{}".
    std::string payload;
    // Decoded X-Amz-Client-Context; empty when there is none.
    std::string client_context;
    // X-Amzn-Trace-Id of the call; empty: a new one is made.
    std::string trace_header;
    // The caller wants the last 4 KB of the log.
    bool log_tail = false;
    // An event that was accepted before. AWS bounds how many calls a second are synchronous.
    bool asynchronous = false;
    // Kept elsewhere meanwhile: rather refused than started where memory is short.
    bool can_wait = false;
    // What a new environment may start from; nothing: a cold start.
    std::optional<SnapshotSource> snapshot;
    // Where a streamed answer goes (InvokeStreaming sets it); null: it is collected.
    std::shared_ptr<ResponseStream> stream;
};

struct InvokeResult {
    std::string payload;
    // "Unhandled" when the function or its runtime failed; the payload then holds AWS's error
    // shape.
    std::string function_error;
    // With function_error: "Runtime.ExitError", "Sandbox.Timedout", or the function's own.
    std::string error_type;
    // The last 4 KB of the log as text (base64 is the control plane's matter); empty unless asked
    // for.
    std::string log_tail;
};

// How making a snapshot ended.
struct SnapshotOutcome {
    enum class Kind {
        kSaved,
        // The environment holds something that no image can: the version has cold starts.
        kNotPossible,
        // The function's own init failed.
        kInitFailed,
    };
    Kind kind = Kind::kSaved;
    // kNotPossible: why, for people. kInitFailed: AWS's StateReason.
    std::string reason;
    // kInitFailed: AWS's StateReasonCode, such as "FunctionError.InitTimeout".
    std::string reason_code;
    // kSaved.
    SnapshotSource source;
};

// How a streamed answer ended.
struct StreamEnd {
    // Empty: the function answered to the end. Else what InvokeComplete says: "Unhandled" for a
    // function that failed, or "Runtime.TruncatedResponse", "Sandbox.Timedout", ...
    std::string error_code;
    // JSON: {"errorType": ..., "errorMessage": ...}.
    std::string error_details;
    // The last 4 KB of the log as text; empty unless asked for.
    std::string log_tail;
};

// An answer that flows: the reader's side. Between function and reader lies a buffer of fixed size,
// so a slow reader slows the function down and memory stays flat. Used on one loop, the one that
// called InvokeStreaming.
//
// Destroying it before its end means that the client went away: the function runs to its end, and
// what it still writes is dropped, as on AWS.
class StreamedInvocation {
  public:
    virtual ~StreamedInvocation() = default;

    // As the runtime stated it; empty when it stated none.
    virtual const std::string& content_type() const = 0;
    // False: the runtime answered in one piece (Lambda-Runtime-Function-Response-Mode was not
    // "streaming"), or did not answer.
    virtual bool streaming() const = 0;
    // What has come since; waits for at least one byte. Empty at the end, and from then on.
    virtual Task<Result<std::string>> Read() = 0;
    // Valid after Read gave an empty string.
    virtual const StreamEnd& end() const = 0;
};

class Invoker {
  public:
    virtual ~Invoker() = default;

    // Once, before the first call, on a loop.
    virtual Task<Status> Start() = 0;
    // Once, after the last call: waits for what runs and puts all environments away.
    virtual Task<void> Stop() = 0;

    // Runs the function once and answers when it has answered, failed or timed out. The control
    // plane has checked that the version may be invoked (state Active, payload is JSON and within
    // its limit).
    //   errors  TooManyRequestsException (429, with Reason), and the sandbox's when no environment
    //           could be made.
    // Called on any loop.
    virtual Task<Result<InvokeResult>> Invoke(
        std::shared_ptr<const FunctionVersion> function, InvokeRequest request) = 0;

    // As Invoke, and answers as soon as the function's answer begins, or has failed: then the
    // stream has no bytes and its end tells the error.
    //   errors  as Invoke's
    virtual Task<Result<std::unique_ptr<StreamedInvocation>>> InvokeStreaming(
        std::shared_ptr<const FunctionVersion> function, InvokeRequest request) = 0;

    // Whether SaveSnapshot can do anything on this machine.
    virtual bool can_save_snapshots() const { return false; }

    // Starts one environment of a version, saves it initialised into the new file `image`, and puts
    // it away.
    //   errors  the machine's fault, not the function's: trying again later may help
    virtual Task<Result<SnapshotOutcome>> SaveSnapshot(
        std::shared_ptr<const FunctionVersion> function, std::string image);

    // Nobody starts from `image` any more.
    virtual void ForgetSnapshot(const std::string& image) { (void)image; }

    // Puts away all environments of a function (version empty: of all its versions) except those of
    // `keep_revision`. Busy ones finish their call first. Call after the change is committed: calls
    // that come with a newer revision never reach an older environment, retired or not.
    virtual Task<void> Retire(
        AccountId account,
        Region region,
        std::string name,
        std::string version,
        std::string keep_revision) = 0;
};

}  // namespace hearth::lambda
