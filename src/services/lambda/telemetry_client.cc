#include "services/lambda/telemetry_client.h"

#include "rt/fd_watch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace hearth::lambda {

namespace {

// A status line is all that is read of an answer.
constexpr size_t kStatusLineBytesMax = 4096;

}  // namespace

std::optional<int> ParseAnswerStatus(std::string_view head) {
    // "HTTP/1.1 200 OK"
    constexpr std::string_view version = "HTTP/1.";
    constexpr size_t status_at = 9;
    if (head.substr(0, version.size()) != version.substr(0, head.size())) {
        return 0;
    }
    if (head.size() < status_at + 4) {
        return head.find('\n') == std::string_view::npos ? std::nullopt : std::optional<int>(0);
    }
    int status = 0;
    for (const char digit : head.substr(status_at, 3)) {
        if (digit < '0' || digit > '9') {
            return 0;
        }
        status = status * 10 + (digit - '0');
    }
    const char after = head[status_at + 3];
    if (head[status_at - 1] != ' ' || (after != ' ' && after != '\r' && after != '\n')) {
        return 0;
    }
    return status;
}

Task<Status> ConnectTelemetry(int socket, uint16_t port) {
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
        co_return Status();
    }
    if (errno != EINPROGRESS) {
        co_return errors::System("connect", errno);
    }
    HEARTH_CO_TRY(rt::FdWatch watch, rt::FdWatch::Make(socket));
    HEARTH_CO_RETURN_IF_ERROR(co_await watch.Writable());
    int error = 0;
    socklen_t size = sizeof(error);
    if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
    }
    if (error != 0) {
        co_return errors::System("connect", error);
    }
    co_return Status();
}

Task<Status> SendTelemetry(int socket, std::string_view bytes) {
    std::optional<rt::FdWatch> watch;
    while (!bytes.empty()) {
        const ssize_t count = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count > 0) {
            bytes.remove_prefix(static_cast<size_t>(count));
        } else if (errno == EAGAIN) {
            if (!watch.has_value()) {
                HEARTH_CO_TRY(rt::FdWatch made, rt::FdWatch::Make(socket));
                watch.emplace(std::move(made));
            }
            HEARTH_CO_RETURN_IF_ERROR(co_await watch->Writable());
        } else if (errno != EINTR) {
            co_return errors::System("send", errno);
        }
    }
    co_return Status();
}

Task<Status> PostTelemetry(
    int socket, const TelemetrySubscription& subscription, std::string_view body) {
    std::string request = fmt::format(
        "{} {} HTTP/1.1\r\nHost: {}:{}\r\nContent-Type: application/json\r\n"
        "Connection: close\r\nContent-Length: {}\r\n\r\n",
        subscription.method,
        subscription.path,
        subscription.host,
        subscription.port,
        body.size());
    request += body;
    HEARTH_CO_RETURN_IF_ERROR(co_await SendTelemetry(socket, request));
    HEARTH_CO_TRY(rt::FdWatch watch, rt::FdWatch::Make(socket));
    std::string head;
    std::optional<int> status;
    while (!(status = ParseAnswerStatus(head)).has_value() && head.size() < kStatusLineBytesMax) {
        std::array<char, 512> buffer{};
        const ssize_t count = ::recv(socket, buffer.data(), buffer.size(), 0);
        if (count > 0) {
            head.append(buffer.data(), static_cast<size_t>(count));
        } else if (count == 0) {
            co_return errors::Unavailable("the subscriber closed the connection");
        } else if (errno == EAGAIN) {
            HEARTH_CO_RETURN_IF_ERROR(co_await watch.Readable());
        } else if (errno != EINTR) {
            co_return errors::System("recv", errno);
        }
    }
    if (status.value_or(0) < 200 || *status > 399) {
        co_return errors::Unavailable(
            fmt::format("the subscriber answered with status {}", status.value_or(0)));
    }
    co_return Status();
}

}  // namespace hearth::lambda
