#include "sandbox/snapshot/unix_peers.h"

#include "base/check.h"
#include "os/fd.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace hearth::snapshot {
namespace {

// A socket belongs to the namespace in which it was made, whoever uses it later.
Result<os::Fd> OpenDiagnosis(int pid) {
    const os::Fd own(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    const os::Fd theirs(::open(fmt::format("/proc/{}/ns/net", pid).c_str(), O_RDONLY | O_CLOEXEC));
    struct stat mine{}, other{};
    if (!own.valid() || !theirs.valid() || ::fstat(own.get(), &mine) != 0 ||
        ::fstat(theirs.get(), &other) != 0) {
        return errors::System("opening a network namespace", errno);
    }
    const bool moves = mine.st_ino != other.st_ino || mine.st_dev != other.st_dev;
    if (moves && ::setns(theirs.get(), CLONE_NEWNET) != 0) {
        return errors::System("entering a network namespace", errno);
    }
    os::Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    const int error = errno;
    if (moves) {
        CHECK(::setns(own.get(), CLONE_NEWNET) == 0, "leaving a network namespace: {}", errno);
    }
    if (!socket.valid()) {
        return errors::System("NETLINK_SOCK_DIAG", error);
    }
    return socket;
}

void ReadAnswer(const nlmsghdr& head, std::unordered_map<uint32_t, UnixSocket>& sockets) {
    const auto* message = static_cast<const unix_diag_msg*>(NLMSG_DATA(&head));
    UnixSocket found;
    auto left = static_cast<int>(head.nlmsg_len) - static_cast<int>(NLMSG_LENGTH(sizeof(*message)));
    const auto* attribute = reinterpret_cast<const rtattr*>(message + 1);
    while (left >= static_cast<int>(sizeof(rtattr)) && attribute->rta_len >= sizeof(rtattr) &&
           attribute->rta_len <= left) {
        if (attribute->rta_type == UNIX_DIAG_PEER &&
            attribute->rta_len >= RTA_LENGTH(sizeof(uint32_t))) {
            std::memcpy(&found.peer, reinterpret_cast<const char*>(attribute) + RTA_LENGTH(0), 4);
        }
        found.named |= attribute->rta_type == UNIX_DIAG_NAME;
        const auto step = static_cast<int>(RTA_ALIGN(attribute->rta_len));
        attribute =
            reinterpret_cast<const rtattr*>(reinterpret_cast<const char*>(attribute) + step);
        left -= step;
    }
    sockets[message->udiag_ino] = found;
}

}  // namespace

Result<std::unordered_map<uint32_t, UnixSocket>> ListUnixSockets(int pid) {
    HEARTH_TRY(const os::Fd socket, OpenDiagnosis(pid));

    struct {
        nlmsghdr head{};
        unix_diag_req request{};
    } query;

    query.head.nlmsg_len = sizeof(query);
    query.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    query.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    query.request.sdiag_family = AF_UNIX;
    query.request.udiag_states = UINT32_MAX;
    query.request.udiag_show = UDIAG_SHOW_PEER | UDIAG_SHOW_NAME;
    if (::send(socket.get(), &query, sizeof(query), 0) != static_cast<ssize_t>(sizeof(query))) {
        return errors::System("asking for unix sockets", errno);
    }
    std::unordered_map<uint32_t, UnixSocket> sockets;
    alignas(nlmsghdr) std::array<char, 32 << 10> bytes;
    for (;;) {
        const ssize_t got = ::recv(socket.get(), bytes.data(), bytes.size(), 0);
        if (got <= 0) {
            if (got < 0 && errno == EINTR) {
                continue;
            }
            return errors::System("listing unix sockets", errno);
        }
        auto left = static_cast<unsigned>(got);
        for (auto* head = reinterpret_cast<nlmsghdr*>(bytes.data()); NLMSG_OK(head, left);
             head = NLMSG_NEXT(head, left)) {
            if (head->nlmsg_type == NLMSG_DONE) {
                return sockets;
            }
            if (head->nlmsg_type == NLMSG_ERROR) {
                return errors::Unavailable("the kernel does not list unix sockets");
            }
            if (head->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
                head->nlmsg_len >= NLMSG_LENGTH(sizeof(unix_diag_msg))) {
                ReadAnswer(*head, sockets);
            }
        }
    }
}

}  // namespace hearth::snapshot
