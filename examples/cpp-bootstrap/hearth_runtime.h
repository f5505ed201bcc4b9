// A Lambda runtime in one header: talks the Runtime API (2018-06-01) over one connection and calls
// a function for each event. Works on AWS as well; needs the C++20 standard library and POSIX
// sockets.
//
//   int main() { return hearth_runtime::Run([](const std::string& event) { return event; }); }
//
// What the handler throws (std::exception) is answered as the function's error; a Failure chooses
// its type. Source: AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes".
#ifndef HEARTH_RUNTIME_H
#define HEARTH_RUNTIME_H

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace hearth_runtime {

using Handler = std::function<std::string(const std::string& event)>;

// An error with a type that the function's caller sees.
class Failure final : public std::runtime_error {
  public:
    Failure(std::string type, const std::string& message)
        : std::runtime_error(message), type_(std::move(type)) {}

    const std::string& type() const { return type_; }

  private:
    std::string type_;
};

// A keep-alive HTTP/1.1 connection to the Runtime API.
class Connection final {
  public:
    explicit Connection(const std::string& host_and_port) {
        const size_t colon = host_and_port.rfind(':');
        host_ = host_and_port;
        addrinfo hints{};
        hints.ai_socktype = SOCK_STREAM;
        addrinfo* found = nullptr;
        const std::string host = host_and_port.substr(0, colon);
        const std::string port =
            colon == std::string::npos ? "80" : host_and_port.substr(colon + 1);
        if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0 || found == nullptr) {
            throw std::runtime_error("cannot resolve " + host_and_port);
        }
        fd_ = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const bool connected = fd_ >= 0 && connect(fd_, found->ai_addr, found->ai_addrlen) == 0;
        freeaddrinfo(found);
        if (!connected) {
            throw std::runtime_error("cannot connect to " + host_and_port);
        }
        const int on = 1;
        setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }

    ~Connection() { close(fd_); }

    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Sends a request; returns the body of the answer. `head` keeps the answer's head.
    std::string Exchange(
        std::string_view method,
        const std::string& path,
        std::string_view extra_headers,
        std::string_view body) {
        std::string request;
        request.reserve(256 + body.size());
        request.append(method).append(" ").append(path).append(" HTTP/1.1\r\nHost: ");
        request.append(host_).append("\r\n").append(extra_headers);
        if (method != "GET") {
            request.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
        }
        request.append("\r\n").append(body);
        Send(request);
        return Receive();
    }

    // The value of a header of the last answer; empty when it has none.
    std::string Header(std::string_view name) const {
        for (size_t at = head_.find("\r\n"); at != std::string::npos;
             at = head_.find("\r\n", at + 2)) {
            const char* line = head_.c_str() + at + 2;
            if (strncasecmp(line, name.data(), name.size()) == 0 && line[name.size()] == ':') {
                const size_t begin = head_.find_first_not_of(' ', at + 2 + name.size() + 1);
                return head_.substr(begin, head_.find("\r\n", begin) - begin);
            }
        }
        return {};
    }

    // The halves of Exchange, for a request whose body flows (hearth_streaming.h).
    void Send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n <= 0) {
                throw std::runtime_error("the Runtime API hung up");
            }
            bytes.remove_prefix(static_cast<size_t>(n));
        }
    }

    std::string Receive() {
        size_t end = 0;
        while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
            Fill();
        }
        head_ = buffer_.substr(0, end + 2);
        buffer_.erase(0, end + 4);
        if (strcasecmp(Header("Transfer-Encoding").c_str(), "chunked") == 0) {
            return ReceiveChunks();
        }
        const size_t size = std::strtoull(Header("Content-Length").c_str(), nullptr, 10);
        return Take(size);
    }

  private:
    void Fill() {
        char chunk[65536];
        const ssize_t n = recv(fd_, chunk, sizeof chunk, 0);
        if (n <= 0) {
            throw std::runtime_error("the Runtime API hung up");
        }
        buffer_.append(chunk, static_cast<size_t>(n));
    }

    std::string Take(size_t size) {
        while (buffer_.size() < size) {
            Fill();
        }
        std::string taken = buffer_.substr(0, size);
        buffer_.erase(0, size);
        return taken;
    }

    std::string ReceiveChunks() {
        std::string body;
        for (;;) {
            size_t end = 0;
            while ((end = buffer_.find("\r\n")) == std::string::npos) {
                Fill();
            }
            const size_t size = std::strtoull(buffer_.c_str(), nullptr, 16);
            buffer_.erase(0, end + 2);
            body += Take(size);
            Take(2);
            if (size == 0) {
                return body;
            }
        }
    }

    int fd_ = -1;
    std::string host_;
    std::string head_;
    std::string buffer_;
};

inline std::string JsonString(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
            out += escaped;
        } else {
            out += c;
        }
    }
    return out + '"';
}

// Answers an event, or the init, with an error.
inline void Fail(
    Connection& connection,
    const std::string& path,
    const std::string& type,
    std::string_view message) {
    connection.Exchange(
        "POST",
        path,
        "Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: " + type + "\r\n",
        "{\"errorMessage\":" + JsonString(message) + ",\"errorType\":" + JsonString(type) +
            ",\"stackTrace\":[]}");
}

// What a program calls instead of Run when it cannot start.
inline int FailInit(const std::string& type, std::string_view message) {
    if (const char* api = std::getenv("AWS_LAMBDA_RUNTIME_API")) {
        Connection connection(api);
        Fail(connection, "/2018-06-01/runtime/init/error", type, message);
    }
    return 1;
}

// Serves events until the environment ends. Returns only when it cannot start.
inline int Run(const Handler& handler) {
    const char* api = std::getenv("AWS_LAMBDA_RUNTIME_API");
    if (api == nullptr) {
        std::fputs("AWS_LAMBDA_RUNTIME_API is not set: this program runs as a function\n", stderr);
        return 1;
    }
    try {
        Connection connection(api);
        const std::string base = "/2018-06-01/runtime/invocation/";
        for (;;) {
            const std::string event = connection.Exchange("GET", base + "next", "", "");
            const std::string id = connection.Header("Lambda-Runtime-Aws-Request-Id");
            setenv("_X_AMZN_TRACE_ID", connection.Header("Lambda-Runtime-Trace-Id").c_str(), 1);
            try {
                const std::string answer = handler(event);
                connection.Exchange(
                    "POST", base + id + "/response", "Content-Type: application/json\r\n", answer);
            } catch (const Failure& failure) {
                Fail(connection, base + id + "/error", failure.type(), failure.what());
            } catch (const std::exception& error) {
                Fail(connection, base + id + "/error", "Error", error.what());
            }
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}

}  // namespace hearth_runtime

#endif  // HEARTH_RUNTIME_H
