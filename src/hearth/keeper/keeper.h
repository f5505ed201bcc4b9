#pragma once

#include "base/result.h"
#include "hearth/keeper/child_process.h"
#include "hearth/keeper/data_directory.h"
#include "hearth/keeper/options.h"
#include "hearth/keeper/tier_directories.h"
#include "os/fd.h"

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>

namespace hearth::keeper {

// Owns what must outlive a crash of the cloud or the host: the listening sockets, the socket pair
// between the two, the data directory's lock and the host's network namespace. It starts both,
// starts each again when it dies, and takes them down in order. One thread; wakes only when
// something happened.
//
// The cloud died: the host is told (SIGHUP) to destroy every environment, a new cloud starts.
// The host died: a new one starts; what ran ends with the documented error.
// The keeper died: both die with it (PR_SET_PDEATHSIG).
class Keeper final {
  public:
    explicit Keeper(UpOptions options);

    // Everything that can be refused with a line for the user, before anything is started.
    Status Prepare();

    // Returns the program's exit status.
    int Run();

  private:
    using Clock = std::chrono::steady_clock;

    // One of the two programs over its restarts.
    struct Ward {
        std::string name;
        std::optional<Program> program;
        pid_t pid = 0;  // 0: not running
        Clock::time_point started;
        int failures_in_a_row = 0;
        std::optional<Clock::time_point> start_at;
    };

    Status StartHost();
    Status EnsureHostNetwork();
    // Runs hearth-host's one-shot helper that makes (or removes) the functions' way out.
    Result<pid_t> StartEgressHelper(const std::string& mode) const;
    void OnEgressReady(int wait_status);
    void RemoveEgress();
    // After a host that could not put everything away, or that never got to it.
    void Sweep();
    static void RunToEnd(Result<pid_t> helper);
    Status StartCloud();
    ChildSpec HostSpec() const;
    Status Start(Ward* ward, const ChildSpec& spec);
    Status StartDue();
    int PollTimeoutMs() const;

    void OnSignal();
    void OnReadyPipe();
    void Reap();
    void OnEnded(Ward* ward, int wait_status);
    void BeginStop();
    void SignalWard(const Ward& ward, int signal_number);
    void StopOverdue();
    void PrintReady();

    std::string Endpoint() const;
    Result<os::Fd> OpenForCloud(const std::string& path) const;

    UpOptions options_;
    Credentials cloud_user_;
    bool privileged_ = false;
    std::optional<DataDirectory> data_;
    os::Fd listener_;
    os::Fd cloud_channel_;
    os::Fd host_channel_;
    os::Fd host_network_;
    os::Fd master_key_;
    os::Fd hot_reload_;
    TierDirectories tiers_;
    os::Fd tls_cert_;
    os::Fd tls_key_;
    os::Fd signals_;
    os::Fd ready_pipe_;
    Ward cloud_;
    Ward host_;
    // The helper while it runs; the host waits for it.
    pid_t egress_helper_ = 0;
    bool has_egress_ = false;
    bool host_put_all_away_ = false;
    bool was_ready_ = false;
    bool stopping_ = false;
    bool killed_overdue_ = false;
    std::optional<Clock::time_point> stop_deadline_;
    int exit_status_ = 0;
};

}  // namespace hearth::keeper
