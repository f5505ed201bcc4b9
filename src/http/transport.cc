#include "http/transport.h"

#include "http/tls.h"

#include <arpa/inet.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

namespace hearth::http {

namespace asio = boost::asio;

namespace {

constexpr char kTlsHandshakeByte = 0x16;

// The loop calls back here; a null function means that nobody listens any more.
void CallOnce(const std::shared_ptr<std::function<void()>>& gone) {
    if (*gone) {
        const auto function = std::exchange(*gone, nullptr);
        function();
    }
}

}  // namespace

Transport::Transport(asio::io_context& context, os::Fd socket, int family) : socket_(context) {
    const int fd = socket.get();
    if (family == AF_INET || family == AF_INET6) {
        // Answers go out in one write, so waiting for more to send would only delay them.
        const int on = 1;
        (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    boost::system::error_code error;
    socket_.assign(asio::generic::stream_protocol(family, 0), fd, error);
    if (!error) {
        socket.Release();
        socket_.native_non_blocking(true, error);
    }
}

Transport::~Transport() {
    if (ssl_ != nullptr) {
        SSL_free(ssl_);
    }
}

Task<bool> Transport::StartTlsIfAsked(TlsContext& context) {
    char first = 0;
    while (true) {
        const ssize_t count = ::recv(socket_.native_handle(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
        if (count == 1) {
            break;
        }
        if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
            co_return false;
        }
        const auto [error] = co_await socket_.async_wait(
            asio::socket_base::wait_read, asio::as_tuple(asio::use_awaitable));
        if (error) {
            co_return false;
        }
    }
    if (first != kTlsHandshakeByte) {
        co_return true;
    }
    ssl_ = SSL_new(context.get());
    if (ssl_ == nullptr || SSL_set_fd(ssl_, socket_.native_handle()) != 1) {
        co_return false;
    }
    SSL_set_accept_state(ssl_);
    co_return co_await HandshakeTls();
}

Task<bool> Transport::HandshakeTls() {
    while (true) {
        ERR_clear_error();
        const int result = SSL_do_handshake(ssl_);
        if (result == 1) {
            co_return true;
        }
        const int reason = SSL_get_error(ssl_, result);
        if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE) {
            ERR_clear_error();
            co_return false;
        }
        const auto [error] = co_await socket_.async_wait(
            reason == SSL_ERROR_WANT_READ ? asio::socket_base::wait_read
                                          : asio::socket_base::wait_write,
            asio::as_tuple(asio::use_awaitable));
        if (error) {
            co_return false;
        }
    }
}

Task<Transport::ReadResult> Transport::ReadSome(std::span<char> into) {
    if (ssl_ != nullptr) {
        return ReadTls(into, false);
    }
    return socket_.async_receive(
        asio::buffer(into.data(), into.size()), asio::as_tuple(asio::use_awaitable));
}

Task<Transport::ReadResult> Transport::ReadNext(std::span<char> into) {
    return ssl_ != nullptr ? ReadTls(into, SSL_has_pending(ssl_) == 0) : ReadSome(into);
}

Task<Transport::ReadResult> Transport::ReadTls(std::span<char> into, bool wait_first) {
    int reason = wait_first ? SSL_ERROR_WANT_READ : SSL_ERROR_NONE;
    while (true) {
        if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) {
            const auto [error] = co_await socket_.async_wait(
                reason == SSL_ERROR_WANT_READ ? asio::socket_base::wait_read
                                              : asio::socket_base::wait_write,
                asio::as_tuple(asio::use_awaitable));
            if (error) {
                co_return ReadResult(error, 0);
            }
        }
        ERR_clear_error();
        size_t count = 0;
        const int result = SSL_read_ex(ssl_, into.data(), into.size(), &count);
        if (result == 1) {
            co_return ReadResult({}, count);
        }
        reason = SSL_get_error(ssl_, result);
        if (reason == SSL_ERROR_ZERO_RETURN) {
            co_return ReadResult(asio::error::eof, 0);
        }
        if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE) {
            ERR_clear_error();
            co_return ReadResult(asio::error::connection_reset, 0);
        }
    }
}

ssize_t Transport::TryWrite(std::span<const iovec> pieces) {
    if (ssl_ != nullptr) {
        return TryWriteTls(pieces);
    }
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces.data());
    message.msg_iovlen = pieces.size();
    while (true) {
        const ssize_t count =
            ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count >= 0) {
            return count;
        }
        if (errno == EAGAIN) {
            return 0;
        }
        if (errno != EINTR) {
            return -1;
        }
    }
}

