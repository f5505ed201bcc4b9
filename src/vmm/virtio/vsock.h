#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "vmm/virtio/device.h"
#include "vmm/virtio/metrics.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

// Stream sockets between guest and host (virtio 1.2, section 5.10), joined to AF_UNIX sockets by
// Firecracker's convention:
//   host to guest   connect to `uds_path`, write "CONNECT <port>\n", read "OK <host port>\n"
//   guest to host   a connection to CID 2, port P arrives at the listener of `uds_path`_P
namespace hearth::vmm::virtio {

struct VsockOptions final {
    std::uint32_t guest_cid = 3;
    std::string uds_path;
};

class VsockMuxer;

class VsockDevice final : public Device {
  public:
    static constexpr std::uint16_t kQueueSize = 256;
    static constexpr std::uint16_t kRx = 0;
    static constexpr std::uint16_t kTx = 1;
    static constexpr std::uint16_t kEvent = 2;

    // Listens at uds_path, which must not be there; the device removes it when it ends.
    static Result<std::shared_ptr<VsockDevice>> Create(
        const VsockOptions& options,
        std::shared_ptr<MonotonicClock> clock = MonotonicClock::System());

    ~VsockDevice() override;

    const VsockMetrics& metrics() const { return metrics_; }

    // For tests: how many connections there are.
    std::size_t connection_count() const;

    // For tests: what the guest sent and the host did not read.
    std::size_t buffered_bytes() const;

    std::uint32_t type() const override { return kDeviceVsock; }

    std::uint64_t features() const override;
    std::span<const std::uint16_t> queue_sizes() const override;
    void ReadConfig(std::uint64_t offset, std::span<std::byte> data) override;
    void WriteConfig(std::uint64_t offset, std::span<const std::byte> data) override;
    std::vector<EventSource> event_sources() override;
    void Kick(std::uint16_t queue) override;
    void Reset() override;

  private:
    explicit VsockDevice(const VsockOptions& options);

    void ProcessRx();
    void ProcessTx();

    VsockOptions options_;
    VsockMetrics metrics_;
    std::unique_ptr<VsockMuxer> muxer_;
    Chain chain_;
};

}  // namespace hearth::vmm::virtio
