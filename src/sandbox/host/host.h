#pragma once

#include "base/result.h"
#include "os/cgroups.h"
#include "os/fd.h"
#include "sandbox/host/maker.h"
#include "sandbox/host/options.h"
#include "sandbox/host/root.h"
#include "sandbox/protocol/init_protocol.h"
#include "sandbox/protocol/protocol.h"
#include "sandbox/snapshot/template.h"

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace hearth::sandbox {

// One environment, from the moment its process is made until nothing of it is left.
//
//   kPreparing  the process exists; hearth-init prepares what all environments share
//   kReady      in the pool
//   kAssigned   belongs to the cloud's environment `id`; its first process may have ended by itself
//   kDying      killed; waits for the process to be reaped and its control groups to be empty
struct Slot {
    enum class State { kPreparing, kReady, kAssigned, kDying };

    State state = State::kPreparing;
    uint32_t index = 0;
    std::string group;
    pid_t pid = -1;
    bool reaped = false;
    os::Fd channel;
    os::Fd runtime_api;
    os::Fd door;
    os::Fd tmp;
    // Of hearth-init, and of its control groups' cgroup.procs: what a clone joins.
    os::Fd pidfd;
    std::vector<os::Fd> joins;
    uint16_t runtime_api_port = 0;
    uint16_t door_port = 0;
    uint64_t id = 0;
    // The cloud asked, and wants to hear when it is gone.
    bool destroy_requested = false;
    InitRole role = kInitRunsProgram;

    // What the cloud is told when the template or the clone is there.
    struct Pending {
        CreateAnswer answer;
        std::vector<os::Fd> fds;
        // It was told that the clone joins, and waits for kRestored.
        bool told = false;
        // Of a clone: the environment of its template.
        uint64_t template_id = 0;
        // When the cloud asked, on CLOCK_MONOTONIC.
        uint64_t asked_ns = 0;
    };

    std::unique_ptr<Pending> pending;
    // Of a clone: the environment of its template, the template's number for it, and its process
    // while there is something to learn of it, and whether that was asked for before it was known.
    uint64_t from = 0;
    uint64_t serial = 0;
    os::Fd runtime;
    bool to_learn = false;
    // Of an environment that holds a template: its process, and what it says when it cannot be one.
    pid_t template_pid = -1;
    std::unique_ptr<snapshot::TemplateControl> control;
    os::Fd report;
    // What it was made from: clones unpack their /tmp from it.
    os::Fd image;
    // Where to write which memory calls use, while that is wanted, and how often it was asked for.
    os::Fd memory_use;
    int learned = 0;
    uint64_t image_bytes = 0;
    // Of the pipes that take the runtime's output.
    uint64_t stdout_inode = 0;
    uint64_t stderr_inode = 0;
};

// A runtime that is being saved by a child of ours.
struct Saving {
    uint64_t tag = 0;
    uint64_t id = 0;
    pid_t pid = -1;
    os::Fd channel;
};

// The event loop of hearth-host: one thread. Reads requests of the cloud, keeps the pool of
// prepared environments filled when there is nothing else to do, reaps.
class Host final {
  public:
    struct Parts {
        HostOptions options;
        os::CgroupTree cgroups;
        HostRoot root;
        Maker maker;
        bool namespaces = true;
        bool rootless = false;
        bool can_overlay = false;
        std::string function_filter;
        // Where environments ask for names; never read here. Invalid without egress.
        os::Fd name_socket;
    };

    static Result<std::unique_ptr<Host>> Make(Parts parts);
    ~Host();

    // Prepares one environment and destroys it again: whether this machine lets us.
    Status TryOne();

    // Destroys everything. For a host that only tries; Run does it at its end.
    void Shutdown() { DestroyAll(true); }

    HostFacts Facts() const;
    // Says Hello and serves until SIGTERM, the end of the channel, or a broken machine.
    Status Run();

  private:
    explicit Host(Parts parts) : parts_(std::move(parts)) {}

    Status StartSlot();
    Status Link(const Slot& slot);
    void Prepared(Slot& slot);

    struct Asked {
        CreateRequest request;
        os::Fd image;
        os::Fd memory_use;
        uint64_t at_ns = 0;
    };

    void Create(Asked asked);
    Result<CreateAnswer> Assign(Slot& slot, const Asked& asked, std::vector<os::Fd>& fds);
    Status MakeTemplate(Slot& slot, const Asked& asked, const os::Fd& ready);
    void Learn(uint64_t id);
    InitAssign Head(const Slot& slot, const CreateRequest& request) const;
    bool IsNext(const Slot& slot) const;
    Result<std::vector<os::Fd>> MakeClone(
        Slot& slot,
        const InitAssign& head,
        const os::Fd& ready,
        const os::Fd& output,
        const os::Fd& error,
        const CreateRequest& asked);
    // A template is there, or one of its clones; or why not; or it has died.
    void TemplateSaid(uint32_t index);
    void TemplateFailed(uint32_t index);
    void TemplateGone(Slot& slot, const std::string& reason);
    void FinishPending(Slot& slot, const std::string& error);
    void Answer(const CreateAnswer& answer, std::vector<os::Fd> fds);
    void Destroy(Slot& slot);
    // Waits until all slots that are not in the pool are gone.
    void DestroyAll(bool with_pool);
    void Reap();
    void TryRemove(Slot& slot);
    void Retry();
    void RefillDue();
    // How many are to be ready or on their way.
    size_t PoolTarget() const;

    void ReadRequests();
    void Handle(const std::string& packet, std::vector<os::Fd> fds);
    void Save(const SaveMessage& message, std::vector<os::Fd> fds);
    // The child has said how it went, or has died.
    void Saved(uint64_t tag);
    // What would be saved goes; its cloud hears of it.
    void StopSaving(uint64_t id);
    void Send(std::string bytes, std::vector<os::Fd> fds);
    std::vector<os::Fd> NameSocket() const;
    void Flush();
    void Watch(int fd, bool readable, bool writable, uint64_t tag);
    bool Step(int timeout_ms);
    void Signalled();

    Slot* FindById(uint64_t id);
    size_t CountOf(Slot::State state) const;

    struct Outgoing {
        std::string bytes;
        std::vector<os::Fd> fds;
    };

    Parts parts_;
    os::Fd epoll_;
    os::Fd signals_;
    // Armed only while a control group was not empty at its removal.
    os::Fd retry_;
    // Armed by every Create, and while the pool is larger than it has to be.
    os::Fd refill_;
    bool refill_due_ = true;
    // It is armed to see whether the pool may be smaller.
    bool shrink_due_ = false;
    // Doubled when a request finds the pool empty, halved when none has come for a while.
    size_t pool_target_ = 0;
    os::Fd filter_;
    std::list<Slot> slots_;
    std::set<uint32_t> used_;
    uint32_t next_index_ = 0;

    std::deque<Asked> waiting_;
    std::deque<Outgoing> outgoing_;
    std::list<Saving> savings_;
    uint64_t next_saving_tag_ = 0;
    bool stopping_ = false;
    bool pool_broken_ = false;
    bool channel_ended_ = false;
};

}  // namespace hearth::sandbox
