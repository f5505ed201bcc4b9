#pragma once

#include <stddef.h>
#include <stdint.h>

// What the engine (template.cc) tells the restorer, a program without a C library that becomes the
// template process: plain structs in the restorer's zone, and the messages on its control socket.
//
// The zone is one range of addresses that neither the image nor the process which makes the
// template uses:
//
//   code        the restorer, read and execute
//   plan        Plan and its tables
//   stacks      of the template and of the leader, of each thread (until it is released), and of
//               the calls for entropy
//   parking     of the vdso and its data while everything else is unmapped
//   kept code   the gate: the last instructions of each restored thread
//   kept data   KeptData, and one signal frame per thread
//
// A clone unmaps all but the kept parts before any code of the image runs; those hold nothing but
// what the threads are about to have in their registers.
namespace hearth::snapshot {

inline constexpr uint64_t kZonePageBytes = 4096;
inline constexpr uint64_t kThreadStackBytes = 1024;
inline constexpr uint64_t kTemplateStackBytes = 64 << 10;
inline constexpr uint64_t kEntropyStackBytes = 128 << 10;
inline constexpr uint64_t kParentStackBytes = 32 << 10;
inline constexpr uint32_t kNone = UINT32_MAX;

// AreaFlag of image.h, as far as the restorer acts on them, and OpenFileKind; template.cc asserts
// that they are the same.
enum PlanAreaFlag : uint32_t {
    kPlanGrowsDown = 1 << 0,
    kPlanNoReserve = 1 << 1,
    kPlanWipeOnFork = 1 << 2,
    kPlanDontDump = 1 << 4,
    kPlanHugePage = 1 << 5,
    kPlanNoHugePage = 1 << 6,
    kPlanDroppable = 1 << 7,
    kPlanMergeable = 1 << 8,
    kPlanRandomAdvice = 1 << 10,
    kPlanSequentialAdvice = 1 << 11,
    kPlanSealed = 1 << 12,
};

enum PlanOpenFileKind : uint32_t {
    kPlanPath,
    kPlanDevice,
    kPlanStandIn,
    kPlanPipe,
    kPlanSocketPair,
    kPlanDeadSocket,
    kPlanFreshSocket,
    kPlanEventFd,
    kPlanTimerFd,
    kPlanEpoll,
};

struct PlanTable {
    uint64_t offset;  // from the plan's start
    uint64_t count;
};

struct PlanArea {
    uint64_t start;
    uint64_t end;
    uint64_t file_offset;
    uint32_t protection;
    uint32_t flags;  // AreaFlag
    int32_t fd;      // -1: anonymous
    uint8_t shared;
    // It has runs and is not writable: made so while it is filled.
    uint8_t filled_read_only;
    // Contains blocks that were filled as huge pages.
    uint8_t huge;
    // Its page tables are copied by fork (see SetWorkingSet).
    uint8_t inherited;
    uint64_t name;  // offset of a string, 0: none
};

struct PlanRange {
    uint64_t start;
    uint64_t end;
};

struct PlanFill {
    uint64_t address;
    uint64_t bytes;
    uint64_t offset;  // in the image file
    // Not 0: the range is not writable, and is made writable by itself while it is filled, because
    // its area is too large for that.
    uint64_t protect;
    uint64_t protection;
};

// A part of the vdso: moved from `from` to `park`, and from there to `to` (0: dropped).
struct PlanSpecial {
    uint64_t from;
    uint64_t bytes;
    uint64_t park;
    uint64_t to;
};

// As the kernel's struct prctl_mm_map.
struct PlanMemoryMap {
    uint64_t start_code, end_code, start_data, end_data;
    uint64_t start_brk, brk, start_stack;
    uint64_t arg_start, arg_end, env_start, env_end;
    uint64_t auxv;
    uint32_t auxv_bytes;
    uint32_t exe_fd;
};

// As the kernel's sigaction.
struct PlanSignalAction {
    uint64_t handler;
    uint64_t flags;
    uint64_t restorer;
    uint64_t mask;
};

struct PlanThread {
    int32_t tid;
    uint32_t rseq_bytes;
    uint32_t rseq_signature;
    uint32_t unused;
    uint64_t fs_base;
    uint64_t gs_base;
    uint64_t rseq_address;
    uint64_t robust_list;
    uint64_t robust_list_bytes;
    uint64_t clear_child_tid;
    uint64_t frame;      // what rsp is when rt_sigreturn is called
    uint64_t stack_top;  // of the restorer's part
    char name[16];
};

// The fields are image.h's OpenFile; strings and bytes are offsets into the plan.
struct PlanOpenFile {
    uint32_t kind;  // OpenFileKind
    uint32_t flags;
    uint32_t partner;  // index of the other end, kNone
    uint32_t stand_in;
    uint64_t path;
    uint64_t offset;
    uint64_t bytes;
    uint64_t byte_count;
    uint32_t pipe_bytes_max;
    int32_t domain;
    int32_t type;
    int32_t protocol;
    uint64_t address;
    uint32_t address_bytes;
    int32_t backlog;
    uint32_t socket_options;
    int32_t timer_clock;
    uint64_t event_count;
    uint32_t event_semaphore;
    uint32_t unused;
    uint64_t timer_ticks;
    uint64_t timer_value_ns;
    uint64_t timer_interval_ns;
    PlanTable members;      // PlanEpollMember
    PlanTable descriptors;  // PlanDescriptor: all that share it
    // Scratch of a clone while it makes them.
    int32_t made;
    int32_t unused2;
};

struct PlanDescriptor {
    int32_t number;
    int32_t close_on_exec;
};

struct PlanEpollMember {
    int32_t number;
    uint32_t events;
    uint64_t data;
};

struct PlanEntropyCall {
    uint64_t address;
    uint32_t kind;  // EntropyKind
    uint32_t unused;
};

struct Plan {
    uint64_t self;  // this plan's address
    uint64_t zone_start;
    uint64_t zone_end;
    uint64_t code_bytes;
    uint64_t kept_start;
    uint64_t kept_code_bytes;
    uint64_t kept_data;
    uint64_t gate_thread;  // address of the kept copy of the threads' last instructions
    uint64_t gate_leader;
    uint64_t stack_top;
    uint64_t entropy_stack_top;
    uint64_t parent_stack_top;  // of the short-lived parent of an adopted clone
    uint64_t user_end;

