#include "sandbox/snapshot/template.h"

#include "sandbox/snapshot/identity.h"
#include "sandbox/snapshot/proc.h"
#include "sandbox/snapshot/template_plan.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

namespace hearth::snapshot {
namespace {

using Clock = std::chrono::steady_clock;

long RawCall(long number, long a, long b, long c, long d, long e, long f) {
    long result = 0;
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return result;
}

// What the child does on its copy of our memory and stack until the restorer takes over: nothing
// that could take a lock, and nothing that a sanitizer watches, since the zone is not its memory.
struct Takeover {
    const Zone* zone;
    const ZonePart* parts;
    size_t part_count;
    rlimit64 descriptors_limit;
};

enum TakeoverExit : int { kExitNoRoom = 101, kExitNoMemory = 102, kExitNoProtection = 103 };

[[noreturn]] __attribute__((no_sanitize("all"), noinline)) void TakeOver(const Takeover& takeover) {
    const Zone& zone = *takeover.zone;
    const auto as_long = [](auto value) { return static_cast<long>(value); };
    (void)RawCall(
        SYS_prlimit64,
        0,
        RLIMIT_NOFILE,
        reinterpret_cast<long>(&takeover.descriptors_limit),
        0,
        0,
        0);
    int exit_code = 0;
    const long at = RawCall(
        SYS_mmap,
        as_long(zone.start),
        as_long(zone.bytes),
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
        -1,
        0);
    if (at != as_long(zone.start)) {
        exit_code = kExitNoRoom;
    }
    for (size_t i = 0; exit_code == 0 && i < takeover.part_count; ++i) {
        const ZonePart& part = takeover.parts[i];
        uint64_t to = part.address;
        const char* from = part.bytes.data();
        uint64_t count = part.bytes.size();
        asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count)::"memory");
        const uint64_t bytes = (part.bytes.size() + kPageBytes - 1) / kPageBytes * kPageBytes;
        if (part.executable && RawCall(
                                   SYS_mprotect,
                                   as_long(part.address),
                                   as_long(bytes),
                                   PROT_READ | PROT_EXEC,
                                   0,
                                   0,
                                   0) != 0) {
            exit_code = kExitNoProtection;
        }
    }
    if (exit_code == 0) {
        asm volatile("jmp *%0" ::"a"(zone.entry), "D"(zone.plan), "S"(zone.stack_top) : "memory");
        __builtin_unreachable();
    }
    for (;;) {
        (void)RawCall(SYS_exit_group, exit_code, 0, 0, 0, 0, 0);
    }
}

// fork() of the C library would take its locks and run its handlers, for a child that has no use
// for the library.
__attribute__((no_sanitize("all"), noinline)) long StartProcess(
    const Takeover& takeover, int* pidfd) {
    clone_args arguments{};
    arguments.flags = CLONE_PIDFD;
    arguments.pidfd = reinterpret_cast<uint64_t>(pidfd);
    arguments.exit_signal = SIGCHLD;
    const long result =
        RawCall(SYS_clone3, reinterpret_cast<long>(&arguments), sizeof(arguments), 0, 0, 0, 0);
    if (result == 0) {
        TakeOver(takeover);
    }
    return result;
}

std::string_view BytesOf(const auto& value) {
    return {static_cast<const char*>(static_cast<const void*>(&value)), sizeof(value)};
}

// One message with descriptors.
Status SendMessage(int socket, std::string_view bytes, const std::vector<int>& fds) {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    std::vector<char> control(fds.empty() ? 0 : CMSG_SPACE(fds.size() * sizeof(int)));
    if (!fds.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
        std::memcpy(CMSG_DATA(head), fds.data(), fds.size() * sizeof(int));
    }
    for (;;) {
        if (::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0) {
            return {};
        }
        if (errno == EPIPE || errno == ECONNRESET) {
            return errors::Unavailable("the template is gone");
        }
        if (errno != EINTR) {
            return errors::System("ask the template", errno);
        }
    }
}

