#pragma once

#include "base/clock.h"
#include "os/fd.h"
#include "vmm/virtio/metrics.h"
#include "vmm/virtio/queue.h"
#include "vmm/virtio/vsock_packet.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

// One stream between a port of the guest and a socket of the host.
//
// From guest to host: data is written to the socket at once; what the socket does not take is kept
// in a buffer of the size the guest was told, so a guest that keeps to its credit never overflows
// it, and one that does not is reset. From host to guest: data is read from the socket straight
// into the guest's buffer, and only as much as the guest has credit for.
//
// Knows nothing of queues and other connections: the muxer asks for packets while has_pending().
namespace hearth::vmm::virtio {

// Host ports and guest ports.
struct VsockKey final {
    std::uint32_t host_port = 0;
    std::uint32_t guest_port = 0;

    bool operator==(const VsockKey&) const = default;
};

class VsockConnection final {
  public:
    // What the guest may have in flight to us.
    static constexpr std::uint32_t kBufferBytes = 256 * 1024;
    // The guest is told of free space when it knows of less than this, so that it does not come to
    // a halt before (Firecracker's is 4 KiB; Linux as a host uses this one).
    static constexpr std::uint32_t kCreditThreshold = 64 * 1024;
    static constexpr std::size_t kPacketBytesMax = 64 * 1024;
    // For an answer to a request, and for an end after a shutdown.
    static constexpr std::chrono::milliseconds kPatience{2000};

    enum class State {
        kGuestAsked,   // the guest wants to connect and is owed a response
        kHostAsked,    // the guest is owed a request, or has it and has not answered
        kEstablished,  // data flows, but for what was shut down
        kClosing,      // the host closed; waits for the guest's reset
        kKilled,       // a reset is owed to the guest, then nothing
    };

    static VsockConnection FromGuest(
        VsockKey key,
        std::uint64_t guest_cid,
        os::Fd socket,
        const VsockHeader& request,
        VsockMetrics& metrics);

    static VsockConnection FromHost(
        VsockKey key, std::uint64_t guest_cid, os::Fd socket, VsockMetrics& metrics);

    // A packet of the guest; `chain` holds header and data, as many bytes as the header says.
    void Receive(const VsockHeader& header, const Chain& chain, MonotonicClock::time_point now);

    // The next packet for the guest: fills the header and writes data behind its place in `chain`.
    // False when there is none after all.
    bool Send(VsockHeader& header, const Chain& chain, MonotonicClock::time_point now);

    // The socket is readable, writable or broken.
    void OnSocket(std::uint32_t events);

    // Ends it: the guest will be sent a reset.
    void Kill();

    bool has_pending() const { return pending_ != 0; }

    State state() const { return state_; }

    const VsockKey& key() const { return key_; }

    int socket() const { return socket_.get(); }

    // Which events of the socket are of interest now (EPOLLIN, EPOLLOUT).
    std::uint32_t wanted_events() const;

    // When it is to be killed for waiting too long.
    std::optional<MonotonicClock::time_point> deadline() const { return deadline_; }

    // What the guest sent and the socket did not take yet.
    std::size_t buffered_bytes() const { return buffer_.size(); }

    // For the muxer: whether it is in the list of connections with packets, what is watched, and
    // how many of the buffered bytes are in its sum.
    bool is_listed = false;
    std::uint32_t watched_events = 0;
    std::size_t counted_bytes = 0;

  private:
    VsockConnection(
        VsockKey key, std::uint64_t guest_cid, os::Fd socket, State state, VsockMetrics& metrics)
        : key_(key),
          guest_cid_(guest_cid),
          socket_(std::move(socket)),
          state_(state),
          metrics_(&metrics) {}

    // Packets owed to the guest.
    enum Pending : unsigned {
        kPendingReset = 1,
        kPendingResponse = 2,
        kPendingRequest = 4,
        kPendingData = 8,
        kPendingCredit = 16,
    };

    void FillHeader(VsockHeader& header) const;
    void ReceiveData(const VsockHeader& header, const Chain& chain);
    void ReceiveShutdown(std::uint32_t flags, MonotonicClock::time_point now);
    bool SendData(VsockHeader& header, const Chain& chain, MonotonicClock::time_point now);
    void FlushBuffer();
    void DropBuffer();
    // After the last byte of the guest went out.
    void FinishWriting();
    void TellCreditIfNeeded();
    std::uint32_t guest_credit() const;

    bool Take(Pending pending);

    VsockKey key_;
    std::uint64_t guest_cid_;
    os::Fd socket_;
    State state_;
    unsigned pending_ = 0;
    bool guest_receives_ = true;
    bool guest_sends_ = true;
    bool host_sends_ = true;
    // Bytes of the guest that the socket did not take yet; those before written_ are gone.
    std::string buffer_;
    std::size_t written_ = 0;
    // Credit, counted modulo 2^32 as on the wire.
    std::uint32_t forwarded_ = 0;
    std::uint32_t forwarded_told_ = 0;
    std::uint32_t guest_buffer_ = 0;
    std::uint32_t guest_forwarded_ = 0;
    std::uint32_t sent_ = 0;
    std::optional<MonotonicClock::time_point> deadline_;
    VsockMetrics* metrics_;
};

}  // namespace hearth::vmm::virtio
