#include "vmm/guest/guest_client.h"

#include "codec/json/json.h"
#include "vmm/guest/exec_protocol.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

namespace hearth::vmm {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

Result<sockaddr_un> Address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) {
        return errors::Malformed("the path of a socket is too long: " + path);
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

// Milliseconds for poll(): rounded up, so that a wait never ends before its deadline.
int Left(std::optional<Clock::time_point> deadline) {
    if (!deadline) {
        return -1;
    }
    const auto left = std::chrono::ceil<Milliseconds>(*deadline - Clock::now()).count();
    return static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30));
}

Status SendAll(int socket, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return errors::System("send to the guest", errno);
        }
        bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return {};
}

Status WriteAll(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote < 0 && errno == EAGAIN) {
            pollfd waiting{fd, POLLOUT, 0};
            (void)::poll(&waiting, 1, -1);
            continue;
        }
        if (wrote < 0) {
            return errors::System("write what the guest sent", errno);
        }
        bytes.remove_prefix(static_cast<size_t>(wrote));
    }
    return {};
}

uint32_t LittleEndian(const char* bytes) {
    uint32_t value = 0;
    for (int i = 3; i >= 0; --i) {
        value = value << 8 | static_cast<uint8_t>(bytes[i]);
    }
    return value;
}

std::string FrameHeader(ExecStream stream, size_t bytes) {
    std::string header(kFrameHeaderBytes, '\0');
    header[0] = static_cast<char>(stream);
    for (size_t i = 0; i < 4; ++i) {
        header[1 + i] = static_cast<char>(bytes >> (8 * i) & 0xff);
    }
    return header;
}

Error Ended() {
    return errors::Unavailable("the guest ended the connection before the command's exit status");
}

// One command under way.
class Exec final {
  public:
    Exec(int connection, int stdin_fd, int stdout_fd, int stderr_fd)
        : connection_(connection), stdin_(stdin_fd), outputs_{stdout_fd, stderr_fd} {}

    Result<int> Run(std::optional<Clock::time_point> deadline) {
        while (!status_) {
            std::array<pollfd, 2> waiting = {
                pollfd{connection_, static_cast<short>(POLLIN | (Pending() ? POLLOUT : 0)), 0},
                pollfd{Pending() ? -1 : stdin_, POLLIN, 0}};
            const int ready = ::poll(waiting.data(), waiting.size(), Left(deadline));
            if (ready < 0 && errno != EINTR) {
                return errors::System("poll", errno);
            }
            if (ready == 0 && Left(deadline) == 0) {
                return errors::Unavailable("the command did not end in time");
            }
            if ((waiting[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
                HEARTH_RETURN_IF_ERROR(Receive());
            }
            if ((waiting[0].revents & POLLOUT) != 0 && Pending()) {
                HEARTH_RETURN_IF_ERROR(SendPending());
            }
            if (waiting[1].revents != 0) {
                ReadStdin();
            }
        }
        return *status_;
    }

  private:
    bool Pending() const { return !pending_.empty(); }

    void ReadStdin() {
        std::array<char, 16 << 10> buffer;
        const ssize_t bytes = ::read(stdin_, buffer.data(), buffer.size());
        if (bytes < 0 && (errno == EINTR || errno == EAGAIN)) {
            return;
        }
        const size_t size = bytes > 0 ? static_cast<size_t>(bytes) : 0;
        pending_ = FrameHeader(ExecStream::kStdin, size);
        pending_.append(buffer.data(), size);
        if (size == 0) {
            stdin_ = -1;
        }
    }

    Status SendPending() {
        const ssize_t sent =
            ::send(connection_, pending_.data(), pending_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            pending_.erase(0, static_cast<size_t>(sent));
        } else if (errno != EAGAIN && errno != EINTR) {
            // What the guest had to say is read first; the end shows there.
            pending_.clear();
            stdin_ = -1;
        }
        return {};
    }

    Status Receive() {
        std::array<char, 64 << 10> buffer;
        const ssize_t bytes = ::recv(connection_, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (bytes == 0 || (bytes < 0 && errno != EAGAIN && errno != EINTR)) {
            return Ended();
        }
        if (bytes > 0) {
            received_.append(buffer.data(), static_cast<size_t>(bytes));
        }
        std::string_view rest = received_;
        while (!status_ && rest.size() >= kFrameHeaderBytes) {
            const auto stream = static_cast<ExecStream>(static_cast<uint8_t>(rest[0]));
            const size_t size = LittleEndian(rest.data() + 1);
            if (size > kFrameBytesMax) {
                return errors::Malformed("the guest sent a frame that is too long");
            }
            if (rest.size() < kFrameHeaderBytes + size) {
                break;
            }
            HEARTH_RETURN_IF_ERROR(Frame(stream, rest.substr(kFrameHeaderBytes, size)));
            rest.remove_prefix(kFrameHeaderBytes + size);
        }
        received_.erase(0, received_.size() - rest.size());
        return {};
    }

    Status Frame(ExecStream stream, std::string_view bytes) {
        switch (stream) {
            case ExecStream::kStdout:
                return WriteAll(outputs_[0], bytes);
            case ExecStream::kStderr:
                return WriteAll(outputs_[1], bytes);
            case ExecStream::kExit:
                if (bytes.size() == 4 && LittleEndian(bytes.data()) <= 255) {
                    status_ = static_cast<int>(LittleEndian(bytes.data()));
                    return {};
                }
                break;
            case ExecStream::kStdin:
            case ExecStream::kSignal:
                break;
        }
        return errors::Malformed("the guest sent a frame that nobody knows");
    }

    int connection_;
    int stdin_;
    std::array<int, 2> outputs_;
    std::string pending_;
    std::string received_;
    std::optional<int> status_;
};

}  // namespace

std::string ExecRequestLine(const ExecRequest& request) {
    codec::JsonWriter writer;
    writer.BeginObject();
    writer.Key("argv");
    writer.BeginArray();
    for (const std::string& word : request.argv) {
        writer.String(word);
    }
    writer.EndArray();
    if (!request.environment.empty()) {
        writer.Key("env");
        writer.BeginObject();
        for (const auto& [name, value] : request.environment) {
            writer.Key(name);
            writer.String(value);
        }
        writer.EndObject();
    }
    if (!request.directory.empty()) {
        writer.Key("cwd");
        writer.String(request.directory);
    }
    if (request.with_stdin) {
        writer.Key("stdin");
        writer.Bool(true);
    }
    writer.EndObject();
    return writer.Take() + "\n";
}

Result<os::Fd> ConnectGuest(const std::string& uds_path, uint32_t port, Milliseconds timeout) {
    const auto deadline = Clock::now() + timeout;
    HEARTH_TRY(const sockaddr_un address, Address(uds_path));
    os::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket.valid()) {
        return errors::System("socket", errno);
    }
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
        0) {
        return errors::System("connect to " + uds_path, errno);
    }
    HEARTH_RETURN_IF_ERROR(SendAll(socket.get(), fmt::format("CONNECT {}\n", port)));
    // One byte at a time: what follows the line is the guest's.
    std::string line;
    constexpr size_t kLineBytesMax = 32;
    while (line.size() < kLineBytesMax) {
        pollfd waiting{socket.get(), POLLIN, 0};
        const int ready = ::poll(&waiting, 1, Left(deadline));
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        if (ready <= 0) {
            return errors::Unavailable("the guest did not answer in time");
        }
        char byte = 0;
        const ssize_t got = ::recv(socket.get(), &byte, 1, 0);
        if (got <= 0) {
            return errors::Unavailable(fmt::format("nobody listens on port {} of the guest", port));
        }
        if (byte == '\n') {
            break;
        }
        line.push_back(byte);
    }
    if (!line.starts_with("OK ")) {
        return errors::Unavailable("the monitor did not connect: " + line);
    }
    return socket;
}

