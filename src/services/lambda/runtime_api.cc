#include "services/lambda/runtime_api.h"

#include "base/check.h"
#include "codec/base64/base64.h"
#include "rt/timer.h"
#include "services/lambda/environment_variables.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

namespace hearth::lambda {

namespace {

// A runtime needs one or two; more come from a function that opens them for fun.
constexpr size_t kConnectionsMax = 64;
constexpr size_t kReadBytes = 64 * 1024;
// Answers that nobody reads: beyond this the connection is closed.
constexpr size_t kUnsentBytesMax = 8 * 1024 * 1024;

constexpr std::string_view kPrefix = "/2018-06-01/runtime/";
// The request id of events that no caller sent.
constexpr std::string_view kRehearsal = "rehearsal";
constexpr std::string_view kAccepted = "{\"status\":\"OK\"}\n";

std::string_view ReasonOf(int status) {
    switch (status) {
        case 200:
            return "OK";
        case 202:
            return "Accepted";
        case 400:
            return "Bad Request";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 413:
            return "Request Entity Too Large";
        case 431:
            return "Request Header Fields Too Large";
        default:
            return "Internal Server Error";
    }
}

// A header's value must not end the header.
void AppendHeader(std::string& head, std::string_view name, std::string_view value) {
    if (value.empty()) {
        return;
    }
    head.append(name);
    for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        head.push_back(byte < 0x20 || byte == 0x7F ? ' ' : c);
    }
    head.append("\r\n");
}

}  // namespace

struct RuntimeApi::Connection {
    Connection(os::Fd socket, rt::FdWatch socket_watch)
        : fd(std::move(socket)), watch(std::move(socket_watch)) {}

    os::Fd fd;
    rt::FdWatch watch;
    uint64_t number = 0;
    RuntimeApiParser parser;
    // What the socket did not take yet; Flush runs while this is not empty.
    std::string unsent;
    bool flushing = false;
    bool parked = false;
    bool closing = false;
    // Its request is a streamed answer that flows.
    bool answering = false;
    // Of it, since the bandwidth was looked at.
    uint64_t flowed_bytes = 0;
    // The peer asked for "Connection: close": our side ends after the next answer, theirs when they
    // like.
    bool last = false;
};

RuntimeApi::RuntimeApi(os::Fd listener) : listener_(std::move(listener)) {}

RuntimeApi::~RuntimeApi() = default;

std::string_view RuntimeApi::NameOf(State state) {
    switch (state) {
        case State::kStarted:
            return "Started";
        case State::kRestoring:
            return "RestoreReady";
        case State::kInitError:
            return "InitError";
        case State::kReady:
            return "Ready";
        case State::kRunning:
            return "Running";
        case State::kResponding:
            return "InvocationResponse";
        case State::kResponseSent:
            return "RuntimeResponseSentState";
    }
    return "";
}

void RuntimeApi::Start() {
    tasks_.Spawn(Accept());
}

Task<void> RuntimeApi::Stop() {
    tasks_.Cancel();
    co_await tasks_.Join();
    parked_.clear();
    restoring_.reset();
    waiting_.clear();
}

Result<std::shared_ptr<RuntimeApi::Connection>> RuntimeApi::MakeParked(os::Fd socket) {
    if (::fcntl(socket.get(), F_SETFL, O_NONBLOCK) != 0) {
        return hearth::errors::System("a connection's mode", errno);
    }
    HEARTH_TRY(auto watch, rt::FdWatch::Make(socket.get()));
    auto parked = std::make_shared<Connection>(std::move(socket), std::move(watch));
    parked->number = ++last_connection_;
    parked->parked = true;
    ++connection_count_;
    return parked;
}

Status RuntimeApi::Adopt(os::Fd connection, bool in_restore) {
    HEARTH_TRY(std::shared_ptr<Connection> adopted, MakeParked(std::move(connection)));
    if (in_restore) {
        state_ = State::kRestoring;
        restoring_ = adopted;
    } else {
        state_ = State::kReady;
        parked_.push_back(adopted);
    }
    tasks_.Spawn(Serve(std::move(adopted)));
    return Status();
}

Result<uint64_t> RuntimeApi::AdoptWaiting(os::Fd connection) {
    CHECK(paths_ != nullptr, "a connection waits for a path that nobody has");
    HEARTH_TRY(std::shared_ptr<Connection> adopted, MakeParked(std::move(connection)));
    const uint64_t number = adopted->number;
    waiting_.emplace(number, adopted);
    tasks_.Spawn(Serve(std::move(adopted)));
    return number;
}

