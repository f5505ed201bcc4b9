#pragma once

#include "base/result.h"
#include "os/fd.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The host's side of exec_protocol.h, over the unix socket that the monitor makes of a guest's
// vsock. Blocking, with deadlines; nothing that the guest sends is believed.
namespace hearth::vmm {

struct ExecRequest {
    std::vector<std::string> argv;
    std::vector<std::pair<std::string, std::string>> environment;
    std::string directory;
    // Whether the command reads what Exec() is given to read, or nothing.
    bool with_stdin = false;
};

// The request's line, with its end.
std::string ExecRequestLine(const ExecRequest& request);

// Connects to `port` of the guest behind the monitor's socket `uds_path`: "CONNECT port", "OK n".
//   errors   Unavailable: no monitor there, or nobody listens in the guest
Result<os::Fd> ConnectGuest(
    const std::string& uds_path, uint32_t port, std::chrono::milliseconds timeout);

// Runs a command and copies: `stdin_fd` (when the request wants it) to the command, what it writes
// to `stdout_fd` and `stderr_fd`. Returns its exit status, 0..255.
//   errors   Unavailable: the connection ended before the exit status, or the time was over
Result<int> ExecInGuest(
    int connection,
    const ExecRequest& request,
    int stdin_fd,
    int stdout_fd,
    int stderr_fd,
    std::optional<std::chrono::milliseconds> timeout);

// Asks the guest to end ({"action": "reboot"}). The monitor ends when it has.
Status RebootGuest(int connection);

// Where the guest says that it is ready: `<uds_path>_<kReadyPort>`, made before the machine starts.
Result<os::Fd> ListenForReady(const std::string& uds_path);

// Waits until the guest is ready, `process` (a pidfd of the monitor, or -1) ends, or time is over.
//   errors   Unavailable: the monitor ended first, or the time was over
Status AwaitReady(int listener, int process, std::chrono::milliseconds timeout);

}  // namespace hearth::vmm
