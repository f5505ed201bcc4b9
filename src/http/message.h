#pragma once

#include "base/result.h"
#include "rt/task.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What a handler sees of a request and gives back. No Beast and no sockets here.
namespace hearth::http {

// One header line, its bytes as received; the value without the white space around it.
struct Field {
    std::string_view name;
    std::string_view value;
};

// ASCII letters alone.
bool EqualsIgnoringCase(std::string_view a, std::string_view b);
std::string LowerCase(std::string_view text);

// A request's body, read piece by piece. Chunks are taken apart already. On the connection's loop.
//
// "100 Continue" goes out with the first read, so a handler that refuses by the head alone never
// makes the client send its body.
class BodyReader {
  public:
    virtual ~BodyReader() = default;

    // As stated in Content-Length; 0 without a body; nullopt for chunked ones.
    virtual std::optional<uint64_t> Length() const = 0;

    // Up to into.size() bytes (not 0) into `into`; 0 at the body's end.
    //   errors  the ones of http/errors.h: ConnectionLost, BodyTooSlow, BodyMalformed
    virtual Task<Result<size_t>> Read(std::span<char> into) = 0;

    // Everything that is left.
    //   errors  also BodyTooLarge, before anything is read where the length is stated
    virtual Task<Result<std::string>> ReadAll(uint64_t bytes_max);
};

// A body that is there already: for tests and for calls that never were HTTP.
class TextBody final : public BodyReader {
  public:
    explicit TextBody(std::string text) : text_(std::move(text)) {}

    std::optional<uint64_t> Length() const override { return text_.size(); }

    Task<Result<size_t>> Read(std::span<char> into) override;

  private:
    std::string text_;
    size_t read_ = 0;
};

// Calls back when the client goes away; destroying the object silences it.
class PeerWatch {
  public:
    virtual ~PeerWatch() = default;
};

// What a handler may ask of the connection its request came on.
class Connection {
  public:
    virtual ~Connection() = default;

    // Calls `gone` once, on this loop, when the client closes its side (a client that only shuts
    // down its sending side counts as gone). For answers that may take hours. At most one at a
    // time, when the request's body has been read, and not beyond the handler's end.
    virtual std::unique_ptr<PeerWatch> WatchPeer(std::function<void()> gone) = 0;

    // "192.0.2.1" or "2001:db8::1"; empty for sockets without addresses.
    virtual const std::string& peer_address() const = 0;
    // The call came over TLS.
    virtual bool secure() const = 0;
};

// Views point into the connection's buffer; they live until the handler's task has ended.
struct Request {
    std::string_view method;
    // As received: path and query, not decoded.
    std::string_view target;
    // 1 for HTTP/1.1, 0 for HTTP/1.0.
    int minor_version = 1;
    // In the order received.
    std::vector<Field> fields;
    BodyReader* body = nullptr;
    // Null for calls that never were HTTP.
    Connection* connection = nullptr;

    // The first field of that name, upper and lower case alike.
    std::optional<std::string_view> Find(std::string_view name) const;
};

// Takes an answer's body piece by piece.
class BodyWriter {
  public:
    virtual ~BodyWriter() = default;
    // Returns when the connection has taken the bytes. Fails when the client is gone. Without bytes
    // it sends the head, for an answer whose first bytes may take long.
    virtual Task<Status> Write(std::string_view bytes) = 0;
};

struct Response {
    int status = 200;
    // Content-Length, Transfer-Encoding, Connection and Date are the server's.
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;

    // Instead of `body`: called after the head is decided; what it writes goes out at once, in
    // chunks (or as stated in stream_bytes). An error it returns ends the connection in the middle,
    // so that the client sees a torn answer. It lives until its task has ended, so it may capture.
    std::function<Task<Status>(BodyWriter&)> stream;
    std::optional<uint64_t> stream_bytes;

    // Close the connection afterwards.
    bool close = false;
};

// The text that goes with a status: "Not Found"; "Unknown" for numbers nobody registered.
std::string_view ReasonPhrase(int status);

}  // namespace hearth::http
