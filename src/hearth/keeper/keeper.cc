#include "hearth/keeper/keeper.h"

#include "base/log.h"
#include "hearth/keeper/listening_socket.h"
#include "hearth/keeper/notify.h"
#include "hearth/keeper/ready_text.h"

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>

namespace hearth::keeper {
namespace {

using namespace std::chrono_literals;

// The cloud's user where the machine has no user `hearth`: an id that no distribution gives out.
constexpr uid_t kFallbackUid = 61166;
// A program that ran this long before it died is started again at once.
constexpr auto kHealthyAfter = 10s;
constexpr auto kBackOffMin = 100ms;
constexpr auto kBackOffMax = 5s;
// In-flight calls may take this long after SIGTERM; then the environments another while.
constexpr auto kCloudStopMax = 30s;
constexpr auto kHostStopMax = 10s;
// hearth-cloud's exit status for what a restart will not cure.
constexpr int kExitHopeless = 2;
// Until the cloud was ready once, a cloud that is killed again and again is given up.
constexpr int kFirstStartsMax = 3;
// Each environment costs the host and the cloud a few descriptors.
constexpr rlim_t kOpenFilesMax = 1U << 20U;

Credentials CloudUser() {
    if (const passwd* user = ::getpwnam("hearth"); user != nullptr && user->pw_uid != 0) {
        return {user->pw_uid, user->pw_gid};
    }
    return {kFallbackUid, kFallbackUid};
}

std::string ProgramDirectory() {
    std::error_code ignored;
    return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path().string();
}

void RaiseOpenFilesLimit() {
    rlimit limit = {};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    rlimit wanted = {
        std::max(limit.rlim_max, kOpenFilesMax), std::max(limit.rlim_max, kOpenFilesMax)};
    if (::setrlimit(RLIMIT_NOFILE, &wanted) != 0) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

// A network namespace that outlives every host process; nothing is in it but a loopback that is
// down.
Result<os::Fd> MakeNetworkNamespace() {
    const os::Fd own(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!own.valid() || ::unshare(CLONE_NEWNET) != 0) {
        return errors::System("making a network namespace", errno);
    }
    os::Fd made(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    const int error = errno;
    if (::setns(own.get(), CLONE_NEWNET) != 0) {
        return errors::System("returning to the machine's network", errno);
    }
    if (!made.valid()) {
        return errors::System("opening a network namespace", error);
    }
    return made;
}

std::string DescribeEnd(int wait_status) {
    if (WIFSIGNALED(wait_status)) {
        return fmt::format("was killed by signal {}", WTERMSIG(wait_status));
    }
    return fmt::format("ended with status {}", WEXITSTATUS(wait_status));
}

std::string_view LevelName(log::Level level) {
    switch (level) {
        case log::Level::kDebug:
            return "debug";
        case log::Level::kInfo:
            return "info";
        case log::Level::kWarn:
            return "warn";
        case log::Level::kError:
            return "error";
    }
    return "info";
}

// The installation an interpreter belongs to (/opt/python3.13 for /opt/python3.13/bin/python3.13),
// when environments would not see it anyway.
std::optional<std::string> InstallationOf(const std::string& interpreter) {
    std::error_code error;
    const auto real = std::filesystem::canonical(interpreter, error);
    if (error) {
        return std::nullopt;
    }
    auto directory = real.parent_path();
    if (directory.filename() == "bin") {
        directory = directory.parent_path();
    }
    if (directory.empty() || directory == "/" || directory == "/usr") {
        return std::nullopt;
    }
    return directory.string();
}

}  // namespace

Keeper::Keeper(UpOptions options) : options_(std::move(options)) {
    cloud_.name = "hearth-cloud";
    host_.name = "hearth-host";
}

Status Keeper::Prepare() {
    HEARTH_TRY(options_, CheckUpOptions(std::move(options_)));
    privileged_ = ::geteuid() == 0;
    cloud_user_ = privileged_ ? CloudUser() : Credentials{::getuid(), ::getgid()};
    RaiseOpenFilesLimit();
    HEARTH_TRY(cloud_.program, Program::Open(cloud_.name, privileged_));
    HEARTH_TRY(host_.program, Program::Open(host_.name, false));
    HEARTH_TRY(data_, DataDirectory::Open(options_.data, privileged_, cloud_user_));
    HEARTH_TRY(
        tiers_,
        TierDirectories::Open(options_.tier, data_->path(), data_->fd(), privileged_, cloud_user_));
    HEARTH_TRY(listener_, Listen(options_.bind, options_.port));
    options_.port = LocalPort(listener_.get());
    if (!options_.master_key_file.empty()) {
        HEARTH_TRY(master_key_, OpenForCloud(options_.master_key_file));
    }
    if (!options_.hot_reload.empty()) {
        // One spelling for host, cloud and callers; opened here because the cloud may not reach it.
        std::error_code error;
        options_.hot_reload = std::filesystem::canonical(options_.hot_reload, error).string();
        hot_reload_ = os::Fd(::open(options_.hot_reload.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (error || !hot_reload_.valid()) {
            return errors::Malformed("--hot-reload: not a directory that can be opened");
        }
    }
    if (options_.tls == "files") {
        HEARTH_TRY(tls_cert_, OpenForCloud(options_.tls_cert));
        HEARTH_TRY(tls_key_, OpenForCloud(options_.tls_key));
    }
    std::array<int, 2> pair = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) {
        return errors::System("socketpair", errno);
    }
    cloud_channel_ = os::Fd(pair[0]);
    host_channel_ = os::Fd(pair[1]);
    return {};
}

Result<os::Fd> Keeper::OpenForCloud(const std::string& path) const {
    os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid()) {
        return errors::System(path, errno);
    }
    return file;
}

int Keeper::Run() {
    sigset_t mask;
    ::sigemptyset(&mask);
    for (const int signal_number : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) {
        ::sigaddset(&mask, signal_number);
    }
    ::sigprocmask(SIG_BLOCK, &mask, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    signals_ = os::Fd(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));

    host_.start_at = Clock::now();
    cloud_.start_at = Clock::now();
    while (true) {
        if (!stopping_) {
            if (auto started = StartDue(); !started.ok()) {
                log::Error("{}", started.error().message());
                exit_status_ = 1;
                BeginStop();
            }
        }
        if (stopping_ && cloud_.pid == 0 && host_.pid == 0 && egress_helper_ == 0) {
            break;
        }
        std::array<pollfd, 2> watched = {
            pollfd{signals_.get(), POLLIN, 0}, pollfd{ready_pipe_.get(), POLLIN, 0}};
        ::poll(watched.data(), watched.size(), PollTimeoutMs());
        if (watched[0].revents != 0) {
            OnSignal();
        }
        if (ready_pipe_.valid() && watched[1].revents != 0) {
            OnReadyPipe();
        }
        StopOverdue();
    }
    Sweep();
    RemoveEgress();
    data_->RemoveFile(kEndpointFile);
    return exit_status_;
}

Status Keeper::StartDue() {
    const auto now = Clock::now();
    // The cloud first: readiness waits for it alone.
    if (cloud_.start_at && *cloud_.start_at <= now) {
        HEARTH_RETURN_IF_ERROR(StartCloud());
    }
    if (host_.start_at && *host_.start_at <= now) {
        HEARTH_RETURN_IF_ERROR(StartHost());
    }
    return {};
}

int Keeper::PollTimeoutMs() const {
    std::optional<Clock::time_point> next = stop_deadline_;
    for (const Ward* ward : {&cloud_, &host_}) {
        if (!stopping_ && ward->start_at && (!next || *ward->start_at < *next)) {
            next = ward->start_at;
        }
    }
    if (!next) {
        return -1;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now());
    return static_cast<int>(std::max<int64_t>(0, left.count()));
}

Status Keeper::Start(Ward* ward, const ChildSpec& spec) {
    HEARTH_TRY(ward->pid, spec.Start());
    ward->started = Clock::now();
    ward->start_at.reset();
    return {};
}

ChildSpec Keeper::HostSpec() const {
    ChildSpec spec(*host_.program);
    spec.Give("--channel-fd", host_channel_.get()).Give("--data-fd", data_->fd());
    if (host_network_.valid()) {
        spec.Give("--netns-fd", host_network_.get());
    }
    spec.Arg("--data-name", data_->path())
        .Arg("--uid", std::to_string(cloud_user_.uid))
        .Arg("--gid", std::to_string(cloud_user_.gid))
        .Arg("--isolation", options_.isolation)
        .Arg("--egress", options_.egress)
        .Arg("--log-level", std::string(LevelName(options_.log_level)));
    spec.Arg("--expose", ProgramDirectory() + "/runtimes");
    if (!options_.hot_reload.empty()) {
        spec.Arg("--expose", options_.hot_reload);
    }
    std::set<std::string> shown;
    for (const auto& runtime : options_.runtime) {
        const auto directory = InstallationOf(runtime.substr(runtime.find('=') + 1));
        if (directory && shown.insert(*directory).second) {
            spec.Arg("--show", *directory);
        }
    }
    return spec;
}

Status Keeper::EnsureHostNetwork() {
    if (!privileged_ || options_.isolation == "none" || host_network_.valid()) {
        return {};
    }
    auto network = MakeNetworkNamespace();
    if (network.ok()) {
        host_network_ = *std::move(network);
        return {};
    }
    return options_.isolation == "namespaces" ? Status(std::move(network).error()) : Status();
}

Status Keeper::StartHost() {
    HEARTH_RETURN_IF_ERROR(EnsureHostNetwork());
    if (host_network_.valid() && options_.egress == "on" && !has_egress_) {
        has_egress_ = true;
        HEARTH_TRY(egress_helper_, StartEgressHelper("--egress-setup"));
        host_.start_at.reset();
        return {};  // OnEgressReady goes on.
    }
    return Start(&host_, HostSpec());
}

Result<pid_t> Keeper::StartEgressHelper(const std::string& mode) const {
    ChildSpec spec(*host_.program);
    spec.Arg(mode)
        .Give("--netns-fd", host_network_.get())
        .Arg("--data-name", data_->path())
        .Arg("--block-port", std::to_string(options_.port));
    return spec.Start();
}

void Keeper::OnEgressReady(int wait_status) {
    egress_helper_ = 0;
    if (wait_status != 0) {
        log::Warn("functions have no way out of this machine; --egress off says so on purpose");
    }
    if (!stopping_) {
        host_.start_at = Clock::now();
    }
}

void Keeper::RemoveEgress() {
    if (has_egress_) {
        RunToEnd(StartEgressHelper("--egress-remove"));
    }
}

void Keeper::Sweep() {
    if (!host_put_all_away_) {
        ChildSpec spec(*host_.program);
        spec.Arg("--sweep").Arg("--data-name", data_->path());
        RunToEnd(spec.Start());
    }
}

void Keeper::RunToEnd(Result<pid_t> helper) {
    int wait_status = 0;
    while (helper.ok() && ::waitpid(*helper, &wait_status, 0) < 0 && errno == EINTR) {
    }
}

Status Keeper::StartCloud() {
    std::array<int, 2> pipe = {-1, -1};
    if (::pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
        return errors::System("pipe", errno);
    }
    ready_pipe_ = os::Fd(pipe[0]);
    const os::Fd ready_end(pipe[1]);
    ChildSpec spec(*cloud_.program);
    spec.Give("--listen-fd", listener_.get())
        .Give("--ready-fd", ready_end.get())
        .Give("--host-fd", cloud_channel_.get())
        .Inherit(data_->lock_fd())
        .In(data_->fd());
    if (privileged_) {
        spec.DropTo(cloud_user_);
    }
    if (master_key_.valid()) {
        spec.Give("--master-key-fd", master_key_.get());
    }
    if (options_.tls == "files") {
        spec.Give("--tls-cert-fd", tls_cert_.get()).Give("--tls-key-fd", tls_key_.get());
    }
    if (options_.tls == "self" && !IsLoopback(options_.bind)) {
        spec.Arg("--tls-name", options_.bind);
    }
    spec.Arg("--endpoint", Endpoint())
        .Arg("--auth", options_.auth)
        .Arg("--durability", options_.durability)
        .Arg("--encrypt-at-rest", options_.encrypt_at_rest)
        .Arg("--isolation", options_.isolation)
        .Arg("--egress", options_.egress)
        .Arg("--cpu", options_.cpu)
        .Arg("--tls", options_.tls)
        .Arg("--runtimes", options_.runtimes)
        .Arg("--account-concurrency", std::to_string(options_.account_concurrency))
        .Arg("--scrub-days", std::to_string(options_.scrub_days))
        .Arg("--spares", std::to_string(options_.spares))
        .Arg("--spare-memory", std::to_string(options_.spare_memory_mb))
        .Arg("--snapstart-runtimes", options_.snapstart_runtimes)
        .Arg("--snapshots", options_.snapshots)
        .Arg("--library", ProgramDirectory())
        .Arg("--log-level", std::string(LevelName(options_.log_level)));
    if (options_.threads > 0) {
        spec.Arg("--threads", std::to_string(options_.threads));
    }
    for (const auto& runtime : options_.runtime) {
        spec.Arg("--runtime", runtime);
    }
    if (!options_.hot_reload.empty()) {
        spec.Arg("--hot-reload", options_.hot_reload).Give("--hot-reload-fd", hot_reload_.get());
    }
    tiers_.GiveTo(spec);
    if (options_.test_clock) {
        spec.Arg("--test-clock");
    }
    if (options_.lenient) {
        spec.Arg("--lenient");
    }
    // A new cloud reads key and certificate files from their beginning.
    for (const os::Fd* file : {&master_key_, &tls_cert_, &tls_key_}) {
        ::lseek(file->get(), 0, SEEK_SET);
    }
    return Start(&cloud_, spec);
}

void Keeper::OnSignal() {
    signalfd_siginfo info = {};
    while (::read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGCHLD) {
            Reap();
        } else if (info.ssi_signo != SIGHUP || ::isatty(STDIN_FILENO) == 1) {
            // A second request to stop does not wait for anybody.
            if (stopping_) {
                stop_deadline_ = Clock::now();
            } else {
                log::Info("stopping");
                BeginStop();
            }
        }
    }
}

void Keeper::OnReadyPipe() {
    char byte = 0;
    const ssize_t size = ::read(ready_pipe_.get(), &byte, 1);
    if (size < 0 && errno == EAGAIN) {
        return;
    }
    ready_pipe_.Close();
    if (size != 1 || byte != 'R' || stopping_) {
        return;  // It failed; its end is reported by Reap.
    }
    if (was_ready_) {
        log::Info("the cloud is back");
        return;
    }
    was_ready_ = true;
    if (auto written = data_->WriteFile(kEndpointFile, Endpoint() + "\n"); !written.ok()) {
        log::Warn("{}", written.error().message());
    }
    PrintReady();
    NotifyServiceManager("READY=1");
}

void Keeper::Reap() {
    int wait_status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &wait_status, WNOHANG)) > 0;) {
        if (pid == cloud_.pid) {
            OnEnded(&cloud_, wait_status);
        } else if (pid == host_.pid) {
            OnEnded(&host_, wait_status);
        } else if (pid == egress_helper_) {
            OnEgressReady(wait_status);
        }
    }
}

