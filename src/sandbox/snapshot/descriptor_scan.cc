#include "sandbox/snapshot/descriptor_scan.h"

#include "os/fd.h"
#include "os/file.h"
#include "sandbox/snapshot/identity.h"
#include "sandbox/snapshot/proc.h"
#include "sandbox/snapshot/refusal.h"
#include "sandbox/snapshot/unix_peers.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kcmp.h>
#include <linux/openat2.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace hearth::snapshot {
namespace {

constexpr uint32_t kKeptFlags = O_ACCMODE | O_APPEND | O_NONBLOCK | O_DSYNC | O_SYNC | O_DIRECT |
                                O_NOATIME | O_PATH | O_DIRECTORY | O_NOFOLLOW | 0100000;
// Of the character devices with major 1: null, zero, full, random, urandom.
constexpr std::array kHarmlessMinors = {3U, 5U, 7U, 8U, 9U};
constexpr unsigned kMemoryDevices = 1;
constexpr size_t kLinkBytesMax = 4'200;

// One descriptor, as /proc shows it.
struct Entry {
    int32_t number = 0;
    std::string link;
    std::string info;    // fdinfo
    uint64_t flags = 0;  // O_*
    struct stat status{};
};

Result<std::string> ReadLink(const std::string& path) {
    std::string target(kLinkBytesMax, '\0');
    const ssize_t got = ::readlink(path.c_str(), target.data(), target.size());
    if (got < 0) {
        return errors::System(path, errno);
    }
    target.resize(static_cast<size_t>(got));
    return target;
}

Error Refuse(const Entry& entry, const std::string& why) {
    return NotSnapshottable(fmt::format("descriptor {} ({}) {}", entry.number, entry.link, why));
}

class Scan final {
  public:
    Scan(int pid, int root_fd, const std::vector<StandIn>& stand_ins)
        : pid_(pid), root_fd_(root_fd), stand_ins_(stand_ins) {}

    Result<ScannedDescriptors> Run() {
        HEARTH_RETURN_IF_ERROR(ReadEntries());
        pid_fd_ = os::Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
        if (!pid_fd_.valid()) {
            return errors::System("pidfd_open", errno);
        }
        HEARTH_TRY(const auto groups, GroupByOpenFile());
        for (const std::vector<size_t>& group : groups) {
            const Entry& first = entries_[group.front()];
            HEARTH_TRY(OpenFile file, Describe(first));
            const auto index = static_cast<uint32_t>(result_.open_files.size());
            result_.open_files.push_back(std::move(file));
            for (const size_t member : group) {
                result_.descriptors.push_back(
                    {.number = entries_[member].number,
                     .close_on_exec = (entries_[member].flags & O_CLOEXEC) != 0,
                     .open_file = index});
            }
        }
        std::ranges::sort(result_.descriptors, {}, &Descriptor::number);
        return std::move(result_);
    }

  private:
    Status ReadEntries() {
        const std::string folder = fmt::format("/proc/{}/fd", pid_);
        HEARTH_TRY(const auto names, os::ListDirectory(AT_FDCWD, folder));
        if (names.size() > kDescriptorsMax) {
            return NotSnapshottable(
                fmt::format("it has more than {} open descriptors", kDescriptorsMax));
        }
        for (const std::string& name : names) {
            const auto number = ParseNumber(name);
            if (!number || *number > static_cast<uint64_t>(kDescriptorNumberMax)) {
                return NotSnapshottable("descriptor " + name + " is too high");
            }
            Entry entry;
            entry.number = static_cast<int32_t>(*number);
            const std::string path = folder + "/" + name;
            HEARTH_TRY(entry.link, ReadLink(path));
            HEARTH_TRY(
                entry.info,
                os::ReadFile(AT_FDCWD, fmt::format("/proc/{}/fdinfo/{}", pid_, name), 4 << 20));
            if (::stat(path.c_str(), &entry.status) != 0) {
                return errors::System(path, errno);
            }
            const auto flags = ParseNumber(FindField(entry.info, "flags").value_or(""), 8);
            if (!flags) {
                return Refuse(entry, "has unreadable flags");
            }
            entry.flags = *flags;
            entries_.push_back(std::move(entry));
        }
        std::ranges::sort(entries_, {}, &Entry::number);
        return {};
    }

