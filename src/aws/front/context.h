#pragma once

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "rt/task.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth::http {
class BodyWriter;
}

namespace hearth::aws {

class RequestBody;

// Who calls, after the signature was looked at.
struct Caller {
    enum class Type {
        kAnonymous,    // unsigned, in open mode: acts as the root of account 000000000000
        kRoot,         // a root key, or in open mode a key nobody knows
        kUser,         // an IAM user's key
        kAssumedRole,  // a session of AssumeRole, or a function's role
        kService,      // Hearth itself, through the internal client
    };

    Type type = Type::kAnonymous;
    AccountId account{kRootAccount};
    // arn:aws:iam::<account>:root, :user/<path><name>, or
    // arn:aws:sts::<account>:assumed-role/<role>/<session>
    std::string arn;
    // What GetCallerIdentity returns as UserId: the account, AIDA..., or AROA...:<session>.
    std::string user_id;
    std::string access_key_id;
    // For kUser and kAssumedRole: the IAM name, without the path.
    std::string principal_name;
    // False in open mode for keys nobody knows and unsigned calls.
    bool verified = false;
};

// What became of an answer, once its last byte was handed to the connection or the client was gone.
struct AnswerSummary {
    int status = 0;
    // AWS's code; empty for a success.
    std::string error_code;
    // Of the body, as sent.
    uint64_t bytes_sent = 0;
    // Until the operation had its answer, and until all of it was sent.
    MonotonicClock::duration turnaround{};
    MonotonicClock::duration total{};
};

// What one request carries from the gateway to the operation. Lives as long as the request.
struct RequestContext {
    std::string request_id;
    std::string_view service;    // "lambda"
    std::string_view operation;  // "CreateFunction"
    Caller caller;
    AccountId account{kRootAccount};
    Region region{kDefaultRegion};
    WallClock::time_point now;
    // Nobody waits for the answer after this.
    MonotonicClock::time_point deadline;
    // Request headers, names in lower case.
    std::vector<std::pair<std::string, std::string>> headers;
    // Added to the answer as they are.
    std::vector<std::pair<std::string, std::string>> response_headers;
    // Overrides the operation's status when set (Lambda's Invoke: 200, 202, 204).
    std::optional<int> response_status;
    // Set by an operation whose answer flows: the body instead of the encoded one, whose status and
    // headers still come from the output. Called after the operation has returned; as
    // http::Response::stream otherwise, so it may capture and outlives this context.
    std::function<Task<Status>(http::BodyWriter&)> response_stream;
    // How many bytes `response_stream` writes, where that is known: the answer then has a
    // Content-Length instead of chunks. Without a stream it counts for answers to HEAD.
    std::optional<uint64_t> response_stream_bytes;
    // Called once with what was sent, for logs of accesses; nothing waits for it, so it hands its
    // work on. Without it nothing is counted.
    std::function<void(const AnswerSummary&)> when_answered;
    // Set for operations whose input is a streaming payload (PutObject, UploadPart): the body,
    // which the operation pulls. Null: there is none, or it is in the input already.
    RequestBody* request_body = nullptr;
    // As received: "GET" and "/bucket/key?versionId=1".
    std::string method;
    std::string target;
    // How the signature came.
    enum class SignedBy { kNothing, kHeader, kQuery, kForm } signed_by = SignedBy::kNothing;
    // Where the call came from; empty for sockets without addresses and for calls of our own.
    std::string peer_address;
    bool secure = false;
    // The endpoint the caller used: "http://127.0.0.1:4566".
    std::string endpoint;
    // Set when the call came from inside an execution environment: that environment's function ARN.
    std::string calling_function_arn;

    const std::string* Header(std::string_view lower_case_name) const {
        for (const auto& [name, value] : headers) {
            if (name == lower_case_name) {
                return &value;
            }
        }
        return nullptr;
    }
};

// arn:aws:<service>:<region>:<account>:<resource>
std::string Arn(
    std::string_view service,
    std::string_view region,
    const AccountId& account,
    std::string_view resource);

}  // namespace hearth::aws