void Keeper::OnEnded(Ward* ward, int wait_status) {
    ward->pid = 0;
    if (stopping_) {
        if (ward == &host_) {
            host_put_all_away_ = wait_status == 0;
        }
        if (ward == &cloud_ && host_.pid != 0) {
            SignalWard(host_, SIGTERM);
            stop_deadline_ = Clock::now() + kHostStopMax;
            killed_overdue_ = false;
        }
        return;
    }
    if (ward == &cloud_ && ready_pipe_.valid()) {
        OnReadyPipe();  // It may have been ready just before it died.
    }
    const std::string what = fmt::format("{} {}", ward->name, DescribeEnd(wait_status));
    const bool hopeless = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == kExitHopeless;
    // A first start that fails is told to the user at once; one that was killed is tried again.
    const bool first_failed =
        ward == &cloud_ && !was_ready_ &&
        (WIFEXITED(wait_status) || ward->failures_in_a_row + 1 >= kFirstStartsMax);
    if (hopeless || first_failed) {
        log::Error("{}; giving up", what);
        exit_status_ = 1;
        BeginStop();
        return;
    }
    if (ward == &cloud_) {
        SignalWard(host_, SIGHUP);
    }
    const auto now = Clock::now();
    const bool was_healthy = now - ward->started >= kHealthyAfter;
    ward->failures_in_a_row = was_healthy ? 0 : ward->failures_in_a_row + 1;
    Clock::duration delay = 0s;
    // The first quick death is forgiven; from the second in a row on, starts come ever more slowly.
    if (ward->failures_in_a_row > 1) {
        const int doublings = std::min(ward->failures_in_a_row - 2, 10);
        delay = std::min<Clock::duration>(kBackOffMax, kBackOffMin * (1 << doublings));
    }
    ward->start_at = now + delay;
    log::Warn(
        "{}; starting it again{}",
        what,
        delay == 0s ? std::string()
                    : fmt::format(
                          " in {} ms",
                          std::chrono::duration_cast<std::chrono::milliseconds>(delay).count()));
}

