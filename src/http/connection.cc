#include "http/connection.h"

#include "base/check.h"
#include "base/log.h"
#include "http/errors.h"
#include "http/response_head.h"
#include "rt/loops.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

namespace hearth::http {

namespace {

constexpr size_t kBufferBytesFirst = 8 * 1024;
// Chunked bodies are read in pieces of this size.
constexpr size_t kChunkBufferBytes = 32 * 1024;
// An answer's body up to this size is copied behind its head and goes out in one piece.
constexpr size_t kJoinedBodyBytesMax = 32 * 1024;
// Output memory above this is not kept for the next answer.
constexpr size_t kOutputBytesKept = 64 * 1024;
// What a handler left unread up to this size is read and thrown away, to keep the connection.
constexpr uint64_t kSkippedBodyBytesMax = 64 * 1024;
// A body may take one body_timeout, and one more for each of these bytes that has come; else a
// client could keep its place for days with a byte now and then. The same holds for reading an
// answer.
constexpr uint64_t kBytesPerTimeout = 64 * 1024;
constexpr uint64_t kLingerBytesMax = 1024 * 1024;
// Pipelined requests served before others on this loop get a turn.
constexpr int kRequestsWithoutWaitMax = 16;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

bool IsForeign(char first) {
    return static_cast<unsigned char>(first) < ' ' && first != '\r' && first != '\n';
}

bool HasNoBody(int status) {
    return status == 204 || status == 304 || status / 100 == 1;
}

bool IsLoopback(const std::string& address) {
    // Without an address it is a UNIX socket.
    return address.empty() || address == "::1" || address.starts_with("127.") ||
           address.starts_with("::ffff:127.");
}

iovec Piece(std::string_view bytes) {
    return {const_cast<char*>(bytes.data()), bytes.size()};
}

}  // namespace

ServerConnection::ServerConnection(
    ConnectionScope scope, boost::asio::io_context& context, os::Fd socket, int family)
    : scope_(scope),
      // In the order of the members: the address is read while the socket is still here.
      peer_address_(PeerAddress(socket.get())),
      transport_(context, std::move(socket), family) {
    scope_.deadlines.Add(*this);
}

ServerConnection::~ServerConnection() {
    scope_.deadlines.Remove(*this);
}

Task<void> ServerConnection::Serve() {
    if (scope_.options.tls != nullptr) {
        scope_.deadlines.Arm(*this, DeadlineQueue::kHead);
        waiting_for_request_ = true;
        const bool usable = co_await transport_.StartTlsIfAsked(*scope_.options.tls);
        waiting_for_request_ = false;
        if (!usable) {
            co_return;
        }
        if (!transport_.secure() && !IsLoopback(peer_address_)) {
            RefuseNow({400, "this port speaks TLS: use https"});
            co_await Linger();
            co_return;
        }
    }
    buffer_bytes_ = std::min(kBufferBytesFirst, scope_.options.head_bytes_max);
    buffer_ = std::make_unique_for_overwrite<char[]>(buffer_bytes_);
    while (true) {
        const HeadOutcome outcome = co_await ReadHead();
        if (outcome == HeadOutcome::kEnd) {
            co_return;
        }
        if (outcome == HeadOutcome::kRefused) {
            break;
        }
        BeginBody();
        // Where no body will be read the answer alone would do; but some clients (botocore) then
        // take it for the next one's, and wait for ever.
        if (owes_continue_ && BodyIsRead() && std::exchange(owes_continue_, false) &&
            !co_await Write(kContinue, {})) {
            co_return;
        }
        Request request;
        request.method = head_.method;
        request.target = head_.target;
        request.minor_version = head_.minor_version;
        request.fields = std::move(head_.fields);
        request.body = this;
        request.connection = this;
        Response response = co_await CallHandler(request);
        // Whether the body can be skipped decides what the answer says about the connection.
        bool keep_alive = head_.keep_alive && !response.close && !scope_.stopping;
        keep_alive = keep_alive && (BodyIsRead() || co_await SkipBody()) && !scope_.stopping;
        const bool answered = response.stream ? co_await AnswerStream(request, response, keep_alive)
                                              : co_await Answer(request, response, keep_alive);
        head_.fields = std::move(request.fields);
        if (!answered) {
            co_return;
        }
        if (!keep_alive) {
            if (BodyIsRead() && body_at_ == received_) {
                // Nothing unread is left that would turn the close into a reset.
                co_return;
            }
            break;
        }
        EndRequest();
        if (received_ > start_ && ++requests_without_wait_ >= kRequestsWithoutWaitMax) {
            requests_without_wait_ = 0;
            co_await rt::Yield();
        }
    }
    co_await Linger();
}

Task<Response> ServerConnection::CallHandler(Request& request) {
    try {
        co_return co_await scope_.handler.Handle(request);
    } catch (const std::exception& exception) {
        log::Error("a request's handler threw: {}", exception.what());
    }
    Response failed = scope_.handler.Refuse(500, "internal failure");
    failed.close = true;
    co_return failed;
}

Task<ServerConnection::HeadOutcome> ServerConnection::ReadHead() {
    scanner_.Reset();
    if (received_ == start_) {
        scope_.deadlines.Arm(*this, DeadlineQueue::kKeepAlive);
    } else {
        scope_.deadlines.Arm(*this, DeadlineQueue::kHead);
    }
    bool started = received_ > start_;
    while (true) {
        // Empty lines before a request are allowed; some old clients end a body with one.
        while (scanner_.head_bytes() == 0 && received_ - start_ >= 2 && buffer_[start_] == '\r' &&
               buffer_[start_ + 1] == '\n') {
            start_ += 2;
        }
        const std::string_view bytes(buffer_.get() + start_, received_ - start_);
        const auto outcome =
            bytes.starts_with("\r\n") ? HeadScanner::Outcome::kIncomplete : scanner_.Scan(bytes);
        const size_t limit = scope_.options.head_bytes_max;
        if (outcome == HeadScanner::Outcome::kMalformed ||
            // What starts with a control character speaks another protocol, and may say no more.
            (!bytes.empty() && IsForeign(bytes[0]))) {
            RefuseNow({400, "malformed request"});
            co_return HeadOutcome::kRefused;
        }
        if (outcome == HeadScanner::Outcome::kComplete && scanner_.head_bytes() <= limit) {
            break;
        }
        if (outcome == HeadScanner::Outcome::kComplete || bytes.size() >= limit || !MakeRoom()) {
            RefuseNow({431, "request head too large"});
            co_return HeadOutcome::kRefused;
        }
        waiting_for_request_ = !started;
        requests_without_wait_ = 0;
        const auto [error, count] = co_await transport_.ReadNext(Unused());
        waiting_for_request_ = false;
        if (error || count == 0) {
            co_return HeadOutcome::kEnd;
        }
        received_ += count;
        if (!started) {
            started = true;
            scope_.deadlines.Arm(*this, DeadlineQueue::kHead);
        }
    }
    scope_.deadlines.Disarm(*this);
    const std::string_view bytes(buffer_.get() + start_, scanner_.head_bytes());
    if (const auto error = ParseHead(bytes, scope_.options.header_count_max, head_)) {
        RefuseNow(*error);
        co_return HeadOutcome::kRefused;
    }
    body_at_ = start_ + scanner_.head_bytes();
    co_return HeadOutcome::kRead;
}

bool ServerConnection::MakeRoom() {
    if (received_ < buffer_bytes_) {
        return true;
    }
    const size_t used = received_ - start_;
    if (start_ > 0) {
        std::memmove(buffer_.get(), buffer_.get() + start_, used);
    } else {
        const size_t more = std::min(buffer_bytes_ * 2, scope_.options.head_bytes_max + 1);
        if (more <= buffer_bytes_) {
            return false;
        }
        auto grown = std::make_unique_for_overwrite<char[]>(more);
        std::memcpy(grown.get(), buffer_.get(), used);
        buffer_ = std::move(grown);
        buffer_bytes_ = more;
    }
    start_ = 0;
    received_ = used;
    return true;
}

void ServerConnection::BeginBody() {
    chunks_.reset();
    body_failed_ = false;
    body_bytes_received_ = 0;
    body_waited_ = {};
    owes_continue_ = head_.expects_continue;
    if (head_.content_length.has_value()) {
        body_bytes_left_ = *head_.content_length;
        return;
    }
    chunks_.emplace();
    chunk_buffer_.assign(buffer_.get() + body_at_, received_ - body_at_);
    chunk_at_ = 0;
    received_ = body_at_;
}

std::optional<uint64_t> ServerConnection::Length() const {
    return head_.content_length;
}

bool ServerConnection::BodyIsRead() const {
    return chunks_.has_value() ? chunks_->done() : body_bytes_left_ == 0;
}

Task<Result<size_t>> ServerConnection::Read(std::span<char> into) {
    CHECK_REQUEST(!into.empty());
    return chunks_.has_value() ? ReadChunked(into) : ReadPlain(into);
}

Task<Result<size_t>> ServerConnection::ReadPlain(std::span<char> into) {
    size_t count = std::min<uint64_t>(into.size(), body_bytes_left_);
    if (count == 0) {
        co_return size_t{0};
    }
    if (body_at_ < received_) {
        count = std::min(count, received_ - body_at_);
        std::memcpy(into.data(), buffer_.get() + body_at_, count);
        body_at_ += count;
    } else {
        HEARTH_CO_TRY(count, co_await ReadFromClient(into.first(count)));
    }
    body_bytes_left_ -= count;
    co_return count;
}

Task<Result<size_t>> ServerConnection::ReadChunked(std::span<char> into) {
    while (true) {
        const auto step = chunks_->Decode(std::string_view(chunk_buffer_).substr(chunk_at_), into);
        chunk_at_ += step.consumed;
        if (chunks_->failed()) {
            body_failed_ = true;
            co_return errors::BodyMalformed(chunks_->error());
        }
        if (step.produced > 0 || chunks_->done()) {
            co_return step.produced;
        }
        chunk_buffer_.resize(kChunkBufferBytes);
        chunk_at_ = 0;
        auto count = co_await ReadFromClient(chunk_buffer_);
        chunk_buffer_.resize(count.ok() ? *count : 0);
        if (!count.ok()) {
            co_return std::move(count).error();
        }
    }
}

Task<Result<size_t>> ServerConnection::ReadFromClient(std::span<char> into) {
    if (body_failed_) {
        co_return errors::ConnectionLost();
    }
    if (std::exchange(owes_continue_, false) && !co_await Write(kContinue, {})) {
        body_failed_ = true;
        co_return errors::ConnectionLost();
    }
    scope_.deadlines.Arm(*this, DeadlineQueue::kBody);
    reading_body_ = true;
    const auto began = DeadlineQueue::Clock::now();
    const auto [error, count] = co_await transport_.ReadSome(into);
    reading_body_ = false;
    scope_.deadlines.Disarm(*this);
    body_bytes_received_ += count;
    body_waited_ += DeadlineQueue::Clock::now() - began;
    timed_out_ = timed_out_ || IsTooSlow(body_waited_, body_bytes_received_);
    if (error || count == 0 || timed_out_) {
        body_failed_ = true;
        co_return timed_out_ ? errors::BodyTooSlow() : errors::ConnectionLost();
    }
    co_return count;
}

bool ServerConnection::IsTooSlow(DeadlineQueue::Clock::duration waited, uint64_t bytes) const {
    return waited > scope_.options.body_timeout * (1 + bytes / kBytesPerTimeout);
}

Task<bool> ServerConnection::SkipBody() {
    // A client that waits for "100 Continue" may send the body or not; only a new connection is
    // clear.
    if (body_failed_ || owes_continue_ ||
        (!chunks_.has_value() && body_bytes_left_ > kSkippedBodyBytesMax)) {
        co_return false;
    }
    std::array<char, 4096> thrown_away;
    uint64_t skipped = 0;
    while (!BodyIsRead()) {
        const auto count = co_await Read(thrown_away);
        if (!count.ok()) {
            co_return false;
        }
        skipped += *count;
        if (skipped > kSkippedBodyBytesMax) {
            co_return false;
        }
    }
    co_return true;
}

void ServerConnection::EndRequest() {
    start_ = body_at_;
    if (chunks_.has_value()) {
        // What was read behind the last chunk is the next request's beginning; it fits, as it is
        // moved to the front and is at most one read of the chunk buffer.
        const std::string_view rest = std::string_view(chunk_buffer_).substr(chunk_at_);
        if (rest.size() > buffer_bytes_) {
            buffer_bytes_ = rest.size();
            buffer_ = std::make_unique_for_overwrite<char[]>(buffer_bytes_);
        }
        std::memcpy(buffer_.get(), rest.data(), rest.size());
        start_ = 0;
        received_ = rest.size();
        chunks_.reset();
        chunk_buffer_ = std::string();
        return;
    }
    if (start_ == received_) {
        start_ = received_ = 0;
        if (buffer_bytes_ > kBufferBytesFirst) {
            // A large head was an exception; an idle connection stays small.
            buffer_bytes_ = kBufferBytesFirst;
            buffer_ = std::make_unique_for_overwrite<char[]>(buffer_bytes_);
        }
    }
}

Task<bool> ServerConnection::Answer(const Request& request, Response& response, bool keep_alive) {
    HeadFraming framing;
    const bool bodiless = HasNoBody(response.status);
    const bool head_only = request.method == "HEAD";
    if (!bodiless) {
        framing.content_length = response.stream_bytes.value_or(response.body.size());
    }
    framing.close = !keep_alive;
    framing.say_keep_alive = keep_alive && request.minor_version == 0;
    output_.clear();
    if (!AppendResponseHead(response, framing, output_)) {
        log::Error("an answer's headers would break its frame; answered with 500");
        Response failed;
        failed.status = 500;
        framing.content_length = 0;
        AppendResponseHead(failed, framing, output_);
        response.body.clear();
    }
    std::string_view body = bodiless || head_only ? std::string_view() : response.body;
    if (body.size() <= kJoinedBodyBytesMax) {
        output_ += body;
        body = {};
    }
    const std::array<iovec, 2> pieces{Piece(output_), Piece(body)};
    const size_t all = output_.size() + body.size();
    const ssize_t sent = transport_.TryWrite(std::span(pieces).first(body.empty() ? 1 : 2));
    if (sent < 0) {
        co_return false;
    }
    const auto count = static_cast<size_t>(sent);
    if (count < all) {
        const std::string_view first =
            std::string_view(output_).substr(std::min(count, output_.size()));
        const std::string_view second =
            body.substr(count > output_.size() ? count - output_.size() : 0);
        if (!co_await Write(first, second)) {
            co_return false;
        }
    }
    if (output_.capacity() > kOutputBytesKept) {
        output_ = std::string();
    }
    co_return true;
}

// Frames what the handler writes; the head goes out with the first bytes.
class ServerConnection::StreamWriter final : public BodyWriter {
  public:
    StreamWriter(ServerConnection& connection, bool chunked, std::optional<uint64_t> bytes)
        : connection_(connection), chunked_(chunked), bytes_left_(bytes) {}

