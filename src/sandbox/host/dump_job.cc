#include "sandbox/host/dump_job.h"

#include "os/channel.h"
#include "os/file.h"
#include "sandbox/host/tmp_archive.h"
#include "sandbox/protocol/init_protocol.h"
#include "sandbox/snapshot/dumper.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <sstream>
#include <thread>

namespace hearth::sandbox {

namespace {

// How often a runtime that is not at rest is looked at again, and for how long.
constexpr std::chrono::milliseconds kRestPause{10};
constexpr std::chrono::seconds kRestPatience{5};

// The child of hearth-init that is pid 2 in its namespace: the runtime.
Result<pid_t> FindRuntime(pid_t init) {
    HEARTH_TRY(
        const std::string children,
        os::ReadFile(AT_FDCWD, fmt::format("/proc/{0}/task/{0}/children", init), 1 << 20));
    std::istringstream list(children);
    for (pid_t child = 0; list >> child;) {
        const auto status = os::ReadFile(AT_FDCWD, fmt::format("/proc/{}/status", child), 64 << 10);
        if (!status.ok()) {
            continue;
        }
        const size_t line = status->find("\nNSpid:");
        if (line == std::string::npos) {
            continue;
        }
        std::istringstream numbers(
            status->substr(line + 7, status->find('\n', line + 1) - line - 7));
        pid_t innermost = 0;
        for (pid_t number = 0; numbers >> number;) {
            innermost = number;
        }
        if (innermost == 2) {
            return child;
        }
    }
    return errors::Unavailable("the runtime has ended");
}

// Socket inodes by local port, of the connections to the Runtime API in the process's network.
Result<std::vector<uint64_t>> FindConnections(pid_t pid, const DumpJob& job) {
    HEARTH_TRY(
        const std::string table,
        os::ReadFile(AT_FDCWD, fmt::format("/proc/{}/net/tcp", pid), 4 << 20));
    std::vector<uint64_t> inodes(job.port_count, 0);
    std::istringstream lines(table);
    std::string line;
    std::getline(lines, line);  // titles
    while (std::getline(lines, line)) {
        // sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode
        std::istringstream fields(line);
        std::string sl, local, remote, state, queues, timer, retransmit, uid, timeout;
        uint64_t inode = 0;
        if (!(fields >> sl >> local >> remote >> state >> queues >> timer >> retransmit >> uid >>
              timeout >> inode)) {
            continue;
        }
        const size_t colon = local.find(':');
        unsigned port = 0;
        if (colon == std::string::npos ||
            std::from_chars(local.data() + colon + 1, local.data() + local.size(), port, 16).ec !=
                std::errc() ||
            state != "01" || !remote.ends_with(fmt::format(":{:04X}", kRuntimeApiPort))) {
            continue;
        }
        for (uint32_t i = 0; i < job.port_count; ++i) {
            if (job.ports[i] == port) {
                inodes[i] = inode;
            }
        }
    }
    for (const uint64_t inode : inodes) {
        if (inode == 0) {
            return errors::Unavailable("a connection that the runtime waited on is gone");
        }
    }
    return inodes;
}

// A clone finds another file there than the one that was mapped.
Status RequireNothingMappedOfTmp(pid_t pid) {
    HEARTH_TRY(
        const std::string maps,
        os::ReadFile(AT_FDCWD, fmt::format("/proc/{}/maps", pid), 64 << 20));
    if (maps.find(" /tmp/") != std::string::npos) {
        return Error(Error::Kind::kUnimplemented, "", "it has mapped a file of /tmp", 500);
    }
    return {};
}

Result<snapshot::DumpReport> Save(const DumpJob& job, int image) {
    HEARTH_TRY(const pid_t pid, FindRuntime(job.init));
    HEARTH_TRY(const std::vector<uint64_t> connections, FindConnections(pid, job));
    snapshot::DumpRequest request;
    request.pid = pid;
    request.image_fd = image;
    request.stand_ins.push_back({job.stdout_inode, kStandInStdout});
    request.stand_ins.push_back({job.stderr_inode, kStandInStderr});
    for (uint32_t i = 0; i < job.port_count; ++i) {
        request.stand_ins.push_back({connections[i], kStandInConnection + i});
    }
    const auto give_up = std::chrono::steady_clock::now() + kRestPatience;
    // It outlives the runtime, which ends with the dump.
    HEARTH_TRY(
        const os::Fd tmp,
        os::Open(AT_FDCWD, fmt::format("/proc/{}/root/tmp", pid), O_RDONLY | O_DIRECTORY));
    for (;;) {
        HEARTH_RETURN_IF_ERROR(RequireNothingMappedOfTmp(pid));
        HEARTH_TRY(const bool has_files, HoldsAnything(tmp.get()));
        request.tmp_layer = has_files ? "tmp" : "";
        // Looked at once more when nothing in it moves.
        request.empty_directories = {};
        if (!has_files) {
            request.empty_directories.emplace_back("/tmp");
        }
        auto report = snapshot::Dump(request);
        if (report.ok() && has_files) {
            HEARTH_TRY(const uint64_t bytes, PackTmp(tmp.get(), image));
            report->image_bytes += bytes;
        }
        if (report.ok() || report.error().kind() != Error::Kind::kUnavailable ||
            std::chrono::steady_clock::now() > give_up) {
            return report;
        }
        std::this_thread::sleep_for(kRestPause);
    }
}

}  // namespace

void RunDump(const DumpJob& job, int channel, int image) {
    ::prctl(PR_SET_NAME, "hearth-dump", 0, 0, 0);
    const auto report = Save(job, image);
    SaveAnswer answer;
    answer.id = job.environment;
    if (report.ok()) {
        answer.image_bytes = report->image_bytes;
        answer.frozen_ns = report->frozen_ns;
    } else if (
        report.error().kind() == Error::Kind::kUnimplemented ||
        report.error().kind() == Error::Kind::kUnavailable) {
        // Not at rest after all this time is what the process is like, too.
        answer.refusal = report.error().message();
    } else {
        answer.error = report.error().message();
    }
    (void)os::SendPacket(channel, EncodeSaved(answer), {}).ok();
    ::_exit(0);
}

}  // namespace hearth::sandbox