std::vector<uint16_t> RuntimeApi::RestingPorts(const std::vector<uint64_t>& further) const {
    std::vector<uint16_t> ports;
    const auto add = [&ports](const Connection& connection) {
        sockaddr_in peer{};
        socklen_t size = sizeof(peer);
        if (connection.unsent.empty() && !connection.closing &&
            ::getpeername(connection.fd.get(), reinterpret_cast<sockaddr*>(&peer), &size) == 0 &&
            peer.sin_family == AF_INET) {
            ports.push_back(ntohs(peer.sin_port));
        }
    };
    if (restoring_ != nullptr) {
        add(*restoring_);
    }
    for (const auto& connection : parked_) {
        add(*connection);
    }
    const size_t of_runtime = ports.size();
    for (const uint64_t number : further) {
        if (const auto found = waiting_.find(number); found != waiting_.end()) {
            add(*found->second);
        }
    }
    if (of_runtime == 0 || ports.size() != of_runtime + further.size() ||
        waiting_.size() != further.size()) {
        ports.clear();
    }
    return ports;
}

void RuntimeApi::AnswerRestore(bool ahead, bool rehearse) {
    if (restoring_ == nullptr) {
        if (ahead && rehearse && !parked_.empty()) {
            // Not ready until it asks again.
            const auto connection = std::move(parked_.front());
            parked_.pop_front();
            connection->parked = false;
            state_ = State::kStarted;
            SendRehearsal(connection);
        }
        return;
    }
    const auto connection = std::exchange(restoring_, nullptr);
    connection->parked = false;
    Reply(
        connection,
        ApiAnswer{.headers = ahead ? "Hearth-Restored: ahead\r\n" : std::string(), .body = {}});
}

bool RuntimeApi::ready() const {
    return state_ == State::kReady && !parked_.empty();
}

Task<void> RuntimeApi::Accept() {
    auto watch = rt::FdWatch::Make(listener_.get());
    if (!watch.ok()) {
        co_return;
    }
    listener_watch_.emplace(*std::move(watch));
    while (true) {
        os::Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (socket.valid()) {
            const int on = 1;
            ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            auto socket_watch = rt::FdWatch::Make(socket.get());
            if (socket_watch.ok() && connection_count_ < kConnectionsMax) {
                ++connection_count_;
                auto connection =
                    std::make_shared<Connection>(std::move(socket), *std::move(socket_watch));
                connection->number = ++last_connection_;
                tasks_.Spawn(Serve(std::move(connection)));
            }
            continue;
        }
        if (errno == EAGAIN) {
            if (const auto readable = co_await listener_watch_->Readable(); !readable.ok()) {
                co_return;
            }
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            // Out of descriptors for a moment; the connection waits in the socket's queue.
            co_await rt::Sleep(std::chrono::milliseconds(50));
        } else if (errno != EINTR && errno != ECONNABORTED) {
            co_return;
        }
    }
}