    Task<Status> Write(std::string_view bytes) override {
        if (bytes.empty()) {
            co_return co_await Flush();
        }
        if (bytes_left_.has_value()) {
            CHECK_REQUEST(bytes.size() <= *bytes_left_, "a streamed body is longer than stated");
            *bytes_left_ -= bytes.size();
        }
        std::string& output = connection_.output_;
        if (chunked_) {
            std::array<char, 16> digits;
            const auto end =
                std::to_chars(digits.data(), digits.data() + digits.size(), bytes.size(), 16).ptr;
            output.append(digits.data(), end);
            output += "\r\n";
        }
        bool written = false;
        if (bytes.size() <= kJoinedBodyBytesMax) {
            output += bytes;
            output += chunked_ ? "\r\n" : "";
            written = co_await connection_.Write(output, {});
        } else {
            written = co_await connection_.Write(output, bytes);
            if (written && chunked_) {
                written = co_await connection_.Write("\r\n", {});
            }
        }
        output.clear();
        if (!written) {
            co_return errors::ConnectionLost();
        }
        co_return Status();
    }

    bool complete() const { return bytes_left_.value_or(0) == 0; }

  private:
    // Sends the head that waits for the first bytes.
    Task<Status> Flush() {
        std::string& output = connection_.output_;
        const bool written = output.empty() || co_await connection_.Write(output, {});
        output.clear();
        if (!written) {
            co_return errors::ConnectionLost();
        }
        co_return Status();
    }