Result<int> ExecInGuest(
    int connection,
    const ExecRequest& request,
    int stdin_fd,
    int stdout_fd,
    int stderr_fd,
    std::optional<Milliseconds> timeout) {
    const std::string line = ExecRequestLine(request);
    if (line.size() > kExecRequestBytesMax || request.argv.size() > kExecArgumentsMax) {
        return errors::Malformed("the command is too long for a guest");
    }
    std::optional<Clock::time_point> deadline;
    if (timeout) {
        deadline = Clock::now() + *timeout;
    }
    HEARTH_RETURN_IF_ERROR(SendAll(connection, line));
    return Exec(connection, request.with_stdin ? stdin_fd : -1, stdout_fd, stderr_fd).Run(deadline);
}

Status RebootGuest(int connection) {
    return SendAll(connection, "{\"action\": \"reboot\"}\n");
}

Result<os::Fd> ListenForReady(const std::string& uds_path) {
    const std::string path = fmt::format("{}_{}", uds_path, kReadyPort);
    HEARTH_TRY(const sockaddr_un address, Address(path));
    os::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket.valid() ||
        ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        ::listen(socket.get(), 4) != 0) {
        return errors::System("listen on " + path, errno);
    }
    return socket;
}

Status AwaitReady(int listener, int process, Milliseconds timeout) {
    const auto deadline = Clock::now() + timeout;
    for (;;) {
        std::array<pollfd, 2> waiting = {pollfd{listener, POLLIN, 0}, pollfd{process, POLLIN, 0}};
        const int ready = ::poll(waiting.data(), waiting.size(), Left(deadline));
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        if (ready < 0) {
            return errors::System("poll", errno);
        }
        if ((waiting[0].revents & POLLIN) != 0) {
            // Only init may connect before it has started anything, so the line need not be read.
            const os::Fd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
            return connection.valid() ? Status() : Status(errors::System("accept", errno));
        }
        if (waiting[1].revents != 0) {
            return errors::Unavailable("the monitor ended before the guest was ready");
        }
        if (ready == 0 && Left(deadline) == 0) {
            return errors::Unavailable("the guest was not ready in time");
        }
    }
}

}  // namespace hearth::vmm
