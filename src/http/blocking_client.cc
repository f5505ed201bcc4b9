#include "http/blocking_client.h"

#include "http/chunked.h"
#include "http/message.h"
#include "os/fd.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>

namespace hearth::http {

namespace {

constexpr size_t kHeadBytesMax = 256 * 1024;
constexpr size_t kPieceBytes = 64 * 1024;
constexpr std::string_view kUnixPrefix = "unix:";

struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }

    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

timeval ToTimeval(std::chrono::milliseconds time) {
    return {
        static_cast<time_t>(time.count() / 1000),
        static_cast<suseconds_t>(time.count() % 1000 * 1000)};
}

std::string LastOpenSslError() {
    std::array<char, 256> text{};
    const unsigned long code = ERR_get_error();
    if (code == 0) {
        return "the server closed the connection";
    }
    ERR_error_string_n(code, text.data(), text.size());
    ERR_clear_error();
    return text.data();
}

std::string_view Trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
        text.remove_prefix(1);
    }
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
        text.remove_suffix(1);
    }
    return text;
}

// Connects one address in time.
Result<os::Fd> ConnectTo(
    const sockaddr* address, socklen_t size, std::chrono::milliseconds timeout) {
    os::Fd socket(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket.valid()) {
        return errors::System("cannot make a socket", errno);
    }
    if (::connect(socket.get(), address, size) != 0) {
        if (errno != EINPROGRESS) {
            return errors::System("cannot connect", errno);
        }
        pollfd waiting{socket.get(), POLLOUT, 0};
        int ready = 0;
        do {
            ready = ::poll(&waiting, 1, static_cast<int>(timeout.count()));
        } while (ready < 0 && errno == EINTR);
        int error = ready == 0 ? ETIMEDOUT : 0;
        socklen_t error_size = sizeof error;
        if (ready > 0) {
            (void)::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &error_size);
        }
        if (error != 0) {
            return errors::System("cannot connect", error);
        }
    }
    const int flags = ::fcntl(socket.get(), F_GETFL);
    (void)::fcntl(socket.get(), F_SETFL, flags & ~O_NONBLOCK);
    return socket;
}

}  // namespace

class BlockingClient::Impl final {
  public:
    explicit Impl(Options options) : options_(std::move(options)) {}

    Result<ClientResponse> Call(
        const ClientRequest& request, const std::function<bool(std::string_view)>* piece) {
        const bool reused = socket_.valid();
        auto response = TryOnce(request, piece);
        if (!response.ok() && reused && !answer_began_) {
            // The server may close an idle connection at any time.
            Disconnect();
            response = TryOnce(request, piece);
        }
        if (!response.ok() || close_) {
            Disconnect();
        }
        return response;
    }

  private:
    Result<ClientResponse> TryOnce(
        const ClientRequest& request, const std::function<bool(std::string_view)>* piece) {
        answer_began_ = false;
        close_ = false;
        if (!socket_.valid()) {
            HEARTH_RETURN_IF_ERROR(Connect());
        }
        HEARTH_RETURN_IF_ERROR(Send(Serialize(request)));
        ClientResponse response;
        do {
            HEARTH_RETURN_IF_ERROR(ReadHead(response));
            // "100 Continue" and its like come before the answer.
        } while (response.status / 100 == 1);
        HEARTH_RETURN_IF_ERROR(ReadBody(request, response, piece));
        return response;
    }

