#pragma once

#include <cstddef>
#include <cstdint>

// How the host has commands run in a guest: one connection of vsock for each command.
//
// The host connects to kExecPort of the guest and sends one line of JSON, ended by '\n':
//   {"argv": ["ls", "-l"], "env": {"HOME": "/root"}, "cwd": "/root", "stdin": true}
// ("argv" alone is required; with "stdin" false or absent the command reads /dev/null), or
//   {"action": "reboot"}     ends the machine: file systems are synced, the monitor sees a reset
//   {"action": "ping"}       answered with the frame of an exit status 0
// From there on both sides send frames: 1 byte that names the stream, 4 bytes of length (little
// endian), the bytes. The guest's last frame is the exit status (4 bytes, little endian: what a
// shell would show, 128 + n for signal n, 127 for a command that is not there, 126 for one that
// cannot be run); then it closes. A host that closes earlier ends the command and all it started.
//
// The guest is not trusted: lengths above kFrameBytesMax and unknown streams end the connection.
//
// When the guest is ready it connects to kReadyPort of the host once and sends kReadyLine.
// Included by the guest's init, too, which has no C++ library.
namespace hearth::vmm {

inline constexpr uint32_t kExecPort = 1024;
inline constexpr uint32_t kReadyPort = 1025;
inline constexpr uint32_t kHostCid = 2;

inline constexpr char kReadyLine[] = "hearth-guest-init ready\n";

enum class ExecStream : uint8_t {
    kStdin = 0,   // host to guest; no bytes: end of input
    kStdout = 1,  // guest to host
    kStderr = 2,  // guest to host
    kExit = 3,    // guest to host, the last frame
    kSignal = 4,  // host to guest, one byte: the signal's number, for the command's process group
};

inline constexpr size_t kFrameHeaderBytes = 5;
inline constexpr size_t kFrameBytesMax = 64 << 10;
// The first line, with its end.
inline constexpr size_t kExecRequestBytesMax = 128 << 10;
inline constexpr size_t kExecArgumentsMax = 4096;

}  // namespace hearth::vmm