void Keeper::BeginStop() {
    stopping_ = true;
    NotifyServiceManager("STOPPING=1");
    listener_.Close();
    cloud_.start_at.reset();
    host_.start_at.reset();
    if (cloud_.pid != 0) {
        SignalWard(cloud_, SIGTERM);
        stop_deadline_ = Clock::now() + kCloudStopMax;
    } else {
        SignalWard(host_, SIGTERM);
        stop_deadline_ = Clock::now() + kHostStopMax;
    }
}

void Keeper::SignalWard(const Ward& ward, int signal_number) {
    if (ward.pid > 0) {
        ::kill(ward.pid, signal_number);
    }
}

void Keeper::StopOverdue() {
    if (!stop_deadline_ || Clock::now() < *stop_deadline_ || killed_overdue_) {
        return;
    }
    killed_overdue_ = true;
    stop_deadline_.reset();
    const Ward& late = cloud_.pid != 0 ? cloud_ : host_;
    log::Warn("{} did not stop in time; killing it", late.name);
    SignalWard(late, SIGKILL);
}

std::string Keeper::Endpoint() const {
    const bool any = options_.bind == "0.0.0.0" || options_.bind == "::";
    const bool is_v6 = options_.bind.find(':') != std::string::npos;
    const std::string host = any ? "127.0.0.1" : is_v6 ? "[" + options_.bind + "]" : options_.bind;
    return fmt::format("{}://{}:{}", options_.tls == "off" ? "http" : "https", host, options_.port);
}

void Keeper::PrintReady() {
    const std::string text = ReadyText(options_, Endpoint(), data_->path());
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

}  // namespace hearth::keeper