    ServerConnection& connection_;
    bool chunked_;
    std::optional<uint64_t> bytes_left_;
};

Task<bool> ServerConnection::AnswerStream(
    const Request& request, Response& response, bool keep_alive) {
    if (request.method == "HEAD" || HasNoBody(response.status)) {
        response.stream = nullptr;
        co_return co_await Answer(request, response, keep_alive);
    }
    HeadFraming framing;
    framing.content_length = response.stream_bytes;
    framing.chunked = !response.stream_bytes.has_value() && request.minor_version == 1;
    // Without either, the end of the connection is the end of the body.
    const bool until_close = !framing.chunked && !framing.content_length.has_value();
    framing.close = !keep_alive || until_close;
    output_.clear();
    if (!AppendResponseHead(response, framing, output_)) {
        log::Error("an answer's headers would break its frame; the connection was closed");
        co_return false;
    }
    StreamWriter writer(*this, framing.chunked, response.stream_bytes);
    try {
        const Status status = co_await response.stream(writer);
        if (!status.ok() || !writer.complete()) {
            co_return false;
        }
    } catch (const std::exception& exception) {
        log::Error("a streaming handler threw: {}", exception.what());
        co_return false;
    }
    if (framing.chunked) {
        output_ += "0\r\n\r\n";
    }
    const bool written = output_.empty() || co_await Write(output_, {});
    output_.clear();
    if (until_close && written) {
        co_await Linger();
        co_return false;
    }
    co_return written;
}

Task<bool> ServerConnection::Write(std::string_view first, std::string_view second) {
    uint64_t sent_bytes = 0;
    DeadlineQueue::Clock::duration waited{};
    while (true) {
        const std::array<iovec, 2> pieces{Piece(first), Piece(second)};
        const ssize_t sent = transport_.TryWrite(std::span(pieces).first(second.empty() ? 1 : 2));
        if (sent < 0) {
            co_return false;
        }
        const auto count = static_cast<size_t>(sent);
        const size_t of_first = std::min(count, first.size());
        first.remove_prefix(of_first);
        second.remove_prefix(count - of_first);
        if (first.empty() && second.empty()) {
            co_return true;
        }
        sent_bytes += count;
        scope_.deadlines.Arm(*this, DeadlineQueue::kBody);
        const auto began = DeadlineQueue::Clock::now();
        co_await transport_.WaitWritable();
        scope_.deadlines.Disarm(*this);
        waited += DeadlineQueue::Clock::now() - began;
        if (lost_ || IsTooSlow(waited, sent_bytes)) {
            co_return false;
        }
    }
}

void ServerConnection::RefuseNow(const HeadError& error) {
    const Response response = scope_.handler.Refuse(error.status, error.reason);
    HeadFraming framing;
    framing.content_length = response.body.size();
    framing.close = true;
    output_.clear();
    AppendResponseHead(response, framing, output_);
    output_ += response.body;
    // A client that sent nonsense gets this answer if it fits, and no wait.
    const std::array<iovec, 1> pieces{Piece(output_)};
    (void)transport_.TryWrite(pieces);
}

Task<void> ServerConnection::Linger() {
    transport_.CloseSending();
    scope_.deadlines.Arm(*this, DeadlineQueue::kLinger);
    std::array<char, 4096> thrown_away;
    uint64_t bytes = 0;
    while (bytes < kLingerBytesMax) {
        const auto [error, count] = co_await transport_.ReadSome(thrown_away);
        if (error || count == 0) {
            break;
        }
        bytes += count;
    }
    scope_.deadlines.Disarm(*this);
}

void ServerConnection::BeginStop() {
    if (waiting_for_request_) {
        transport_.CloseReceiving();
    }
}

void ServerConnection::Break() {
    lost_ = true;
    transport_.Break();
}

void ServerConnection::Expired(DeadlineQueue::Kind) {
    if (reading_body_) {
        // The reading alone ends, so that the handler's answer still goes out.
        timed_out_ = true;
        transport_.CloseReceiving();
        return;
    }
    Break();
}

class ServerConnection::Watch final : public PeerWatch {
  public:
    Watch(Transport& transport, std::shared_ptr<std::function<void()>> gone)
        : transport_(transport), gone_(std::move(gone)) {}

    ~Watch() override {
        *gone_ = nullptr;
        transport_.CancelWatch();
    }

  private:
    Transport& transport_;
    std::shared_ptr<std::function<void()>> gone_;
};

std::unique_ptr<PeerWatch> ServerConnection::WatchPeer(std::function<void()> gone) {
    auto shared = std::make_shared<std::function<void()>>(std::move(gone));
    auto watch = std::make_unique<Watch>(transport_, shared);
    transport_.WatchClose(std::move(shared));
    return watch;
}

}  // namespace hearth::http
