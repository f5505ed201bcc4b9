#pragma once

#include "base/result.h"
#include "vmm/event/event_fd.h"
#include "vmm/virtio/vsock_connection.h"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

// All connections of one guest, and the sockets of the host they go to.
//
// It has an epoll of its own, of which the machine's loop sees one descriptor: connections come and
// go without the loop's knowledge. Bounds: connections and handshakes together, resets owed.
namespace hearth::vmm::virtio {

class VsockMuxer final {
  public:
    static constexpr std::size_t kConnectionsMax = 1023;
    static constexpr std::size_t kResetsMax = 256;
    // What sockets of the host do not take, of all connections together: a guest that talks to many
    // who do not listen must not take the host's memory. Who goes beyond loses that connection.
    static constexpr std::size_t kBufferedBytesMax = 32 << 20;
    // Descriptors that connections leave to the rest of the process: its API, disks that change.
    static constexpr int kDescriptorsReserved = 64;
    // Host ports of connections that the host began: up to twice this.
    static constexpr std::uint32_t kFirstHostPort = 1U << 30;

    static Result<std::unique_ptr<VsockMuxer>> Create(
        std::uint64_t guest_cid,
        std::string uds_path,
        VsockMetrics& metrics,
        std::shared_ptr<MonotonicClock> clock);

    // Removes the listener's path.
    ~VsockMuxer();

    VsockMuxer(const VsockMuxer&) = delete;
    VsockMuxer& operator=(const VsockMuxer&) = delete;

    // Readable when OnEvents has something to do.
    int epoll() const { return epoll_.get(); }

    void OnEvents();

    // A packet of the guest, header and data in `chain`. Always consumed.
    void FromGuest(const Chain& chain);

    bool has_pending() const { return !listed_.empty() || !resets_.empty(); }

    // Puts the next packet into `chain`, which has room for a header. How many bytes that were;
    // zero when there was nothing after all.
    std::uint32_t ToGuest(const Chain& chain);

    // Closes all connections without a word to the guest, which has forgotten them.
    void Reset();

    std::size_t connection_count() const { return connections_.size(); }

    std::size_t buffered_bytes() const { return buffered_bytes_; }

  private:
    struct KeyHash final {
        std::size_t operator()(const VsockKey& key) const {
            return std::hash<std::uint64_t>()(
                (std::uint64_t{key.host_port} << 32) | key.guest_port);
        }
    };

    // A client of the host that has not said yet where it wants to go.
    struct Handshake final {
        os::Fd socket;
        std::string text;
    };

    VsockMuxer(
        std::uint64_t guest_cid,
        std::string uds_path,
        VsockMetrics& metrics,
        std::shared_ptr<MonotonicClock> clock,
        os::Fd epoll,
        os::Fd listener,
        TimerFd timer);

    void Accept();
    // Whether one more connection, which has this socket, is too much.
    bool IsFull(const os::Fd& socket) const;
    // A listener that cannot be accepted from (no descriptors left) would be ready for ever.
    void WatchListener(bool watch);
    // Reads "CONNECT <port>" of a host's client; `fd` is its socket.
    void ContinueHandshake(int fd);
    void StartConnection(VsockConnection connection);
    void AcceptGuest(const VsockHeader& header);
    void OweReset(std::uint32_t host_port, std::uint32_t guest_port);
    void Remove(const VsockKey& key);
    // To be called after each change of a connection: lists it, watches its socket, sets the timer,
    // counts its bytes.
    void Settle(VsockConnection& connection);
    void Expire();
    std::uint32_t NextHostPort(std::uint32_t guest_port);

    std::uint64_t guest_cid_;
    std::string uds_path_;
    VsockMetrics& metrics_;
    std::shared_ptr<MonotonicClock> clock_;
    os::Fd epoll_;
    os::Fd listener_;
    TimerFd timer_;
    std::optional<MonotonicClock::time_point> timer_due_;
    bool is_listener_watched_ = true;
    // Descriptors from this number on are not for connections.
    int descriptors_max_;
    std::size_t buffered_bytes_ = 0;
    std::unordered_map<VsockKey, VsockConnection, KeyHash> connections_;
    // Both by the descriptor of their socket, which is what epoll knows.
    std::unordered_map<int, VsockKey> keys_;
    std::unordered_map<int, Handshake> handshakes_;
    std::unordered_set<std::uint32_t> host_ports_;
    std::uint32_t last_host_port_ = kFirstHostPort - 1;
    // Connections with packets for the guest, each once, in turn.
    std::deque<VsockKey> listed_;
    std::deque<VsockKey> resets_;
};

}  // namespace hearth::vmm::virtio
