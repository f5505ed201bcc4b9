// The program hearth-cloud: options, signals and one byte for the keeper; everything else is
// cloud.cc.
#include "base/log.h"
#include "hearth/cloud/cloud.h"
#include "hearth/cloud/options.h"
#include "os/file.h"
#include "os/free_memory.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace hearth::cloud {
namespace {

constexpr int kExitTryAgain = 1;
constexpr int kExitHopeless = 2;

// SIGTERM and SIGINT are waited for by this thread alone; all others are made after this call.
sigset_t BlockStopSignals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    // A peer that goes away is an error of the write, not a signal.
    struct sigaction ignore{};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, nullptr);
    return set;
}

// Connections and environments each take a few descriptors.
void RaiseOpenFilesLimit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

void SayReady(int fd) {
    if (fd < 0) {
        return;
    }
    while (::write(fd, "R", 1) < 0 && errno == EINTR) {
    }
    ::close(fd);
}

int Main(int argc, char** argv) {
    os::EnsureStdio();
    // Die with the keeper, whatever happens to it.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // Secrets are in this process's memory: no core files, no ptrace by the same user.
    prctl(PR_SET_DUMPABLE, 0);
    const sigset_t stop_signals = BlockStopSignals();
    RaiseOpenFilesLimit();

    auto options = ParseCloudOptions(argc, argv);
    if (!options.ok()) {
        std::fprintf(stderr, "hearth-cloud: %s\n", options.error().message().c_str());
        return kExitHopeless;
    }
    log::Init("cloud", options->log_level);
    const int ready_fd = options->ready_fd;
    Cloud cloud(*std::move(options));
    if (Status started = cloud.Start(); !started.ok()) {
        log::Error("cannot start: {}", started.error().message());
        return started.error().kind() == Error::Kind::kUnavailable ? kExitTryAgain : kExitHopeless;
    }
    SayReady(ready_fd);
    // A start uses more than what follows needs.
    os::ReturnFreeMemory();
    siginfo_t info{};
    while (sigwaitinfo(&stop_signals, &info) < 0 && errno == EINTR) {
    }
    log::Info("stopping");
    cloud.Stop();
    return 0;
}

}  // namespace
}  // namespace hearth::cloud

int main(int argc, char** argv) {
    return hearth::cloud::Main(argc, argv);
}
