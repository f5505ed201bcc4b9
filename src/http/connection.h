#pragma once

#include "base/result.h"
#include "http/chunked.h"
#include "http/deadline_queue.h"
#include "http/head_parser.h"
#include "http/message.h"
#include "http/server.h"
#include "http/transport.h"
#include "rt/task.h"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace hearth::http {

// What the connections of one server on one loop have in common.
struct ConnectionScope {
    const ServerOptions& options;
    Handler& handler;
    DeadlineQueue& deadlines;
    // The server stops: answers close their connections.
    const bool& stopping;
};

// One client's connection: reads heads under their limits, calls the handler, writes answers.
//
// Input is one buffer: the head of the current request stays in place, as views point into it, and
// bytes behind it are its body's beginning or the next request. Bodies of stated length are then
// read straight into the reader's memory; chunked ones go through a second buffer.
class ServerConnection final : public Connection, private BodyReader, private DeadlineQueue::Entry {
  public:
    ServerConnection(
        ConnectionScope scope, boost::asio::io_context& context, os::Fd socket, int family);
    ~ServerConnection() override;

    // Serves requests until the connection ends.
    Task<void> Serve();

    // Ends it when no request is in flight; else its answer will.
    void BeginStop();
    // Reads and writes fail from now on.
    void Break();

    std::unique_ptr<PeerWatch> WatchPeer(std::function<void()> gone) override;

    const std::string& peer_address() const override { return peer_address_; }

    bool secure() const override { return transport_.secure(); }

  private:
    class Watch;
    class StreamWriter;

    enum class HeadOutcome { kRead, kEnd, kRefused };

    // Input.
    Task<HeadOutcome> ReadHead();
    // False: the buffer has its largest size.
    bool MakeRoom();
    void BeginBody();
    std::optional<uint64_t> Length() const override;
    Task<Result<size_t>> Read(std::span<char> into) override;
    Task<Result<size_t>> ReadPlain(std::span<char> into);
    Task<Result<size_t>> ReadChunked(std::span<char> into);
    Task<Result<size_t>> ReadFromClient(std::span<char> into);
    // `waited` for the client is out of proportion to the `bytes` that moved meanwhile.
    bool IsTooSlow(DeadlineQueue::Clock::duration waited, uint64_t bytes) const;
    bool BodyIsRead() const;
    // True: the body is read or was small enough to skip, and the next request can follow.
    Task<bool> SkipBody();
    // The next request starts behind this one.
    void EndRequest();

    // Output.
    Task<Response> CallHandler(Request& request);
    Task<bool> Answer(const Request& request, Response& response, bool keep_alive);
    Task<bool> AnswerStream(const Request& request, Response& response, bool keep_alive);
    // Both pieces, whole. False: the client is gone.
    Task<bool> Write(std::string_view first, std::string_view second);
    void RefuseNow(const HeadError& error);
    // Lets the client read the answer before the connection goes: a close with unread input would
    // send a reset that overtakes it.
    Task<void> Linger();

    void Expired(DeadlineQueue::Kind kind) override;

    std::span<char> Unused() { return {buffer_.get() + received_, buffer_bytes_ - received_}; }

    ConnectionScope scope_;
    std::string peer_address_;
    Transport transport_;

    std::unique_ptr<char[]> buffer_;
    size_t buffer_bytes_ = 0;
    // The current request starts at `start_`; its head ends and its body's first bytes begin at
    // `body_at_`; bytes were received up to `received_`.
    size_t start_ = 0;
    size_t body_at_ = 0;
    size_t received_ = 0;
    HeadScanner scanner_;
    Head head_;

    // The current body.
    uint64_t body_bytes_left_ = 0;
    std::optional<ChunkedDecoder> chunks_;
    std::string chunk_buffer_;
    size_t chunk_at_ = 0;
    uint64_t body_bytes_received_ = 0;
    DeadlineQueue::Clock::duration body_waited_{};
    bool body_failed_ = false;
    bool owes_continue_ = false;

    std::string output_;
    bool waiting_for_request_ = false;
    bool reading_body_ = false;
    bool timed_out_ = false;
    bool lost_ = false;
    int requests_without_wait_ = 0;
};

}  // namespace hearth::http
