#include "hearth/keeper/listening_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace hearth::keeper {
namespace {

// Long enough for the callers of a restart; the kernel caps it at net.core.somaxconn.
constexpr int kBacklog = 4096;

}  // namespace

Result<os::Fd> Listen(const std::string& address, uint16_t port) {
    sockaddr_in v4 = {};
    sockaddr_in6 v6 = {};
    const bool is_v4 = ::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1;
    if (!is_v4 && ::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) != 1) {
        return errors::Malformed(address + ": not an IP address");
    }
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    os::Fd socket(
        ::socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket.valid()) {
        return errors::System("socket", errno);
    }
    const int yes = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    const int bound = is_v4 ? ::bind(socket.get(), reinterpret_cast<sockaddr*>(&v4), sizeof(v4))
                            : ::bind(socket.get(), reinterpret_cast<sockaddr*>(&v6), sizeof(v6));
    if (bound != 0 || ::listen(socket.get(), kBacklog) != 0) {
        if (errno == EADDRINUSE) {
            return errors::Malformed(fmt::format(
                "port {} of {} is in use (by another Hearth?); choose another with --port",
                port,
                address));
        }
        return errors::Malformed(
            fmt::format("cannot listen on {} port {}: {}", address, port, std::strerror(errno)));
    }
    return socket;
}

uint16_t LocalPort(int socket) {
    sockaddr_storage address = {};
    socklen_t size = sizeof(address);
    if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        return 0;
    }
    if (address.ss_family == AF_INET6) {
        return ntohs(reinterpret_cast<sockaddr_in6*>(&address)->sin6_port);
    }
    return ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

}  // namespace hearth::keeper
