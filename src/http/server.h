#pragma once

#include "base/result.h"
#include "http/message.h"
#include "os/fd.h"
#include "rt/loops.h"
#include "rt/task.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

// HTTP/1.1 on one listening socket.
//
// A connection lives on one loop; so do its requests, one after the other (pipelined ones wait
// their turn). A malformed head is answered with 400 (too long: 431) and the connection closed,
// before any handler sees it. Bodies are read by the handler, or not at all.
namespace hearth::http {

class TlsContext;

class Handler {
  public:
    virtual ~Handler() = default;
    // Called for each request on its connection's loop, for many at a time. `request` lives until
    // the task has ended. An exception is answered with 500 and closes the connection.
    virtual Task<Response> Handle(Request& request) = 0;

    // The answer to what is no request: a malformed head, or one beyond a limit. The connection
    // closes after it. Plain text unless a handler knows better.
    virtual Response Refuse(int status, std::string_view reason);
};

struct ServerOptions {
    size_t head_bytes_max = 32 * 1024;
    size_t header_count_max = 128;
    // From a request's first byte to the end of its head.
    std::chrono::milliseconds head_timeout{20'000};
    // Without any progress, while a body is read or an answer is written; and on the whole, until
    // so much has moved that a client that only wants to stay has given up (connection.cc,
    // kBytesPerTimeout).
    std::chrono::milliseconds body_timeout{60'000};
    // Between requests. Longer than the 60 s after which common clients drop a pooled connection.
    std::chrono::milliseconds keep_alive_timeout{75'000};
    // More are answered with 503 at once.
    int connections_max = 10'000;
    // All connections stay on this loop; without it they are spread evenly over all.
    std::optional<int> loop;
    // Speak TLS with clients that start it, on the same port. Plain calls are then taken from
    // loopback addresses alone. Null: plain from everywhere.
    std::shared_ptr<TlsContext> tls;
};

class Server final {
  public:
    // `socket` listens already (TCP or UNIX) and becomes the server's; it is made non-blocking. The
    // handler must outlive the server.
    Server(rt::Loops& loops, os::Fd socket, Handler& handler, ServerOptions options);
    // Stop must have ended.
    ~Server();

    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Starts to accept. From any thread or loop.
    void Start();

    // Accepts no more, closes idle connections, lets requests in flight end (each answer then
    // closes its connection), and after `grace` breaks the connections that are left. Handlers end
    // by themselves: whoever makes them wait wakes them first. From any loop, once.
    Task<void> Stop(std::chrono::milliseconds grace);

    // Open now; from any thread.
    int connections() const;

  private:
    class Impl;

    std::shared_ptr<Impl> impl_;
};

}  // namespace hearth::http