    // Of the process that makes the template, to be let go of.
    uint64_t rseq_address;
    uint32_t rseq_bytes;
    uint32_t rseq_signature;

    int32_t control_fd;
    int32_t image_fd;
    int32_t null_fd;
    int32_t pid_namespace_fd;  // the template's own
    // Numbers below are kept busy, so that what is received lands above everything that the image's
    // descriptors need.
    int32_t descriptor_base;
    uint64_t personality;
    uint32_t umask;
    int32_t process_group;
    int32_t session;
    uint64_t working_directory;  // offset of a string

    uint32_t uid;  // kNone: credentials stay as they are
    uint32_t gid;
    uint32_t no_new_privs;
    uint32_t filter_instructions;  // 0: no filter
    uint64_t filter;               // offset

    PlanMemoryMap memory;

    PlanTable specials;
    PlanTable areas;
    PlanTable huge;          // PlanRange, multiples of 2 MB
    PlanTable fills;         // PlanFill
    PlanTable guards;        // PlanRange
    PlanTable sealed;        // PlanRange
    PlanTable clone_advice;  // PlanRange with MADV_DONTFORK, applied in each clone
    PlanTable locked;        // PlanRange
    PlanTable threads;
    PlanTable open_files;
    PlanTable numbers;  // int32_t: all descriptors, sorted
    PlanTable entropy_calls;
    PlanSignalAction signals[64];