    Status Connect() {
        input_.clear();
        Result<os::Fd> socket = errors::Unavailable("no address");
        if (options_.host.starts_with(kUnixPrefix)) {
            sockaddr_un address{};
            address.sun_family = AF_UNIX;
            const std::string path = options_.host.substr(kUnixPrefix.size());
            if (path.size() >= sizeof address.sun_path) {
                return errors::Malformed("the socket's path is too long");
            }
            std::memcpy(address.sun_path, path.data(), path.size());
            socket = ConnectTo(
                reinterpret_cast<const sockaddr*>(&address),
                sizeof address,
                options_.connect_timeout);
        } else {
            addrinfo hints{};
            hints.ai_socktype = SOCK_STREAM;
            hints.ai_flags = AI_NUMERICSERV;
            addrinfo* found = nullptr;
            const int failed = ::getaddrinfo(
                options_.host.c_str(), std::to_string(options_.port).c_str(), &hints, &found);
            if (failed != 0) {
                return errors::Unavailable(
                    "cannot resolve " + options_.host + ": " + ::gai_strerror(failed));
            }
            for (const addrinfo* one = found; one != nullptr && !socket.ok(); one = one->ai_next) {
                socket = ConnectTo(one->ai_addr, one->ai_addrlen, options_.connect_timeout);
            }
            ::freeaddrinfo(found);
        }
        if (!socket.ok()) {
            return std::move(socket).error().WithContext(
                options_.host + ":" + std::to_string(options_.port));
        }
        socket_ = *std::move(socket);
        const int on = 1;
        (void)::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const timeval timeout = ToTimeval(options_.read_timeout);
        (void)::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
        (void)::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
        return options_.tls ? StartTls() : Status();
    }

