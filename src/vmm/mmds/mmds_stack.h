#pragma once

#include "vmm/config/config.h"
#include "vmm/mmds/data_store.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

// The network a guest's metadata service lives on: ARP, IPv4, TCP and HTTP, no more of each than
// a guest needs to read from one address, on Ethernet frames that never leave the process.
//
// Every frame is hostile: what does not add up is dropped, all tables have small fixed sizes, and a
// guest that floods them only loses its own connections. Nothing here waits or holds timers of the
// operating system; the network device asks for frames when the guest's queue has room.
namespace hearth::vmm {

class MmdsStack final {
  public:
    // Time for retransmission and tokens, nanoseconds of the monotonic clock.
    using Now = std::function<std::uint64_t()>;

    MmdsStack(std::shared_ptr<MmdsDataStore> store, Now now);
    ~MmdsStack();

    // A frame from the guest (Ethernet header first, no virtio header). True: it was for this
    // service and is done with; false: it goes to the tap.
    bool Detour(std::span<const std::byte> frame);

    // Whether NextFrame has one now.
    bool HasFrame() const;
    // The next frame for the guest, or nothing.
    std::optional<std::vector<std::byte>> NextFrame();
    // When HasFrame may become true without another frame from the guest (a retransmission):
    // nanoseconds of `now`, or nothing.
    std::optional<std::uint64_t> NextDeadline() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace hearth::vmm