    // Filled by kSetWorkingSet.
    PlanTable working_set;  // PlanRange; `count` is what is set, the room is working_set_room
    uint64_t working_set_room;
    // What the table holds at first, as in a WorkingSetRequest, until it is set.
    uint64_t working_set_unread;

    // On which processors it and its clones may run, as sched_getaffinity tells it, while a clone
    // is made; 0 bytes: not known.
    uint64_t processors[128];
    uint64_t processors_bytes;

    // Which clone this is, in the clone.
    uint64_t serial;
};

struct KeptData {
    uint32_t open;    // 1: go
    uint32_t ready;   // threads at the gate
    uint32_t wanted;  // threads that will come there
    uint32_t unused;
    uint64_t unused2[6];
};

// ---- control socket (SOCK_SEQPACKET) ----

inline constexpr uint32_t kRestorerMagic = 0x48535231;  // "HSR1"
inline constexpr uint32_t kStandInsMax = 128;
inline constexpr uint32_t kCgroupsMax = 8;
inline constexpr uint32_t kLimitsMax = 8;
// SCM_RIGHTS carries at most 253.
inline constexpr uint32_t kRequestFdsMax = 253;
// One message's worth of ranges.
inline constexpr uint32_t kWorkingSetChunk = 1024;

enum RequestKind : uint32_t {
    kRequestClone = 1,
    kRequestWorkingSet = 2,
};

struct CloneLimit {
    uint32_t resource;
    uint32_t unused;
    uint64_t soft;
    uint64_t hard;
};

struct RestorerRequest {
    uint32_t magic;
    uint32_t kind;
    uint64_t serial;
    // The descriptors of the message, in this order: [sandbox's pidfd] [pipe that says when the
    // mounts are there] cgroup.procs files, stand-ins in the order of stand_in_ids
    uint32_t has_sandbox;
    uint32_t has_ready;
    uint32_t cgroups;
    uint32_t stand_ins;
    uint32_t namespaces;  // CLONE_NEW* of the sandbox to join, besides the pid namespace
    uint32_t populate;    // touch the working set before it is needed
    uint32_t new_session;
    uint32_t adopted;         // its parent is the sandbox's pid 1, not the engine
    uint32_t restrict_files;  // Landlock, as hearth-init does it
    uint32_t limit_count;
    uint32_t unused;
    CloneLimit limits[kLimitsMax];
    uint32_t stand_in_ids[kStandInsMax];
};

struct WorkingSetRequest {
    uint32_t magic;
    uint32_t kind;
    uint64_t serial;
    uint32_t count;
    uint32_t append;  // to what came before
    // start | 1: to be written (populate with private pages), else read (page tables of files).
    PlanRange ranges[kWorkingSetChunk];
};

enum ReplyKind : uint32_t {
    kReplyServing = 1,   // the template is built
    kReplyCloned = 2,    // the child is there; its pidfd comes along
    kReplyRestored = 3,  // from the clone: all is done, the image's code goes on
    kReplyFailed = 4,    // `step` and `error` say what; of a clone (serial) or of the template (0)
    kReplyWorkingSet = 5,
};

enum ReplyTime : uint32_t {
    kTimeRequested,    // the template has the request
    kTimeStarted,      // the child runs
    kTimeJoined,       // sandbox, cgroups, credentials
    kTimeDescriptors,  // are there
    kTimeThreads,      // are at the gate
    kTimeRestored,     // seccomp is on
    kReplyTimes
};

struct RestorerReply {
    uint32_t magic;
    uint32_t kind;
    uint64_t serial;
    int32_t pid;  // in the template's own pid namespace; 0 when adopted
    int32_t error;
    char step[40];
    int64_t detail;
    uint64_t times_ns[kReplyTimes];  // CLOCK_MONOTONIC; 0: not reached
};

}  // namespace hearth::snapshot