// Kills it and waits for its end. Somebody else's child is reaped by them.
void Reap(int pidfd) {
    if (pidfd < 0) {
        return;
    }
    (void)::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
    siginfo_t info{};
    while (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | __WALL) != 0 &&
           errno == EINTR) {
    }
}

// "step: strerror (detail)".
std::string DescribeFailure(const RestorerReply& reply) {
    std::string step(reply.step, ::strnlen(reply.step, sizeof(reply.step)));
    std::string text = step.empty() ? "restore" : step;
    if (reply.error != 0) {
        text += std::string(": ") + ::strerror(reply.error);
    }
    if (reply.detail != 0) {
        text += " (" + std::to_string(reply.detail) + ")";
    }
    return text;
}

// What a template is made from, with the descriptors that it needs until it serves.
struct Preparation {
    static Result<Preparation> Make(
        const Image& image, const TemplateOptions& options, int control_fd);

    PlanInputs inputs;
    std::vector<os::Fd> files;
};

Takeover MakeTakeover(const Zone& zone) {
    Takeover takeover{&zone, zone.parts.data(), zone.parts.size(), {}};
    (void)::getrlimit64(RLIMIT_NOFILE, &takeover.descriptors_limit);
    takeover.descriptors_limit.rlim_cur = takeover.descriptors_limit.rlim_max;
    return takeover;
}

// All signals, so that none of ours runs a handler in the child.
class SignalsBlocked final {
  public:
    SignalsBlocked() {
        sigset_t all;
        ::sigfillset(&all);
        (void)::pthread_sigmask(SIG_BLOCK, &all, &before_);
    }

    ~SignalsBlocked() { (void)::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

  private:
    sigset_t before_{};
};

}  // namespace

int32_t PidOf(const os::Fd& pidfd) {
    std::ifstream file("/proc/self/fdinfo/" + std::to_string(pidfd.get()));
    std::stringstream text;
    text << file.rdbuf();
    const auto field = FindField(text.str(), "Pid");
    return field ? static_cast<int32_t>(ParseNumber(*field).value_or(0)) : 0;
}

Result<std::pair<os::Fd, os::Fd>> TemplateSockets() {
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return errors::System("socketpair", errno);
    }
    return std::pair(os::Fd(ends[0]), os::Fd(ends[1]));
}

Result<Preparation> Preparation::Make(
    const Image& image, const TemplateOptions& options, int control_fd) {
    if (options.filter.size() % 8 != 0 || options.filter.size() / 8 > 4096) {
        return errors::Internal("a filter of a wrong size");
    }
    Preparation made;
    std::set<uint32_t> wanted;
    for (const Area& area : image.areas) {
        if (area.kind == AreaKind::kPrivateFile || area.kind == AreaKind::kSharedFile) {
            wanted.insert(area.file);
        }
    }
    if (image.memory.exe != kNoFile) {
        wanted.insert(image.memory.exe);
    }
    made.inputs.file_fds.assign(image.files.size(), -1);
    for (const uint32_t index : wanted) {
        HEARTH_TRY(os::Fd file, OpenMappedFile(options.root_fd, image.files[index]));
        made.inputs.file_fds[index] = file.get();
        made.files.push_back(std::move(file));
    }
    const os::Fd& null = made.files.emplace_back(::open("/dev/null", O_RDWR | O_CLOEXEC));
    made.inputs.null_fd = null.get();
    const os::Fd& pid_namespace =
        made.files.emplace_back(::open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));
    made.inputs.pid_namespace_fd = pid_namespace.get();
    if (made.inputs.null_fd < 0 || made.inputs.pid_namespace_fd < 0) {
        return errors::System("open /dev/null and the pid namespace", errno);
    }
    made.inputs.image = &image;
    made.inputs.image_fd = options.image_fd;
    made.inputs.control_fd = control_fd;
    made.inputs.uid = options.uid.value_or(kNone);
    made.inputs.gid = options.gid.value_or(made.inputs.uid);
    made.inputs.no_new_privs = options.no_new_privs || !options.filter.empty();
    made.inputs.filter = options.filter;
    for (const WorkingSetRange& range : options.working_set) {
        made.inputs.working_set.push_back(
            {range.address | (range.written ? 1 : 0), range.address + range.pages * kPageBytes});
    }
    return made;
}