Task<void> RuntimeApi::Serve(std::shared_ptr<Connection> connection) {
    // Used between a read and the end of its parsing, never across a wait; one per thread is
    // enough.
    thread_local std::array<char, kReadBytes> buffer;
    bool open = true;
    while (open && !connection->closing) {
        const ssize_t count = ::recv(connection->fd.get(), buffer.data(), buffer.size(), 0);
        if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
            break;
        }
        if (count < 0) {
            if (errno == EAGAIN) {
                if (const auto readable = co_await connection->watch.Readable(); !readable.ok()) {
                    break;
                }
            }
            continue;
        }
        std::string_view bytes(buffer.data(), static_cast<size_t>(count));
        while (!bytes.empty() && open) {
            if (connection->parked) {
                // Nothing may follow a request that waits for its answer; no runtime does it.
                open = false;
                break;
            }
            const auto state = connection->parser.Consume(bytes);
            if (connection->parser.TakeContinue()) {
                connection->last = false;
                Send(connection, "HTTP/1.1 100 Continue\r\n\r\n", {});
            }
            if (connection->answering) {
                PassOn(connection);
            }
            if (state == RuntimeApiParser::State::kStreamBegins) {
                if (BeginStreamed(connection)) {
                    connection->parser.Stream();
                }
            } else if (state == RuntimeApiParser::State::kBroken && connection->answering) {
                FinishStreamed(connection, connection->parser.request(), true);
                open = false;
            } else if (state == RuntimeApiParser::State::kBroken) {
                Refuse(
                    connection,
                    connection->parser.http_status(),
                    "InvalidRequest",
                    "The request is malformed or too large");
                open = false;
            } else if (state == RuntimeApiParser::State::kDone) {
                RuntimeApiRequest request = std::move(connection->parser.request());
                connection->parser.Reset();
                connection->last = !request.keep_alive;
                if (connection->answering) {
                    FinishStreamed(connection, request, false);
                } else {
                    Handle(connection, request);
                }
            }
        }
        if (connection->answering && bandwidth_.has_value()) {
            const auto now = std::chrono::steady_clock::now();
            const auto when = bandwidth_->Take(std::exchange(connection->flowed_bytes, 0), now);
            if (when > now) {
                co_await rt::SleepUntil(when);
            }
        }
        if (connection->answering && stream_ != nullptr && stream_->full()) {
            // The reader is slower than the function: its socket fills, and it waits.
            const std::shared_ptr<ResponseStream> stream = stream_;
            co_await stream->WaitForRoom();
        }
    }
    if (connection->answering) {
        FinishStreamed(connection, connection->parser.request(), true);
    }
    connection->closing = true;
    std::erase(parked_, connection);
    if (restoring_ == connection) {
        restoring_.reset();
    }
    if (waiting_.erase(connection->number) > 0) {
        paths_->Gone(connection->number);
    }
    --connection_count_;
    connection->watch.Cancel();
    ::shutdown(connection->fd.get(), SHUT_RDWR);
    changed_.WakeAll();
}

Task<void> RuntimeApi::Flush(std::shared_ptr<Connection> connection) {
    while (!connection->unsent.empty() && !connection->closing) {
        if (const auto writable = co_await connection->watch.Writable(); !writable.ok()) {
            break;
        }
        const ssize_t count = ::send(
            connection->fd.get(),
            connection->unsent.data(),
            connection->unsent.size(),
            MSG_NOSIGNAL);
        if (count > 0) {
            connection->unsent.erase(0, static_cast<size_t>(count));
        } else if (errno != EAGAIN && errno != EINTR) {
            break;
        }
    }
    connection->unsent.clear();
    connection->flushing = false;
    if (connection->last) {
        ::shutdown(connection->fd.get(), SHUT_WR);
    }
}

void RuntimeApi::Send(
    const std::shared_ptr<Connection>& connection, std::string_view head, std::string_view body) {
    size_t sent = 0;
    if (connection->unsent.empty()) {
        std::array<iovec, 2> parts = {
            iovec{const_cast<char*>(head.data()), head.size()},
            iovec{const_cast<char*>(body.data()), body.size()}};
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = body.empty() ? 1 : 2;
        const ssize_t count = ::sendmsg(connection->fd.get(), &message, MSG_NOSIGNAL);
        if (count >= 0) {
            sent = static_cast<size_t>(count);
        } else if (errno != EAGAIN && errno != EINTR) {
            // Gone; its reader finds out by itself.
            return;
        }
    }
    if (sent >= head.size() + body.size()) {
        if (connection->last) {
            ::shutdown(connection->fd.get(), SHUT_WR);
        }
        return;
    }
    if (connection->unsent.size() + head.size() + body.size() > kUnsentBytesMax) {
        connection->closing = true;
        connection->watch.Cancel();
        return;
    }
    if (sent < head.size()) {
        connection->unsent.append(head.substr(sent));
        connection->unsent.append(body);
    } else {
        connection->unsent.append(body.substr(sent - head.size()));
    }
    if (!std::exchange(connection->flushing, true)) {
        tasks_.Spawn(Flush(connection));
    }
}

void RuntimeApi::Reply(
    const std::shared_ptr<Connection>& connection, int status, std::string_view body) {
    if (status == 202) {
        // The one on the path of every invocation.
        static const std::string accepted = fmt::format(
            "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: "
            "{}\r\n\r\n{}",
            kAccepted.size(),
            kAccepted);
        Send(connection, accepted, {});
        return;
    }
    const std::string head = fmt::format(
        "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        status,
        ReasonOf(status),
        body.starts_with('{') ? "application/json" : "text/plain; charset=utf-8",
        body.size());
    Send(connection, head, body);
}

