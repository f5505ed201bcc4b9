#pragma once

#include "base/result.h"
#include "os/fd.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Packets with descriptors over SOCK_SEQPACKET socket pairs.
namespace hearth::os {

struct Packet {
    std::string bytes;
    std::vector<Fd> fds;
};

inline constexpr size_t kPacketBytesMax = 128 << 10;
inline constexpr size_t kPacketFdsMax = 32;

// Both ends close-on-exec; room for full packets.
Result<std::pair<Fd, Fd>> MakeChannel();

// False: the peer's queue is full (non-blocking sockets only); nothing was sent. Never SIGPIPE.
Result<bool> SendPacket(int socket, std::string_view bytes, std::span<const int> fds);

// nullopt: nothing there now (with `wait` false). An empty packet without descriptors is the end of
// the channel. Descriptors come close-on-exec; a packet larger than the limits is an error.
Result<std::optional<Packet>> ReceivePacket(int socket, bool wait);

}  // namespace hearth::os