ssize_t Transport::TryWriteTls(std::span<const iovec> pieces) {
    ssize_t total = 0;
    for (const iovec& piece : pieces) {
        if (piece.iov_len == 0) {
            continue;
        }
        ERR_clear_error();
        size_t count = 0;
        const int result = SSL_write_ex(ssl_, piece.iov_base, piece.iov_len, &count);
        if (result != 1) {
            const int reason = SSL_get_error(ssl_, result);
            if (reason == SSL_ERROR_WANT_WRITE || reason == SSL_ERROR_WANT_READ) {
                return total;
            }
            ERR_clear_error();
            return -1;
        }
        total += static_cast<ssize_t>(count);
        if (count < piece.iov_len) {
            return total;
        }
    }
    return total;
}

Task<void> Transport::WaitWritable() {
    // An error here shows itself at the next write.
    (void)co_await socket_.async_wait(
        asio::socket_base::wait_write, asio::as_tuple(asio::use_awaitable));
}

bool Transport::PeerHasClosed(bool* has_data) {
    char byte = 0;
    *has_data = false;
    if (ssl_ != nullptr) {
        ERR_clear_error();
        size_t count = 0;
        const int result = SSL_peek_ex(ssl_, &byte, 1, &count);
        if (result == 1) {
            *has_data = true;
            return false;
        }
        const int reason = SSL_get_error(ssl_, result);
        ERR_clear_error();
        return reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE;
    }
    const ssize_t count = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    *has_data = count > 0;
    return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR);
}

void Transport::WatchClose(std::shared_ptr<std::function<void()>> gone) {
    socket_.async_wait(
        asio::socket_base::wait_read,
        [this, gone = std::move(gone)](const boost::system::error_code& error) {
            if (!*gone) {
                // Silenced, and the connection may be gone with it.
                return;
            }
            bool has_data = false;
            if (error || PeerHasClosed(&has_data)) {
                CallOnce(gone);
            } else if (!has_data) {
                WatchClose(gone);
            }
            // With data: the next request is here already, and its bytes hide what follows them.
        });
}

void Transport::CancelWatch() {
    boost::system::error_code ignored;
    socket_.cancel(ignored);
}

void Transport::CloseSending() {
    if (ssl_ != nullptr && SSL_is_init_finished(ssl_) == 1) {
        ERR_clear_error();
        (void)SSL_shutdown(ssl_);
        ERR_clear_error();
    }
    (void)::shutdown(socket_.native_handle(), SHUT_WR);
}

void Transport::CloseReceiving() {
    (void)::shutdown(socket_.native_handle(), SHUT_RD);
}

void Transport::Break() {
    (void)::shutdown(socket_.native_handle(), SHUT_RDWR);
}

std::string PeerAddress(int socket) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getpeername(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        return {};
    }
    std::array<char, INET6_ADDRSTRLEN> text{};
    const void* bytes = nullptr;
    if (address.ss_family == AF_INET) {
        bytes = &reinterpret_cast<sockaddr_in*>(&address)->sin_addr;
    } else if (address.ss_family == AF_INET6) {
        bytes = &reinterpret_cast<sockaddr_in6*>(&address)->sin6_addr;
    } else {
        return {};
    }
    return ::inet_ntop(address.ss_family, bytes, text.data(), text.size()) == nullptr ? ""
                                                                                      : text.data();
}

}  // namespace hearth::http
