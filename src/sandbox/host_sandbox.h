#pragma once

#include "base/random.h"
#include "base/result.h"
#include "os/fd.h"
#include "rt/blocking_pool.h"
#include "rt/completion.h"
#include "rt/loops.h"
#include "rt/task_group.h"
#include "sandbox/dns_stub.h"
#include "sandbox/protocol/protocol.h"
#include "sandbox/sandbox.h"

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace hearth::sandbox {

// The cloud's end of the channel to hearth-host (host/README.md): the Sandbox of every backend that
// the host has. Create may be called on any loop. Survives the host: when a new one says Hello, all
// environments of the old one have ended (their WaitExit returns) and the next Create works.
class HostSandbox final : public Sandbox {
  public:
    // `pool` takes what may block; without one (tests) it is done in place. It must outlive this.
    HostSandbox(
        rt::Loops& loops,
        os::Fd channel,
        std::shared_ptr<Random> random,
        rt::BlockingPool* pool = nullptr);
    // After Stop, with no environment left.
    ~HostSandbox() override;

    // Says Hello and starts listening. Does not wait for the host: a Create does, up to
    // kCreatePatience.
    Task<Status> Start();
    // Ends listening. Environments must be gone.
    Task<void> Stop();

    // What the host says about this machine; nullopt until it has answered the first Hello.
    std::optional<HostFacts> facts() const;
    // As above, waiting for it. One waiter.
    Task<Result<HostFacts>> WaitFacts(std::chrono::milliseconds patience);

    Task<Result<std::unique_ptr<Environment>>> Create(EnvironmentSpec spec) override;
    Task<Result<std::unique_ptr<Template>>> MakeTemplate(
        EnvironmentSpec spec, SavedImage saved) override;
    bool CanSave() const override;
    // What the host of the moment says; false while it has not said Hello yet.
    bool StacksMounts() const override;
    // "namespaces" or "none"; "namespaces" while the host has not said Hello yet.
    const std::string& backend() const override;

    static constexpr std::chrono::seconds kCreatePatience{60};
    static constexpr std::chrono::seconds kDestroyPatience{30};
    static constexpr std::chrono::seconds kSavePatience{60};

  private:
    friend class HostEnvironment;
    friend class HostTemplate;

    using RestoreWait = rt::Completion<Result<CreateAnswer>>;

    struct Created {
        CreateAnswer answer;
        std::vector<os::Fd> fds;
        // Of a clone that still joins.
        std::shared_ptr<RestoreWait> restored;
    };

    using CreateWait = rt::Completion<Result<Created>>;
    using DestroyWait = rt::Completion<bool>;
    using SaveWait = rt::Completion<Result<SaveReport>>;

    struct Outgoing {
        std::string packet;
        std::shared_ptr<const std::vector<os::Fd>> fds;
    };

    // The packet is kept for a host that starts in the place of the one that may have taken it
    // along.
    struct PendingCreate {
        std::shared_ptr<CreateWait> wait;
        Outgoing outgoing;
    };

    Task<void> Listen();
    void Handle(std::string_view packet, std::vector<os::Fd> fds);
    // Sends, or queues while the host does not read.
    void Send(std::string packet, std::shared_ptr<const std::vector<os::Fd>> fds = nullptr);
    // Sends a Create and waits for its answer.
    Task<Result<Created>> Request(
        CreateRequest& request, std::shared_ptr<const std::vector<os::Fd>> fds);
    Task<Result<SaveReport>> Save(uint64_t id, SaveRequest request);
    void FlushLocked();
    void FailAll(const std::string& reason);
    // Those that join are gone.
    void FailRestores(const std::string& reason);
    void HostRestarted();
    void ServeNames(std::vector<os::Fd> fds);
    // Tells the host to destroy; with `wait`, sets it when that is done.
    void Destroy(uint64_t id, std::shared_ptr<DestroyWait> wait);

    rt::Loops& loops_;
    rt::BlockingPool* pool_;
    os::Fd channel_;
    std::shared_ptr<Random> random_;
    std::unique_ptr<rt::TaskGroup> tasks_;
    // Of the host that said Hello last; ended ones stay until Stop, since their socket may be in
    // use.
    std::vector<std::unique_ptr<DnsStub>> name_servers_;
    std::shared_ptr<rt::Completion<HostFacts>> first_facts_;

    mutable std::mutex mutex_;
    uint64_t nonce_ = 0;
    uint64_t next_id_ = 0;
    bool welcomed_ = false;
    std::optional<HostFacts> facts_;
    std::deque<Outgoing> unsent_;
    std::map<uint64_t, PendingCreate> creates_;
    std::map<uint64_t, std::shared_ptr<DestroyWait>> destroys_;
    std::map<uint64_t, std::shared_ptr<SaveWait>> saves_;
    std::map<uint64_t, std::shared_ptr<RestoreWait>> restores_;
};

}  // namespace hearth::sandbox