Error BecomeTemplate(const Image& image, const TemplateOptions& options, const os::Fd& socket) {
    auto preparation = Preparation::Make(image, options, socket.get());
    if (!preparation.ok()) {
        return std::move(preparation).error();
    }
    const auto maker = ReadMaker();
    if (!maker.ok()) {
        return maker.error();
    }
    preparation->inputs.maker = &*maker;
    const auto zone = BuildZone(preparation->inputs);
    if (!zone.ok()) {
        return zone.error();
    }
    const Takeover takeover = MakeTakeover(*zone);
    sigset_t all;
    ::sigfillset(&all);
    (void)::sigprocmask(SIG_BLOCK, &all, nullptr);
    TakeOver(takeover);
}

Result<std::unique_ptr<Template>> Template::Start(
    const Image& image, const TemplateOptions& options) {
    HEARTH_TRY(auto sockets, TemplateSockets());
    HEARTH_TRY(auto preparation, Preparation::Make(image, options, sockets.second.get()));
    // Another thread may map something where the hole was: then there is another one.
    constexpr int kPlacesTried = 3;
    int pidfd = -1;
    long pid = 0;
    for (int attempt = 1;; ++attempt) {
        HEARTH_TRY(const MakerFacts maker, ReadMaker());
        preparation.inputs.maker = &maker;
        HEARTH_TRY(const Zone zone, BuildZone(preparation.inputs));
        const Takeover takeover = MakeTakeover(zone);
        {
            const SignalsBlocked blocked;
            pid = StartProcess(takeover, &pidfd);
        }
        if (pid < 0) {
            return errors::System("start the template", static_cast<int>(-pid));
        }
        if (attempt == kPlacesTried) {
            break;
        }
        // Serving, failed or ended: only the last may be worth another try.
        pollfd polls[2] = {{sockets.first.get(), POLLIN, 0}, {pidfd, POLLIN, 0}};
        if (::poll(polls, 2, static_cast<int>(options.build_timeout.count())) <= 0 ||
            polls[0].revents != 0) {
            break;
        }
        siginfo_t info{};
        if (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | WNOWAIT | __WALL) != 0 ||
            info.si_code != CLD_EXITED || info.si_status != kExitNoRoom) {
            break;
        }
        const os::Fd ended(pidfd);
        Reap(ended.get());
    }
    std::unique_ptr<Template> made(
        new Template(std::move(sockets.first), os::Fd(pidfd), static_cast<int32_t>(pid)));
    // Only the template holds its end now, so that its end is seen.
    sockets.second.Close();
    auto event = made->Wait(Clock::now() + options.build_timeout);
    if (!event.ok()) {
        return std::move(event).error().WithContext("build a template");
    }
    if (event->kind != CloneEvent::Kind::kServing) {
        return errors::Unavailable("build a template: " + event->error);
    }
    return made;
}

Template::~Template() {
    Reap(pidfd_.get());
}