void RuntimeApi::Reply(const std::shared_ptr<Connection>& connection, const ApiAnswer& answer) {
    const std::string head = fmt::format(
        "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\n{}Content-Length: {}\r\n\r\n",
        answer.status,
        ReasonOf(answer.status),
        answer.headers,
        answer.body.size());
    Send(connection, head, answer.body);
}

void RuntimeApi::AnswerWaiting(uint64_t connection, const ApiAnswer& answer) {
    const auto found = waiting_.find(connection);
    if (found == waiting_.end()) {
        return;
    }
    const std::shared_ptr<Connection> waiting = std::move(found->second);
    waiting_.erase(found);
    waiting->parked = false;
    Reply(waiting, answer);
}

void RuntimeApi::Refuse(
    const std::shared_ptr<Connection>& connection,
    int status,
    std::string_view type,
    std::string_view message) {
    // Types and messages are ours and need no escaping.
    Reply(
        connection,
        status,
        fmt::format("{{\"errorMessage\":\"{}\",\"errorType\":\"{}\"}}\n", message, type));
}

void RuntimeApi::RefuseTransition(
    const std::shared_ptr<Connection>& connection, std::string_view target) {
    Refuse(
        connection,
        403,
        "InvalidStateTransition",
        fmt::format(
            "State transition from {} to {} failed for runtime. Error: State transition is not "
            "allowed",
            NameOf(state_),
            target));
}

void RuntimeApi::Handle(const std::shared_ptr<Connection>& connection, RuntimeApiRequest& request) {
    std::string_view target = request.target;
    const std::string_view query = target.substr(std::min(target.find('?'), target.size()));
    target.remove_suffix(query.size());
    if (target == "/2018-06-01/ping") {
        Reply(connection, 200, "pong");
        return;
    }
    if (make_credentials_ && target == kCredentialsPath) {
        HandleCredentials(connection, request);
        return;
    }
    if (!target.starts_with(kPrefix) && paths_ != nullptr && paths_->Has(target)) {
        if (const auto answer = paths_->Handle(connection->number, request)) {
            Reply(connection, *answer);
        } else {
            connection->parked = true;
            waiting_.emplace(connection->number, connection);
        }
        return;
    }
    if (!target.starts_with(kPrefix)) {
        Reply(connection, 404, "404 page not found\n");
        return;
    }
    target.remove_prefix(kPrefix.size());
    constexpr std::string_view invocation = "invocation/";
    const bool is_get = request.method == "GET";
    const bool is_post = request.method == "POST";
    if (target == "invocation/next" && is_get) {
        rehearses_ = query == "?rehearse" && expects_restore_;
        HandleNext(connection);
    } else if (target == "restore/next" && is_get && expects_restore_) {
        HandleRestoreNext(connection);
    } else if (target == "restore/rehearsal" && is_get && expects_restore_) {
        SendRehearsal(connection);
    } else if (target == "restore/error" && is_post && expects_restore_) {
        restore_error_ = RuntimeAnswer{
            .is_error = true,
            .body = std::move(request.body),
            .error_type = std::move(request.error_type)};
        Reply(connection, 202, {});
        changed_.WakeAll();
    } else if (target == "init/error" && is_post) {
        HandleInitError(connection, request);
    } else if (target.starts_with(invocation) && is_post) {
        target.remove_prefix(invocation.size());
        const size_t slash = target.find('/');
        const std::string_view action =
            slash == std::string_view::npos ? std::string_view() : target.substr(slash + 1);
        if (action == "response" || action == "error") {
            HandleAnswer(connection, request, target.substr(0, slash), action == "error");
        } else {
            Reply(connection, 404, "404 page not found\n");
        }
    } else if (
        target == "invocation/next" || target == "init/error" || target.starts_with(invocation)) {
        Reply(connection, 405, "");
    } else {
        Reply(connection, 404, "404 page not found\n");
    }
}

bool RuntimeApi::BeginStreamed(const std::shared_ptr<Connection>& connection) {
    const RuntimeApiRequest& request = connection->parser.request();
    const std::string wanted = fmt::format("{}invocation/{}/response", kPrefix, request_id_);
    std::string_view target = request.target;
    target = target.substr(0, target.find('?'));
    if (state_ != State::kRunning || request.method != "POST" || target != wanted) {
        // Read as a whole, it gets the answer that any such request gets.
        return false;
    }
    state_ = State::kResponding;
    connection->answering = true;
    streamed_ =
        RuntimeAnswer{.streamed = stream_ != nullptr, .began_at = std::chrono::steady_clock::now()};
    if (stream_ != nullptr) {
        stream_->Begin(request.content_type, true);
    }
    return true;
}

