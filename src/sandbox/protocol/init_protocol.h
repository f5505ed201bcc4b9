#pragma once

#include <cstdint>

// What the host and hearth-init say to each other. hearth-init is a small static program without
// the C++ library, so this header is plain data.
//
// 1. The host makes the process in its new namespaces, which waits for one byte on kInitSocket
// before
//    it starts hearth-init, so that uid maps and control groups are in place.
// 2. hearth-init prepares what all environments share (root, /proc, /tmp, loopback, listeners) and
//    sends InitReady with descriptors: runtime API listener, door listener, the /tmp directory.
// 3. For an environment the host sends InitAssign with descriptors: control socket, stdout, stderr,
// filter,
//    then the output of each companion, then one tree per mount; where there is a template
//    or a clone, then the end of a pipe that gets one byte when the mounts are there; for a clone
//    last its image, with what is to be in /tmp (tmp_archive.h). Nothing is answered; hearth-init
//    closes the socket to the host.
// 4. The cloud writes kControlStart to the control socket: the runtime starts. Other packets are
// a signal
//    number for it, or a signal number and the number of a companion. When the runtime has ended,
//    or could not start, one InitReport comes back and hearth-init ends, which ends everything in
//    its pid namespace. End of file at any time does so too.
// 5. With companions, kControlStartCompanions comes first and starts them all. The runtime's
// process
//    exists by then and waits, so that it is pid 2 all the same. Each process that ends is one
//    InitReport, and hearth-init lives on until the cloud closes the control socket.
// 6. kControlSocket is answered with InitSocket and a descriptor.
namespace hearth::sandbox {

inline constexpr int kInitSocket = 3;
inline constexpr int kInitProgram = 4;
inline constexpr uint32_t kInitMagic = 0x48495431;
inline constexpr uint32_t kInitSocketMagic = 0x48495332;

// Inside the environment.
inline constexpr uint16_t kRuntimeApiPort = 9001;
inline constexpr uint16_t kDoorPort = 4566;
// As on AWS: sbx_user1051.
inline constexpr uint32_t kRuntimeUid = 993;
inline constexpr uint32_t kRuntimeGid = 990;

// What name servers of environments are: one address in the host's network namespace, served by the
// cloud.
inline constexpr uint32_t kDnsAddress = 0xc612ff35;  // 198.18.255.53

// The host's first packet to the process that becomes hearth-init.
struct InitGo {
    uint32_t magic;
    // IPv4 address of eth0 and of its gateway, in the machine's order; 0: there is no eth0.
    uint32_t address;
    uint32_t gateway;
};

struct InitReady {
    uint32_t magic;
    // Ports of the listeners; in a plain environment (no namespaces) the kernel chose them.
    uint16_t runtime_api_port;
    uint16_t door_port;
    // 0, or the errno of the failed step.
    int32_t error;
    char step[48];
};

// What an environment is for.
enum InitRole : uint32_t {
    kInitRunsProgram = 0,
    // The mounts are all: files of an image are looked up in them (docs/internals/snapshots.md).
    kInitHoldsTemplate = 1,
    // The runtime is made by a template, as pid 2 and with hearth-init as its parent.
    kInitHoldsClone = 2,
};

// Followed by `string_bytes` bytes of strings, each ended by NUL: arguments, environment, mount
// targets, working directory, companions (paths), their environment.
struct InitAssign {
    uint32_t magic;
    uint32_t role;  // InitRole
    uint32_t argument_count;
    uint32_t environment_count;
    uint32_t mount_count;
    uint32_t companion_count;
    uint32_t companion_environment_count;
    uint32_t string_bytes;
    uint32_t open_files_max;
    uint32_t processes_max;  // 0: no limit by rlimit (the group has one)
    uint32_t plain_uid;      // plain environments as root: the user to become; 0: stay
    uint64_t tmp_bytes;      // 0: leave /tmp alone
    uint64_t data_bytes;     // 0: no limit by rlimit
};

inline constexpr uint32_t kInitAssignBytesMax = 128 << 10;
inline constexpr uint32_t kInitFdsMax = 32;

inline constexpr uint32_t kCompanionsMax = 10;

inline constexpr unsigned char kControlStart = 255;
// The substitute for a freezer: all processes but hearth-init are stopped, and go on.
inline constexpr unsigned char kControlStop = 254;
inline constexpr unsigned char kControlContinue = 253;
inline constexpr unsigned char kControlStartCompanions = 252;
inline constexpr unsigned char kControlSocket = 251;

// Sent on the control socket.
struct InitReport {
    uint32_t magic;
    // 0 is the runtime, others are companions.
    uint32_t process;
    // As waitpid gives it; meaningless when `error` is set.
    int32_t wait_status;
    // errno of what kept the program from starting.
    int32_t error;
    char step[48];
};

// Sent on the control socket, with a TCP socket of the environment's network unless `error` is set.
struct InitSocket {
    uint32_t magic;
    int32_t error;
};

}  // namespace hearth::sandbox