    Status StartTls() {
        // OpenSSL writes without MSG_NOSIGNAL.
        (void)std::signal(SIGPIPE, SIG_IGN);
        ERR_clear_error();
        if (tls_context_ == nullptr) {
            tls_context_.reset(SSL_CTX_new(TLS_client_method()));
            if (tls_context_ == nullptr) {
                return errors::Internal("cannot set up TLS: " + LastOpenSslError());
            }
            SSL_CTX_set_min_proto_version(tls_context_.get(), TLS1_2_VERSION);
            SSL_CTX_set_verify(tls_context_.get(), SSL_VERIFY_PEER, nullptr);
            SSL_CTX_set_options(tls_context_.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
            const int loaded =
                options_.ca_file.empty()
                    ? SSL_CTX_set_default_verify_paths(tls_context_.get())
                    : SSL_CTX_load_verify_file(tls_context_.get(), options_.ca_file.c_str());
            if (loaded != 1) {
                tls_context_.reset();
                return errors::Malformed(
                    "cannot read certificates from " + options_.ca_file + ": " +
                    LastOpenSslError());
            }
        }
        ssl_.reset(SSL_new(tls_context_.get()));
        if (ssl_ == nullptr || SSL_set_fd(ssl_.get(), socket_.get()) != 1) {
            return errors::Internal("cannot set up TLS: " + LastOpenSslError());
        }
        X509_VERIFY_PARAM* const verify = SSL_get0_param(ssl_.get());
        if (X509_VERIFY_PARAM_set1_ip_asc(verify, options_.host.c_str()) != 1) {
            ERR_clear_error();
            (void)SSL_set1_host(ssl_.get(), options_.host.c_str());
            (void)SSL_set_tlsext_host_name(ssl_.get(), options_.host.c_str());
        }
        if (SSL_connect(ssl_.get()) != 1) {
            const long verified = SSL_get_verify_result(ssl_.get());
            const std::string why = verified == X509_V_OK ? LastOpenSslError()
                                                          : X509_verify_cert_error_string(verified);
            Disconnect();
            return errors::Unavailable("TLS with " + options_.host + ": " + why);
        }
        return Status();
    }

    void Disconnect() {
        ssl_.reset();
        socket_.Close();
        input_.clear();
    }

    std::string Serialize(const ClientRequest& request) const {
        const auto has = [&](std::string_view name) {
            return std::any_of(
                request.headers.begin(), request.headers.end(), [&](const auto& header) {
                    return EqualsIgnoringCase(header.first, name);
                });
        };
        std::string text = request.method + " " + request.target + " HTTP/1.1\r\n";
        if (!has("host")) {
            const bool unix_socket = options_.host.starts_with(kUnixPrefix);
            const bool v6 = options_.host.find(':') != std::string::npos && !unix_socket;
            text += "Host: ";
            text += unix_socket ? "localhost" : v6 ? "[" + options_.host + "]" : options_.host;
            text += unix_socket ? "" : ":" + std::to_string(options_.port);
            text += "\r\n";
        }
        for (const auto& [name, value] : request.headers) {
            text += name + ": " + value + "\r\n";
        }
        const bool may_have_body = request.method != "GET" && request.method != "HEAD";
        if (!has("content-length") && (may_have_body || !request.body.empty())) {
            text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
        }
        return text + "\r\n" + request.body;
    }

    Status Send(std::string_view bytes) {
        while (!bytes.empty()) {
            ssize_t count = 0;
            if (ssl_ != nullptr) {
                ERR_clear_error();
                count = SSL_write(
                    ssl_.get(),
                    bytes.data(),
                    static_cast<int>(std::min<size_t>(bytes.size(), 1 << 30)));
                if (count <= 0) {
                    return errors::Unavailable("cannot send: " + LastOpenSslError());
                }
            } else {
                count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
                if (count < 0 && errno == EINTR) {
                    continue;
                }
                if (count < 0) {
                    return errors::System("cannot send", errno == EAGAIN ? ETIMEDOUT : errno);
                }
            }
            bytes.remove_prefix(static_cast<size_t>(count));
        }
        return Status();
    }

    // Appends to `input_`; false at the end of the connection.
    Result<bool> Receive() {
        std::array<char, kPieceBytes> piece;
        while (true) {
            ssize_t count = 0;
            if (ssl_ != nullptr) {
                ERR_clear_error();
                errno = 0;
                count = SSL_read(ssl_.get(), piece.data(), static_cast<int>(piece.size()));
                if (count <= 0) {
                    const int reason = SSL_get_error(ssl_.get(), static_cast<int>(count));
                    if (reason == SSL_ERROR_ZERO_RETURN) {
                        return false;
                    }
                    if (reason == SSL_ERROR_WANT_READ) {
                        return errors::System("no answer", ETIMEDOUT);
                    }
                    return errors::Unavailable("cannot receive: " + LastOpenSslError());
                }
            } else {
                count = ::recv(socket_.get(), piece.data(), piece.size(), 0);
                if (count < 0 && errno == EINTR) {
                    continue;
                }
                if (count < 0) {
                    return errors::System(
                        errno == EAGAIN ? "no answer" : "cannot receive",
                        errno == EAGAIN ? ETIMEDOUT : errno);
                }
            }
            if (count == 0) {
                return false;
            }
            answer_began_ = true;
            input_.append(piece.data(), static_cast<size_t>(count));
            return true;
        }
    }

    Status ReceiveMore() {
        HEARTH_TRY(const bool more, Receive());
        return more ? Status() : Status(errors::Unavailable("the server closed the connection"));
    }

    Status ReadHead(ClientResponse& response) {
        size_t end = 0;
        while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
            if (input_.size() > kHeadBytesMax) {
                return errors::Malformed("the answer's head is too long");
            }
            HEARTH_RETURN_IF_ERROR(ReceiveMore());
        }
        std::string_view head = std::string_view(input_).substr(0, end + 2);
        response = ClientResponse();
        bool first = true;
        while (!head.empty()) {
            const size_t line_end = head.find("\r\n");
            const std::string_view line = head.substr(0, line_end);
            head.remove_prefix(line_end + 2);
            if (first) {
                first = false;
                if (!line.starts_with("HTTP/1.") || line.size() < 12) {
                    return errors::Malformed("not an HTTP answer");
                }
                minor_version_ = line[7] - '0';
                const auto parsed =
                    std::from_chars(line.data() + 9, line.data() + 12, response.status);
                if (parsed.ec != std::errc() || response.status < 100) {
                    return errors::Malformed("not an HTTP answer");
                }
                continue;
            }
            const size_t colon = line.find(':');
            if (colon == std::string_view::npos) {
                return errors::Malformed("a malformed header in the answer");
            }
            response.headers.emplace_back(
                LowerCase(line.substr(0, colon)), Trim(line.substr(colon + 1)));
        }
        input_.erase(0, end + 4);
        return Status();
    }

