#pragma once

#include "base/result.h"
#include "os/fd.h"
#include "sandbox/snapshot/image.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// A template holds one image in memory, ready to be cloned: a process with the image's memory,
// signal actions and vdso, that never runs an instruction of it. It runs the restorer (restorer/)
// with all signals blocked and makes clones on request, each a plain fork that then joins its
// sandbox, gives up its rights, makes descriptors and threads anew and goes on where the image was
// frozen. Memory of the clones is shared with it until they write.
//
// A template may be killed at any time, with SIGKILL or by destroying the object: its clones stay.
// One per image, and never shared between functions: clones of one template have the same layout.
namespace hearth::snapshot {

// A part of the memory that the first request touched. Within one area.
struct WorkingSetRange {
    uint64_t address = 0;
    uint64_t pages = 0;
    bool written = false;
};

struct TemplateOptions {
    // Open for reading, and of which `image` was read. Its pages are trusted to be the ones that
    // were written: see CheckPages.
    int image_fd = -1;
    // Where the image's files are found, as the process saw them. Not a path that a function can
    // change.
    int root_fd = -1;
    // Whom clones become after they have joined their sandbox, without groups or capabilities.
    // nullopt: who the caller is (tests, and machines where nothing can be given up).
    std::optional<uint32_t> uid;
    std::optional<uint32_t> gid;
    bool no_new_privs = true;
    // struct sock_filter, one after the other; on all threads before any code of the image runs.
    std::string filter;
    // As RequestWorkingSet, known from before.
    std::vector<WorkingSetRange> working_set;
    std::chrono::milliseconds build_timeout{30'000};
};

struct ResourceLimit {
    int resource = 0;  // RLIMIT_*
    uint64_t soft = 0;
    uint64_t hard = 0;
};

struct CloneRequest {
    // The process whose namespaces it joins: pid 1 of a sandbox from the pool. -1: stays in the
    // caller's namespaces, where the image's process and thread numbers have to be free.
    int sandbox_pidfd = -1;
    // CLONE_NEW* that it joins there, besides the pid namespace.
    int namespaces = 0;
    // The clone reads one byte here before it opens any file: the sandbox's mounts are there. -1:
    // they are already.
    int ready_fd = -1;
    // The clone's parent is the sandbox's pid 1, which supervises it as a child of its own. Else it
    // is the caller, or whoever is the parent of the template.
    bool adopted = false;
    // Landlock as hearth-init does it, where the kernel has it.
    bool restrict_files = false;
    // cgroup.procs files, open for writing.
    std::vector<int> cgroup_fds;
    // For OpenFile::stand_in 0, 1, ...; -1: the image has none of that number. Each its own open
    // file description, since its flags are set. All stay the caller's.
    std::vector<int> stand_ins;
    std::vector<ResourceLimit> limits;
    // Touches the recorded working set before the image goes on: for spares, which are made ahead.
    bool populate = false;
    bool new_session = true;
};

// When each step was done, on CLOCK_MONOTONIC in ns; 0: not reached.
struct CloneTimes {
    uint64_t requested = 0;    // the template has the request
    uint64_t started = 0;      // the child runs
    uint64_t joined = 0;       // sandbox, cgroups, credentials
    uint64_t descriptors = 0;  // are there
    uint64_t threads = 0;      // are ready
    uint64_t restored = 0;     // the filter is on; what follows is the image's code
};

struct CloneEvent {
    enum class Kind {
        kStarted,     // the process is there: `pid`, `pidfd`
        kRestored,    // and runs the image's code
        kFailed,      // `error`; a process that kStarted told of is ending
        kServing,     // the template is built
        kWorkingSet,  // a part of RequestWorkingSet is done
    };
    Kind kind = Kind::kFailed;
    uint64_t serial = 0;
    int32_t pid = 0;  // 0 of an adopted one: see PidOf
    os::Fd pidfd;
    std::string error;
    CloneTimes times;
};

struct TemplateMemory {
    uint64_t resident_bytes = 0;
    uint64_t private_bytes = 0;  // goes when the template and its clones go
    uint64_t page_table_bytes = 0;
};

// What may be asked of a template, by whoever holds its control socket.
class TemplateControl final {
  public:
    explicit TemplateControl(os::Fd socket) : socket_(std::move(socket)) {}

    // Asks for a clone; its events have the serial that is returned. Does not wait.
    Result<uint64_t> RequestClone(const CloneRequest& request);

    // From now on clones have these page tables, and these pages if `populate` is set. Answered by
    // one kWorkingSet event for each message it takes; returns their number.
    Result<size_t> RequestWorkingSet(const std::vector<WorkingSetRange>& ranges);

    // Readable when there is an event.
    int fd() const { return socket_.get(); }

    // nullopt: none yet.
    //   errors    Unavailable: the template is gone
    Result<std::optional<CloneEvent>> Receive();

  private:
    os::Fd socket_;
    uint64_t serial_ = 0;
};

// In our pid namespace; 0 when it has ended.
int32_t PidOf(const os::Fd& pidfd);

// The two ends of a template's control socket: ours, and the one for BecomeTemplate.
Result<std::pair<os::Fd, os::Fd>> TemplateSockets();

// Turns the calling process, which has one thread, into a template that serves `socket`; its first
// event there is kServing. It returns only when that fails. The memory and all other descriptors of
// the process are gone afterwards, and so are its handlers of signals.
Error BecomeTemplate(const Image& image, const TemplateOptions& options, const os::Fd& socket);

// A template that is a child of the calling process. Blocking and for one thread at a time; clones
// that are not adopted are the calling process's children too, which has to reap them (waitid with
// __WALL on the pidfd).
class Template final {
  public:
    // Builds it: reads all pages and opens all mapped files, which are compared with the image.
    //   errors    Unavailable: a file has changed, or a value of the image is refused by the
    //             kernel; the message says which. Start cold and make a new image.
    static Result<std::unique_ptr<Template>> Start(
        const Image& image, const TemplateOptions& options);

    Template(const Template&) = delete;
    Template& operator=(const Template&) = delete;
    // Kills and reaps the template process.
    ~Template();

    TemplateControl& control() { return control_; }

    // RequestClone, and Receive until the clone runs the image's code. A clone that fails is
    // killed and reaped. Not while other requests are under way.
    struct Clone {
        int32_t pid = 0;
        os::Fd pidfd;
        CloneTimes times;
    };

    Result<Clone> MakeClone(
        const CloneRequest& request,
        std::chrono::milliseconds timeout = std::chrono::milliseconds(10'000));

    // RequestWorkingSet, waiting for it. Not while other requests are under way.
    Status SetWorkingSet(const std::vector<WorkingSetRange>& ranges);

    Result<TemplateMemory> ReadMemory() const;

    int32_t pid() const { return pid_; }

  private:
    Template(os::Fd socket, os::Fd pidfd, int32_t pid)
        : control_(std::move(socket)), pidfd_(std::move(pidfd)), pid_(pid) {}

    Result<CloneEvent> Wait(std::chrono::steady_clock::time_point deadline);

    TemplateControl control_;
    os::Fd pidfd_;
    int32_t pid_;
};

}  // namespace hearth::snapshot