Result<uint64_t> TemplateControl::RequestClone(const CloneRequest& request) {
    if (request.cgroup_fds.size() > kCgroupsMax || request.stand_ins.size() > kStandInsMax ||
        request.limits.size() > kLimitsMax) {
        return errors::Internal("a clone of too many parts");
    }
    RestorerRequest message{};
    message.magic = kRestorerMagic;
    message.kind = kRequestClone;
    message.serial = ++serial_;
    message.has_sandbox = request.sandbox_pidfd >= 0 ? 1 : 0;
    message.has_ready = request.ready_fd >= 0 ? 1 : 0;
    message.cgroups = static_cast<uint32_t>(request.cgroup_fds.size());
    message.namespaces = static_cast<uint32_t>(request.namespaces);
    message.populate = request.populate ? 1 : 0;
    message.new_session = request.new_session ? 1 : 0;
    message.adopted = request.adopted ? 1 : 0;
    message.restrict_files = request.restrict_files ? 1 : 0;
    message.limit_count = static_cast<uint32_t>(request.limits.size());
    for (size_t i = 0; i < request.limits.size(); ++i) {
        message.limits[i] = {
            static_cast<uint32_t>(request.limits[i].resource),
            0,
            request.limits[i].soft,
            request.limits[i].hard};
    }
    std::vector<int> fds;
    if (request.sandbox_pidfd >= 0) {
        fds.push_back(request.sandbox_pidfd);
    }
    if (request.ready_fd >= 0) {
        fds.push_back(request.ready_fd);
    }
    fds.insert(fds.end(), request.cgroup_fds.begin(), request.cgroup_fds.end());
    for (size_t i = 0; i < request.stand_ins.size(); ++i) {
        if (request.stand_ins[i] >= 0) {
            message.stand_in_ids[message.stand_ins++] = static_cast<uint32_t>(i);
            fds.push_back(request.stand_ins[i]);
        }
    }
    HEARTH_RETURN_IF_ERROR(SendMessage(socket_.get(), BytesOf(message), fds));
    return serial_;
}

Result<std::optional<CloneEvent>> TemplateControl::Receive() {
    RestorerReply reply{};
    iovec part{&reply, sizeof(reply)};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t count = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return std::optional<CloneEvent>();
    }
    if (count <= 0) {
        return errors::Unavailable("the template is gone");
    }
    CloneEvent event;
    if (const cmsghdr* head = CMSG_FIRSTHDR(&message);
        head != nullptr && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(head), sizeof(fd));
        event.pidfd = os::Fd(fd);
    }
    if (count != sizeof(reply) || reply.magic != kRestorerMagic) {
        return errors::Internal("the template says what it cannot say");
    }
    event.serial = reply.serial;
    event.pid = reply.pid;
    event.times = {
        reply.times_ns[kTimeRequested],
        reply.times_ns[kTimeStarted],
        reply.times_ns[kTimeJoined],
        reply.times_ns[kTimeDescriptors],
        reply.times_ns[kTimeThreads],
        reply.times_ns[kTimeRestored]};
    switch (reply.kind) {
        case kReplyCloned:
            event.kind = CloneEvent::Kind::kStarted;
            break;
        case kReplyRestored:
            event.kind = CloneEvent::Kind::kRestored;
            break;
        case kReplyServing:
            event.kind = CloneEvent::Kind::kServing;
            break;
        case kReplyWorkingSet:
            event.kind = CloneEvent::Kind::kWorkingSet;
            break;
        default:
            event.kind = CloneEvent::Kind::kFailed;
            event.error = DescribeFailure(reply);
    }
    return std::optional<CloneEvent>(std::move(event));
}

Result<CloneEvent> Template::Wait(std::chrono::steady_clock::time_point deadline) {
    for (;;) {
        HEARTH_TRY(auto event, control_.Receive());
        if (event) {
            return *std::move(event);
        }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
        if (left.count() <= 0) {
            return errors::Unavailable("the template does not answer in time");
        }
        // Its end counts too: clones that are being made hold the socket open.
        pollfd polls[2] = {{control_.fd(), POLLIN, 0}, {pidfd_.get(), POLLIN, 0}};
        if (::poll(polls, 2, static_cast<int>(left.count())) < 0 && errno != EINTR) {
            return errors::System("poll", errno);
        }
        if (polls[0].revents == 0 && polls[1].revents != 0) {
            siginfo_t info{};
            (void)::waitid(
                P_PIDFD,
                static_cast<id_t>(pidfd_.get()),
                &info,
                WEXITED | WNOWAIT | WNOHANG | __WALL);
            return errors::Unavailable(
                "the template has ended (" +
                std::string(info.si_code == CLD_EXITED ? "exit " : "signal ") +
                std::to_string(info.si_status) + ")");
        }
    }
}