    Status ReadBody(
        const ClientRequest& request,
        ClientResponse& response,
        const std::function<bool(std::string_view)>* piece) {
        const std::string* const connection = response.Find("connection");
        close_ =
            connection != nullptr ? EqualsIgnoringCase(*connection, "close") : minor_version_ == 0;
        if (request.method == "HEAD" || response.status == 204 || response.status == 304) {
            return Status();
        }
        const bool streamed = piece != nullptr && response.status / 100 == 2;
        uint64_t taken = 0;
        bool stopped = false;
        const auto take = [&](std::string_view bytes) -> Status {
            taken += bytes.size();
            if (streamed) {
                stopped = !bytes.empty() && !(*piece)(bytes);
            } else if (taken > options_.body_bytes_max) {
                return errors::Malformed("the answer is too large");
            } else {
                response.body += bytes;
            }
            return Status();
        };

        const std::string* const coding = response.Find("transfer-encoding");
        if (coding != nullptr && EqualsIgnoringCase(*coding, "chunked")) {
            ChunkedDecoder decoder;
            std::string out(kPieceBytes, '\0');
            while (!decoder.done()) {
                const auto step = decoder.Decode(input_, out);
                input_.erase(0, step.consumed);
                if (decoder.failed()) {
                    return errors::Malformed(std::string(decoder.error()));
                }
                HEARTH_RETURN_IF_ERROR(take(std::string_view(out).substr(0, step.produced)));
                if (stopped) {
                    close_ = true;
                    return Status();
                }
                if (!decoder.done() && step.consumed == 0 && step.produced == 0) {
                    HEARTH_RETURN_IF_ERROR(ReceiveMore());
                }
            }
            return Status();
        }
        uint64_t left = UINT64_MAX;
        if (const std::string* const length = response.Find("content-length")) {
            const auto parsed =
                std::from_chars(length->data(), length->data() + length->size(), left);
            if (parsed.ec != std::errc() || parsed.ptr != length->data() + length->size()) {
                return errors::Malformed("a malformed content-length in the answer");
            }
        } else {
            close_ = true;
        }
        while (left > 0 && !stopped) {
            if (input_.empty()) {
                HEARTH_TRY(const bool more, Receive());
                if (!more) {
                    return close_ && response.Find("content-length") == nullptr
                               ? Status()
                               : Status(errors::Unavailable("the answer was cut off"));
                }
            }
            const size_t count = std::min<uint64_t>(left, input_.size());
            HEARTH_RETURN_IF_ERROR(take(std::string_view(input_).substr(0, count)));
            input_.erase(0, count);
            left -= count;
        }
        close_ = close_ || stopped;
        return Status();
    }

    Options options_;
    std::unique_ptr<SSL_CTX, FreeSsl> tls_context_;
    os::Fd socket_;
    std::unique_ptr<SSL, FreeSsl> ssl_;
    // Received and not used yet.
    std::string input_;
    bool answer_began_ = false;
    bool close_ = false;
    int minor_version_ = 1;
};

const std::string* ClientResponse::Find(std::string_view lower_case_name) const {
    for (const auto& [name, value] : headers) {
        if (name == lower_case_name) {
            return &value;
        }
    }
    return nullptr;
}

BlockingClient::BlockingClient(Options options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}

BlockingClient::~BlockingClient() = default;

Result<ClientResponse> BlockingClient::Call(const ClientRequest& request) {
    return impl_->Call(request, nullptr);
}

Result<ClientResponse> BlockingClient::CallStreaming(
    const ClientRequest& request, const std::function<bool(std::string_view)>& piece) {
    return impl_->Call(request, &piece);
}

}  // namespace hearth::http