void RuntimeApi::PassOn(const std::shared_ptr<Connection>& connection) {
    const std::string_view bytes = connection->parser.body();
    streamed_.produced_bytes += bytes.size();
    connection->flowed_bytes += bytes.size();
    const uint64_t limit = streamed_.streamed ? kStreamedBytesMax : kRuntimeApiBodyBytesMax;
    if (streamed_.produced_bytes > limit) {
        streamed_.too_large = true;
        streamed_.body = std::string();
    } else if (streamed_.streamed) {
        stream_->Append(bytes);
    } else {
        streamed_.body.append(bytes);
    }
    connection->parser.DropBody();
    if (streamed_.produced_bytes > limit + kRuntimeApiDropBytesMax) {
        // It does not want to hear that it is too much.
        connection->closing = true;
    }
}

void RuntimeApi::FinishStreamed(
    const std::shared_ptr<Connection>& connection, RuntimeApiRequest& request, bool truncated) {
    connection->answering = false;
    connection->last = connection->last || truncated;
    state_ = State::kResponseSent;
    RuntimeAnswer& answer = streamed_;
    answer.ended_at = std::chrono::steady_clock::now();
    if (answer.too_large) {
        Refuse(
            connection,
            413,
            "RequestEntityTooLarge",
            fmt::format(
                "Exceeded maximum allowed payload size ({} bytes).",
                answer.streamed ? kStreamedBytesMax : kRuntimeApiBodyBytesMax));
    } else if (truncated) {
        answer.truncated = true;
        Refuse(connection, 400, "TruncatedHTTPRequest", "HTTP request detected as truncated");
    } else {
        answer.error_type = std::move(request.error_type);
        answer.is_error = !answer.error_type.empty();
        if (answer.is_error || answer.streamed) {
            auto error = codec::Base64Decode(request.error_body);
            answer.body = error.ok() ? *std::move(error) : std::string();
        }
        Reply(connection, 202, {});
    }
    answer_ = std::move(answer);
    streamed_ = RuntimeAnswer();
    stream_.reset();
    changed_.WakeAll();
}

void RuntimeApi::ServeCredentials(std::string token, std::function<std::string()> make) {
    credentials_token_ = std::move(token);
    make_credentials_ = std::move(make);
}

void RuntimeApi::HandleCredentials(
    const std::shared_ptr<Connection>& connection, const RuntimeApiRequest& request) {
    if (request.method != "GET") {
        Reply(connection, 405, "");
    } else if (request.authorization != credentials_token_) {
        Refuse(connection, 404, "CredentialsNotFound", "There are no credentials for this token");
    } else {
        Reply(connection, 200, make_credentials_());
    }
}

void RuntimeApi::HandleRestoreNext(const std::shared_ptr<Connection>& connection) {
    if (state_ != State::kStarted) {
        RefuseTransition(connection, "RestoreReady");
        return;
    }
    state_ = State::kRestoring;
    connection->parked = true;
    restoring_ = connection;
    changed_.WakeAll();
}

void RuntimeApi::SendRehearsal(const std::shared_ptr<Connection>& connection) {
    constexpr std::string_view kTraceLike =
        "Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0";
    SendEvent(
        connection,
        RuntimeInvocation{
            .request_id = std::string(kRehearsal),
            .deadline_unix_ms = 0,
            .invoked_function_arn = {},
            .trace_header = std::string(kTraceLike),
            .client_context = {},
            .payload = R"({"rehearsal":[1,2.5,null,true,"text"]})",
            .stream = nullptr});
}

void RuntimeApi::HandleNext(const std::shared_ptr<Connection>& connection) {
    if (state_ == State::kRunning || state_ == State::kResponding || state_ == State::kInitError ||
        restoring_ != nullptr) {
        RefuseTransition(connection, "Ready");
        return;
    }
    state_ = State::kReady;
    connection->parked = true;
    parked_.push_back(connection);
    changed_.WakeAll();
}

