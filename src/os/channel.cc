#include "os/channel.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace hearth::os {

Result<std::pair<Fd, Fd>> MakeChannel() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
        return errors::System("socketpair", errno);
    }
    std::pair<Fd, Fd> ends{Fd(fds[0]), Fd(fds[1])};
    const int room = 1 << 20;
    for (const int fd : fds) {
        ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    }
    return ends;
}

Result<bool> SendPacket(int socket, std::string_view bytes, std::span<const int> fds) {
    if (bytes.size() > kPacketBytesMax || fds.size() > kPacketFdsMax) {
        return errors::Internal("packet too large");
    }
    iovec vector{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(kPacketFdsMax * sizeof(int))];
    if (!fds.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
        std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
    }
    while (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
        if (errno == EINTR) {
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return false;
        }
        return errors::System("sendmsg", errno);
    }
    return true;
}

Result<std::optional<Packet>> ReceivePacket(int socket, bool wait) {
    Packet packet;
    packet.bytes.resize(kPacketBytesMax);
    iovec vector{packet.bytes.data(), packet.bytes.size()};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(kPacketFdsMax * sizeof(int))];
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    ssize_t count = 0;
    while ((count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT))) <
           0) {
        if (errno == EINTR) {
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return std::optional<Packet>();
        }
        return errors::System("recvmsg", errno);
    }
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
            const size_t number = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (size_t i = 0; i < number; ++i) {
                int fd = -1;
                std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
                packet.fds.emplace_back(fd);
            }
        }
    }
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        return errors::Malformed("packet larger than the limits");
    }
    packet.bytes.resize(static_cast<size_t>(count));
    return std::optional<Packet>(std::move(packet));
}

}  // namespace hearth::os