Result<Template::Clone> Template::MakeClone(
    const CloneRequest& request, std::chrono::milliseconds timeout) {
    HEARTH_TRY(const uint64_t serial, control_.RequestClone(request));
    const auto deadline = Clock::now() + timeout;
    Clone clone;
    for (;;) {
        auto event = Wait(deadline);
        if (!event.ok()) {
            Reap(clone.pidfd.get());
            return std::move(event).error().WithContext("clone");
        }
        if (event->serial != serial) {
            continue;
        }
        switch (event->kind) {
            case CloneEvent::Kind::kStarted:
                clone.pid = event->pid;
                clone.pidfd = std::move(event->pidfd);
                break;
            case CloneEvent::Kind::kRestored:
                clone.times = event->times;
                break;
            case CloneEvent::Kind::kFailed:
                // The child may be quicker with its failure than the template with its number.
                if (!clone.pidfd.valid()) {
                    auto started = Wait(Clock::now() + std::chrono::milliseconds(100));
                    if (started.ok() && started->serial == serial) {
                        clone.pidfd = std::move(started->pidfd);
                    }
                }
                Reap(clone.pidfd.get());
                return errors::Unavailable("clone: " + event->error);
            case CloneEvent::Kind::kServing:
            case CloneEvent::Kind::kWorkingSet:
                break;
        }
        if (clone.pidfd.valid() && clone.times.restored != 0) {
            return clone;
        }
    }
}

Result<size_t> TemplateControl::RequestWorkingSet(const std::vector<WorkingSetRange>& ranges) {
    size_t messages = 0;
    size_t done = 0;
    do {
        WorkingSetRequest message{};
        message.magic = kRestorerMagic;
        message.kind = kRequestWorkingSet;
        message.serial = ++serial_;
        message.append = messages != 0 ? 1 : 0;
        while (done < ranges.size() && message.count < kWorkingSetChunk) {
            const WorkingSetRange& range = ranges[done++];
            message.ranges[message.count++] = {
                range.address | (range.written ? 1 : 0), range.address + range.pages * kPageBytes};
        }
        HEARTH_RETURN_IF_ERROR(SendMessage(socket_.get(), BytesOf(message), {}));
        ++messages;
    } while (done < ranges.size());
    return messages;
}

Status Template::SetWorkingSet(const std::vector<WorkingSetRange>& ranges) {
    HEARTH_TRY(size_t messages, control_.RequestWorkingSet(ranges));
    for (; messages > 0; --messages) {
        HEARTH_TRY(const CloneEvent event, Wait(Clock::now() + std::chrono::seconds(10)));
        if (event.kind != CloneEvent::Kind::kWorkingSet) {
            return errors::Unavailable("set a working set: " + event.error);
        }
    }
    return {};
}

Result<TemplateMemory> Template::ReadMemory() const {
    const std::string base = "/proc/" + std::to_string(pid_);
    const auto read = [](const std::string& path) {
        std::ifstream file(path);
        std::stringstream text;
        text << file.rdbuf();
        return text.str();
    };
    const std::string rollup = read(base + "/smaps_rollup");
    const std::string status = read(base + "/status");
    const auto kilobytes = [](const std::string& text, std::string_view name) -> uint64_t {
        const auto field = FindField(text, name);
        if (!field) {
            return 0;
        }
        return ParseNumber(field->substr(0, field->find(' '))).value_or(0) * 1024;
    };
    if (rollup.empty()) {
        return errors::Unavailable("the template is gone");
    }
    TemplateMemory memory;
    memory.resident_bytes = kilobytes(rollup, "Rss");
    memory.private_bytes = kilobytes(rollup, "Private_Dirty") + kilobytes(rollup, "Private_Clean");
    memory.page_table_bytes = kilobytes(status, "VmPTE");
    return memory;
}

}  // namespace hearth::snapshot