    // Descriptors that share an open file (dup, or the same file passed twice) belong together;
    // in the order of their lowest numbers.
    Result<std::vector<std::vector<size_t>>> GroupByOpenFile() const {
        std::vector<size_t> order(entries_.size());
        for (size_t i = 0; i < order.size(); ++i) {
            order[i] = i;
        }
        bool failed = false;
        const auto compare = [&](size_t a, size_t b) {
            // 0: the same, 1: before, 2: behind, in an order of the kernel's own.
            const long answer =
                ::syscall(SYS_kcmp, pid_, pid_, KCMP_FILE, entries_[a].number, entries_[b].number);
            failed |= answer < 0 || answer > 2;
            return answer;
        };
        std::ranges::sort(
            order, [&](size_t a, size_t b) { return a != b && !failed && compare(a, b) == 1; });
        std::vector<std::vector<size_t>> groups;
        for (const size_t index : order) {
            if (groups.empty() || compare(groups.back().front(), index) != 0) {
                groups.emplace_back();
            }
            groups.back().push_back(index);
        }
        if (failed) {
            return NotSnapshottable("the kernel does not compare descriptors (kcmp)");
        }
        for (std::vector<size_t>& group : groups) {
            std::ranges::sort(group);
        }
        std::ranges::sort(groups);
        return groups;
    }

    Result<OpenFile> Describe(const Entry& entry) {
        if ((entry.flags & O_ASYNC) != 0) {
            return Refuse(entry, "sends signals (O_ASYNC)");
        }
        if (FindField(entry.info, "lock").has_value()) {
            return Refuse(entry, "holds a lock");
        }
        OpenFile file;
        file.flags = static_cast<uint32_t>(entry.flags) & kKeptFlags;
        const auto stand_in = std::ranges::find(stand_ins_, entry.status.st_ino, &StandIn::inode);
        const bool is_stream = S_ISSOCK(entry.status.st_mode) || S_ISFIFO(entry.status.st_mode);
        if (is_stream && stand_in != stand_ins_.end()) {
            file.kind = OpenFileKind::kStandIn;
            file.stand_in = stand_in->id;
            HEARTH_RETURN_IF_ERROR(RequireNothingUnread(entry));
            return file;
        }
        switch (entry.status.st_mode & S_IFMT) {
            case S_IFREG:
            case S_IFDIR:
                return DescribePath(entry, std::move(file));
            case S_IFCHR:
                return DescribeDevice(entry, std::move(file));
            case S_IFIFO:
                return DescribePipe(entry, std::move(file));
            case S_IFSOCK:
                return DescribeSocket(entry, std::move(file));
            case 0:
                return DescribeAnonymous(entry, std::move(file));
            default:
                return Refuse(entry, "is of a kind that is not known");
        }
    }

    // A copy of its descriptor, to ask what /proc does not tell.
    Result<os::Fd> Borrow(const Entry& entry) const {
        os::Fd fd(static_cast<int>(::syscall(SYS_pidfd_getfd, pid_fd_.get(), entry.number, 0)));
        if (!fd.valid()) {
            return errors::System(fmt::format("taking descriptor {}", entry.number), errno);
        }
        return fd;
    }

    Status RequireNothingUnread(const Entry& entry) const {
        HEARTH_TRY(const os::Fd fd, Borrow(entry));
        int unread = 0;
        // For the write end of a pipe this counts what the other side has not read: no matter.
        const bool writes_only =
            S_ISFIFO(entry.status.st_mode) && (::fcntl(fd.get(), F_GETFL) & O_ACCMODE) == O_WRONLY;
        if (!writes_only && ::ioctl(fd.get(), FIONREAD, &unread) == 0 && unread != 0) {
            return NotQuiet(fmt::format("{} bytes wait on descriptor {}", unread, entry.number));
        }
        return {};
    }

    Result<OpenFile> DescribePath(const Entry& entry, OpenFile file) const {
        if (entry.link.starts_with("/memfd:")) {
            return Refuse(entry, "is memory that could be shared");
        }
        if (!entry.link.starts_with('/')) {
            return DescribeAnonymous(entry, std::move(file));
        }
        if (entry.status.st_nlink == 0 || entry.link.ends_with(" (deleted)")) {
            return Refuse(entry, "is deleted");
        }
        struct open_how how{};
        how.flags = O_PATH | O_CLOEXEC;
        how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
        const os::Fd named(static_cast<int>(
            ::syscall(SYS_openat2, root_fd_, entry.link.c_str(), &how, sizeof(how))));
        struct stat status{};
        if (!named.valid() || ::fstat(named.get(), &status) != 0 ||
            status.st_dev != entry.status.st_dev || status.st_ino != entry.status.st_ino) {
            return Refuse(entry, "is not at its place any more");
        }
        const auto offset = ParseNumber(FindField(entry.info, "pos").value_or(""));
        if (!offset) {
            return Refuse(entry, "has no position");
        }
        file.kind = OpenFileKind::kPath;
        file.path = entry.link;
        file.offset = *offset;
        return file;
    }