void RuntimeApi::HandleInitError(
    const std::shared_ptr<Connection>& connection, RuntimeApiRequest& request) {
    if (state_ != State::kStarted) {
        RefuseTransition(connection, "InitError");
        return;
    }
    if (request.body_too_large) {
        Refuse(
            connection,
            413,
            "RequestEntityTooLarge",
            fmt::format(
                "Exceeded maximum allowed payload size ({} bytes).", kRuntimeApiBodyBytesMax));
        return;
    }
    state_ = State::kInitError;
    init_error_ = RuntimeAnswer{
        .is_error = true,
        .body = std::move(request.body),
        .error_type = std::move(request.error_type)};
    Reply(connection, 202, {});
    changed_.WakeAll();
}

void RuntimeApi::HandleAnswer(
    const std::shared_ptr<Connection>& connection,
    RuntimeApiRequest& request,
    std::string_view request_id,
    bool is_error) {
    if (expects_restore_ && request_id == kRehearsal) {
        Reply(connection, 202, {});
        return;
    }
    if (request_id_.empty() || request_id != request_id_) {
        Refuse(connection, 400, "InvalidRequestID", "Invalid request ID");
        return;
    }
    if (state_ != State::kRunning) {
        RefuseTransition(connection, is_error ? "InvocationErrorResponse" : "InvocationResponse");
        return;
    }
    state_ = State::kResponseSent;
    const auto now = std::chrono::steady_clock::now();
    answer_ = RuntimeAnswer{
        .is_error = is_error,
        .body = std::move(request.body),
        .error_type = std::move(request.error_type),
        .too_large = request.body_too_large,
        .invalid_mode =
            !is_error && !request.response_mode.empty() && request.response_mode != "streaming",
        .began_at = now,
        .ended_at = now};
    answer_->produced_bytes = answer_->body.size();
    if (!is_error && request.response_mode == "streaming" && stream_ != nullptr) {
        // It has no body, so that it never began to flow.
        stream_->Begin(std::move(request.content_type), true);
        stream_->Append(answer_->body);
        answer_->body = std::string();
        answer_->streamed = true;
    }
    if (!is_error && !answer_->error_type.empty()) {
        // A response in chunks says in a trailer that it broke off.
        answer_->is_error = true;
        auto error = codec::Base64Decode(request.error_body);
        answer_->body = error.ok() ? *std::move(error) : std::string();
    }
    stream_.reset();
    if (answer_->invalid_mode) {
        answer_->body = std::string();
        Refuse(connection, 400, "InvalidFunctionResponseMode", "Invalid function response mode");
    } else if (request.body_too_large) {
        Refuse(
            connection,
            413,
            "RequestEntityTooLarge",
            fmt::format(
                "Exceeded maximum allowed payload size ({} bytes).", kRuntimeApiBodyBytesMax));
    } else {
        Reply(connection, 202, {});
    }
    changed_.WakeAll();
}

void RuntimeApi::Offer(const RuntimeInvocation& invocation) {
    CHECK(ready(), "an invocation offered to a runtime that does not wait for one");
    const std::shared_ptr<Connection> connection = std::move(parked_.front());
    parked_.pop_front();
    connection->parked = false;
    request_id_ = invocation.request_id;
    answer_.reset();
    stream_ = invocation.stream;
    bandwidth_.reset();
    if (invocation.limit_bandwidth && stream_ != nullptr) {
        bandwidth_.emplace(std::chrono::steady_clock::now());
    }
    state_ = State::kRunning;
    SendEvent(connection, invocation);
}

void RuntimeApi::SendEvent(
    const std::shared_ptr<Connection>& connection, const RuntimeInvocation& invocation) {
    std::string head;
    head.reserve(512);
    head.append("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n");
    AppendHeader(head, "Lambda-Runtime-Aws-Request-Id: ", invocation.request_id);
    AppendHeader(head, "Lambda-Runtime-Deadline-Ms: ", fmt::to_string(invocation.deadline_unix_ms));
    AppendHeader(head, "Lambda-Runtime-Invoked-Function-Arn: ", invocation.invoked_function_arn);
    AppendHeader(head, "Lambda-Runtime-Trace-Id: ", invocation.trace_header);
    AppendHeader(head, "Lambda-Runtime-Client-Context: ", invocation.client_context);
    fmt::format_to(
        std::back_inserter(head), "Content-Length: {}\r\n\r\n", invocation.payload.size());
    Send(connection, head, invocation.payload);
}

std::optional<RuntimeAnswer> RuntimeApi::TakeAnswer() {
    return std::exchange(answer_, std::nullopt);
}

}  // namespace hearth::lambda
