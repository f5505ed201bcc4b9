#pragma once

#include "base/result.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// An HTTP/1.1 client for the command line and tests: plain blocking sockets, one thread, no Asio.
namespace hearth::http {

struct ClientRequest {
    std::string method = "GET";
    // Path and query, encoded already.
    std::string target = "/";
    // Host, Content-Length and Connection are the client's own unless given.
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
};

struct ClientResponse {
    int status = 0;
    // Names in lower case.
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;

    const std::string* Find(std::string_view lower_case_name) const;
};

class BlockingClient final {
  public:
    struct Options {
        // "127.0.0.1", "::1", a host name, or "unix:/path".
        std::string host = "127.0.0.1";
        uint16_t port = 4566;
        std::chrono::milliseconds connect_timeout{5'000};
        // Without any byte from the server; 0 waits for ever.
        std::chrono::milliseconds read_timeout{60'000};
        uint64_t body_bytes_max = 512ull << 20;
        // Speak TLS, trusting what this PEM file holds (the system's store when empty).
        bool tls = false;
        std::string ca_file;
    };

    explicit BlockingClient(Options options);
    ~BlockingClient();

    BlockingClient(const BlockingClient&) = delete;
    BlockingClient& operator=(const BlockingClient&) = delete;

    // Sends and reads the whole answer. The connection is kept for the next call; one that the
    // server had closed meanwhile is made anew, once. Any status is a value.
    Result<ClientResponse> Call(const ClientRequest& request);

    // As Call; the body of a 2xx answer goes to `piece` as it comes, instead of into the response.
    // A false from `piece` ends the call and the connection.
    Result<ClientResponse> CallStreaming(
        const ClientRequest& request, const std::function<bool(std::string_view)>& piece);

  private:
    class Impl;

    std::unique_ptr<Impl> impl_;
};

}  // namespace hearth::http