    Result<OpenFile> DescribeDevice(const Entry& entry, OpenFile file) const {
        const dev_t device = entry.status.st_rdev;
        if (major(device) != kMemoryDevices ||
            std::ranges::find(kHarmlessMinors, minor(device)) == kHarmlessMinors.end() ||
            !entry.link.starts_with("/dev/")) {
            return Refuse(entry, "is a device");
        }
        file.kind = OpenFileKind::kDevice;
        file.path = entry.link;
        return file;
    }

    Result<OpenFile> DescribePipe(const Entry& entry, OpenFile file) {
        if (!entry.link.starts_with("pipe:[")) {
            return Refuse(entry, "is a named pipe");
        }
        const uint32_t mode = file.flags & O_ACCMODE;
        if (mode == O_RDWR) {
            return Refuse(entry, "is a pipe open for reading and writing");
        }
        HEARTH_RETURN_IF_ERROR(
            ClaimEnd(entry, static_cast<int>(mode), /*both_inside=*/OtherPipeEndIsInside(entry)));
        file.kind = OpenFileKind::kPipe;
        file.pair = PairOf(entry.status.st_ino);
        HEARTH_TRY(const os::Fd fd, Borrow(entry));
        const int capacity = ::fcntl(fd.get(), F_GETPIPE_SZ);
        if (capacity <= 0) {
            return errors::System("F_GETPIPE_SZ", errno);
        }
        file.pipe_bytes_max = static_cast<uint32_t>(capacity);
        if (mode == O_RDONLY) {
            HEARTH_TRY(file.bytes, CopyPipe(entry, fd.get(), capacity));
        }
        return file;
    }

    // What the pipe holds, left in it: tee copies without taking.
    Result<std::string> CopyPipe(const Entry& entry, int pipe, int capacity) const {
        int unread = 0;
        if (::ioctl(pipe, FIONREAD, &unread) != 0) {
            return errors::System("FIONREAD", errno);
        }
        if (unread == 0) {
            return std::string();
        }
        if (static_cast<uint64_t>(unread) > kPipeBytesMax) {
            return Refuse(entry, "holds too much");
        }
        HEARTH_TRY(auto ends, os::Pipe(O_NONBLOCK));
        (void)::fcntl(ends.second.get(), F_SETPIPE_SZ, capacity);
        const ssize_t copied =
            ::tee(pipe, ends.second.get(), static_cast<size_t>(unread), SPLICE_F_NONBLOCK);
        std::string bytes(static_cast<size_t>(unread), '\0');
        if (copied != unread || ::read(ends.first.get(), bytes.data(), bytes.size()) != copied) {
            return Refuse(entry, "cannot be copied");
        }
        return bytes;
    }

    bool OtherPipeEndIsInside(const Entry& entry) const {
        return std::ranges::any_of(entries_, [&](const Entry& other) {
            return (other.flags & O_ACCMODE) != (entry.flags & O_ACCMODE) &&
                   other.status.st_ino == entry.status.st_ino &&
                   other.status.st_dev == entry.status.st_dev;
        });
    }

    // Two open files for one end (by /proc/self/fd, say) have no description.
    Status ClaimEnd(const Entry& entry, int end, bool both_inside) {
        if (!ends_.emplace(entry.status.st_ino, end).second) {
            return Refuse(entry, "is open twice on its own");
        }
        if (!both_inside) {
            // Its other end may be closed, which a clone repeats, or be somebody else's.
            HEARTH_TRY(const os::Fd fd, Borrow(entry));
            pollfd poll{.fd = fd.get(), .events = POLLIN | POLLOUT, .revents = 0};
            if (::poll(&poll, 1, 0) < 0 || (poll.revents & (POLLHUP | POLLERR)) == 0) {
                return Refuse(entry, "leads to another process");
            }
        }
        return {};
    }

    uint32_t PairOf(uint64_t lower_inode) {
        return pairs_.try_emplace(lower_inode, static_cast<uint32_t>(pairs_.size())).first->second;
    }

    static int Option(int socket, int level, int name) {
        int value = 0;
        socklen_t bytes = sizeof(value);
        return ::getsockopt(socket, level, name, &value, &bytes) == 0 ? value : 0;
    }

    Result<OpenFile> DescribeSocket(const Entry& entry, OpenFile file) {
        HEARTH_TRY(const os::Fd fd, Borrow(entry));
        file.domain = Option(fd.get(), SOL_SOCKET, SO_DOMAIN);
        file.type = Option(fd.get(), SOL_SOCKET, SO_TYPE);
        file.protocol = Option(fd.get(), SOL_SOCKET, SO_PROTOCOL);
        if (file.domain == AF_UNIX) {
            return DescribeUnixSocket(entry, fd.get(), std::move(file));
        }
        if (file.domain != AF_INET && file.domain != AF_INET6 && file.domain != AF_NETLINK) {
            return Refuse(entry, "is a socket of a family that is not known");
        }
        if (file.type == SOCK_RAW && file.domain != AF_NETLINK) {
            return Refuse(entry, "is a raw socket");
        }
        sockaddr_storage peer{};
        socklen_t peer_bytes = sizeof(peer);
        const bool connected =
            ::getpeername(fd.get(), reinterpret_cast<sockaddr*>(&peer), &peer_bytes) == 0 &&
            file.domain != AF_NETLINK;
        const bool listens = Option(fd.get(), SOL_SOCKET, SO_ACCEPTCONN) != 0;
        tcp_info info{};
        socklen_t info_bytes = sizeof(info);
        const bool is_tcp = file.type == SOCK_STREAM &&
                            ::getsockopt(fd.get(), IPPROTO_TCP, TCP_INFO, &info, &info_bytes) == 0;
        // Anything between new and listening is a connection that begins, lives or ends.
        if (connected || (is_tcp && !listens && info.tcpi_state != TCP_CLOSE)) {
            file.kind = OpenFileKind::kDeadSocket;
            return file;
        }
        file.kind = OpenFileKind::kFreshSocket;
        if (file.domain == AF_NETLINK) {
            return file;
        }
        sockaddr_storage own{};
        socklen_t own_bytes = sizeof(own);
        if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&own), &own_bytes) == 0 &&
            PortOf(own) != 0) {
            file.address.assign(reinterpret_cast<const char*>(&own), own_bytes);
        }
        if (listens) {
            // Of a listening socket this is its limit of waiting connections.
            file.backlog = static_cast<int32_t>(std::clamp<uint32_t>(info.tcpi_sacked, 1, 65'535));
        }
        file.socket_options =
            (Option(fd.get(), SOL_SOCKET, SO_REUSEADDR) != 0 ? kReuseAddress : 0U) |
            (Option(fd.get(), SOL_SOCKET, SO_REUSEPORT) != 0 ? kReusePort : 0U) |
            (Option(fd.get(), SOL_SOCKET, SO_KEEPALIVE) != 0 ? kKeepAlive : 0U) |
            (Option(fd.get(), SOL_SOCKET, SO_BROADCAST) != 0 ? kBroadcast : 0U) |
            (file.domain == AF_INET6 && Option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY) != 0 ? kV6Only
                                                                                         : 0U) |
            (is_tcp && Option(fd.get(), IPPROTO_TCP, TCP_NODELAY) != 0 ? kNoDelay : 0U);
        return file;
    }

    static uint16_t PortOf(const sockaddr_storage& address) {
        return address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(address).sin_port;
    }

    Result<OpenFile> DescribeUnixSocket(const Entry& entry, int fd, OpenFile file) {
        if (Option(fd, SOL_SOCKET, SO_ACCEPTCONN) != 0) {
            return Refuse(entry, "is a listening unix socket");
        }
        if (!unix_sockets_) {
            HEARTH_TRY(unix_sockets_, ListUnixSockets(pid_));
        }
        const auto inode = static_cast<uint32_t>(entry.status.st_ino);
        const auto found = unix_sockets_->find(inode);
        if (found == unix_sockets_->end() || found->second.named) {
            return Refuse(entry, "is a unix socket with a name");
        }
        const uint32_t peer = found->second.peer;
        sockaddr_un name{};
        socklen_t name_bytes = sizeof(name);
        if (peer == 0) {
            // Never connected, or the peer has gone: then it is at its end.
            const bool was_connected =
                ::getpeername(fd, reinterpret_cast<sockaddr*>(&name), &name_bytes) == 0 ||
                HungUp(fd, file.type);
            file.kind = was_connected ? OpenFileKind::kDeadSocket : OpenFileKind::kFreshSocket;
            return file;
        }
        const bool inside = std::ranges::any_of(entries_, [&](const Entry& other) {
            return S_ISSOCK(other.status.st_mode) && other.status.st_ino == peer;
        });
        if (!inside) {
            return Refuse(entry, "is a unix socket to another process");
        }
        if (!ends_.emplace(entry.status.st_ino, 0).second) {
            return Refuse(entry, "is open twice on its own");
        }
        file.kind = OpenFileKind::kSocketPair;
        file.pair = PairOf(std::min(inode, peer));
        HEARTH_TRY(file.bytes, PeekSocket(entry, fd, file.type));
        return file;
    }

    static bool HungUp(int fd, int type) {
        pollfd poll{.fd = fd, .events = 0, .revents = 0};
        // A stream socket that was never connected says so too.
        char byte = 0;
        const bool refused =
            ::send(fd, &byte, 0, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == ENOTCONN;
        return type == SOCK_STREAM && !refused && ::poll(&poll, 1, 0) == 1;
    }

    // What waits in it, left there.
    Result<std::string> PeekSocket(const Entry& entry, int fd, int type) const {
        int unread = 0;
        if (::ioctl(fd, FIONREAD, &unread) != 0) {
            return errors::System("FIONREAD", errno);
        }
        if (unread == 0) {
            return std::string();
        }
        if (type != SOCK_STREAM || static_cast<uint64_t>(unread) > kPipeBytesMax) {
            return Refuse(entry, "holds messages");
        }
        std::string bytes(static_cast<size_t>(unread), '\0');
        iovec part{.iov_base = bytes.data(), .iov_len = bytes.size()};
        std::array<char, 256> control;
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const ssize_t got = ::recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (got != unread || message.msg_controllen != 0) {
            return Refuse(entry, "holds messages or descriptors");
        }
        return bytes;
    }

    Result<OpenFile> DescribeAnonymous(const Entry& entry, OpenFile file) const {
        if (entry.link == "anon_inode:[eventfd]") {
            const auto count = ParseNumber(FindField(entry.info, "eventfd-count").value_or(""), 16);
            if (!count) {
                return Refuse(entry, "has no count");
            }
            file.kind = OpenFileKind::kEventFd;
            file.event_count = *count;
            file.event_semaphore = FindField(entry.info, "eventfd-semaphore") == "1";
            return file;
        }
        if (entry.link == "anon_inode:[timerfd]") {
            HEARTH_TRY(const TimerLines timer, ParseTimer(entry.info));
            file.kind = OpenFileKind::kTimerFd;
            file.timer_clock = timer.clock;
            // One that has fired and was not read yet stands still, whatever its interval: in a
            // clone it fires at once.
            const bool fired = timer.ticks != 0 || (timer.value_ns == 0 && timer.interval_ns != 0);
            file.timer_value_ns = fired ? 1 : timer.value_ns;
            file.timer_interval_ns = timer.interval_ns;
            return file;
        }
        if (entry.link == "anon_inode:[eventpoll]") {
            return DescribeEpoll(entry, std::move(file));
        }
        return Refuse(entry, "is of a kind that a snapshot cannot hold");
    }

    Result<OpenFile> DescribeEpoll(const Entry& entry, OpenFile file) const {
        HEARTH_TRY(const auto lines, ParseEpoll(entry.info));
        if (lines.size() > kEpollMembersMax) {
            return Refuse(entry, "has too many members");
        }
        file.kind = OpenFileKind::kEpoll;
        for (const EpollLine& line : lines) {
            // The number is that of the time of adding: the file may have moved or been closed
            // since, and only what it was then is registered.
            const auto member = std::ranges::lower_bound(entries_, line.number, {}, &Entry::number);
            if (member == entries_.end() || member->number != line.number ||
                member->status.st_ino != line.inode) {
                return Refuse(
                    entry, fmt::format("watches descriptor {}, which is closed", line.number));
            }
            file.members.push_back(
                {.number = line.number, .events = line.events, .data = line.data});
        }
        std::ranges::sort(file.members, {}, &EpollMember::number);
        return file;
    }

    int pid_;
    int root_fd_;
    const std::vector<StandIn>& stand_ins_;
    os::Fd pid_fd_;
    std::vector<Entry> entries_;
    std::map<uint64_t, uint32_t> pairs_;
    std::set<std::pair<uint64_t, int>> ends_;
    std::optional<std::unordered_map<uint32_t, UnixSocket>> unix_sockets_;
    ScannedDescriptors result_;
};

}  // namespace

Result<ScannedDescriptors> ScanDescriptors(
    int pid, int root_fd, const std::vector<StandIn>& stand_ins) {
    return Scan(pid, root_fd, stand_ins).Run();
}

}  // namespace hearth::snapshot
