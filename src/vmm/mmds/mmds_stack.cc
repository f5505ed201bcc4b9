#include "vmm/mmds/mmds_stack.h"

#include "vmm/mmds/frames.h"
#include "vmm/mmds/metadata_service.h"
#include "vmm/mmds/tcp_connection.h"
#include "vmm/observe/metrics.h"

#include <algorithm>
#include <deque>

namespace hearth::vmm {
namespace {

constexpr MacAddress kMac = {0x06, 0x01, 0x23, 0x45, 0x67, 0x01};
constexpr std::uint16_t kPort = 80;
constexpr std::uint8_t kProtocolTcp = 6;
constexpr std::size_t kConnectionsMax = 30;
constexpr std::size_t kResetsMax = 100;
// A connection nobody was heard on for this long gives way to a new one.
constexpr std::uint64_t kIdleNs = 30'000'000'000;

struct Counters {
    Counter& rx_accepted = metrics::Get("mmds", "rx_accepted");
    Counter& rx_accepted_err = metrics::Get("mmds", "rx_accepted_err");
    Counter& rx_accepted_unusual = metrics::Get("mmds", "rx_accepted_unusual");
    Counter& rx_bad_eth = metrics::Get("mmds", "rx_bad_eth");
    Counter& rx_count = metrics::Get("mmds", "rx_count");
    Counter& tx_bytes = metrics::Get("mmds", "tx_bytes");
    Counter& tx_count = metrics::Get("mmds", "tx_count");
    Counter& tx_frames = metrics::Get("mmds", "tx_frames");
    Counter& connections_created = metrics::Get("mmds", "connections_created");
    Counter& connections_destroyed = metrics::Get("mmds", "connections_destroyed");
};

struct Reset {
    Ipv4Address peer;
    TcpSegment segment;
};

// What RFC 9293, 3.10.7.1, answers to a segment of no connection.
TcpSegment ResetOf(const TcpSegment& segment) {
    TcpSegment reset;
    reset.source_port = segment.destination_port;
    reset.destination_port = segment.source_port;
    if ((segment.flags & TcpSegment::kAck) != 0) {
        reset.flags = TcpSegment::kRst;
        reset.sequence = segment.acknowledged;
    } else {
        reset.flags = TcpSegment::kRst | TcpSegment::kAck;
        reset.acknowledged = segment.sequence + static_cast<std::uint32_t>(segment.payload.size()) +
                             ((segment.flags & TcpSegment::kSyn) != 0 ? 1 : 0) +
                             ((segment.flags & TcpSegment::kFin) != 0 ? 1 : 0);
    }
    return reset;
}

}  // namespace

struct MmdsStack::State {
    std::shared_ptr<MmdsDataStore> store;
    Now now;
    Counters counters;
    MacAddress guest_mac = kMac;
    std::optional<Ipv4Address> arp_reply_to;
    std::deque<Reset> resets;
    std::vector<std::unique_ptr<TcpConnection>> connections;
    std::size_t turn = 0;  // which connection may speak next
    std::uint32_t next_sequence = 1;

    Ipv4Address address() const { return store->config.ipv4_address.value_or(kDefaultMmdsAddress); }

    void RemoveDone() {
        const auto removed =
            std::erase_if(connections, [](const auto& connection) { return connection->done(); });
        counters.connections_destroyed.Add(removed);
    }

    // Room for one more, or none.
    bool MakeRoom(std::uint64_t now_ns) {
        if (connections.size() < kConnectionsMax) {
            return true;
        }
        const auto oldest = std::ranges::min_element(
            connections, {}, [](const auto& connection) { return connection->last_heard_ns(); });
        if (now_ns - (*oldest)->last_heard_ns() < kIdleNs) {
            return false;
        }
        connections.erase(oldest);
        counters.connections_destroyed.Add();
        return true;
    }

    void Refuse(const Ipv4Address& peer, const TcpSegment& segment) {
        if ((segment.flags & TcpSegment::kRst) == 0 && resets.size() < kResetsMax) {
            resets.push_back(Reset{.peer = peer, .segment = ResetOf(segment)});
        }
    }

    void Receive(const Ipv4Address& peer, const TcpSegment& segment) {
        const std::uint64_t now_ns = now();
        const auto found = std::ranges::find_if(connections, [&](const auto& connection) {
            return connection->peer() == peer && connection->peer_port() == segment.source_port &&
                   segment.destination_port == kPort;
        });
        if (found != connections.end()) {
            (*found)->Receive(
                segment,
                [&](const HttpRequest& request) {
                    return AnswerMetadataRequest(*store, request, now_ns);
                },
                now_ns);
            RemoveDone();
            return;
        }
        constexpr std::uint8_t kAsk = TcpSegment::kSyn;
        constexpr std::uint8_t kAll =
            TcpSegment::kSyn | TcpSegment::kAck | TcpSegment::kRst | TcpSegment::kFin;
        if ((segment.flags & kAll) != kAsk || segment.destination_port != kPort ||
            !MakeRoom(now_ns)) {
            Refuse(peer, segment);
            return;
        }
        // Only the guest itself could guess at these numbers, to speak to itself.
        next_sequence += 64'000 + static_cast<std::uint32_t>(now_ns >> 10);
        connections.push_back(
            std::make_unique<TcpConnection>(peer, segment, next_sequence, now_ns));
        counters.connections_created.Add();
    }

    void ReceiveIpv4(const EthernetFrame& frame) {
        const auto packet = ReadIpv4(frame.payload);
        if (!packet || packet->fragment) {
            counters.rx_accepted_err.Add();
            return;
        }
        if (packet->protocol != kProtocolTcp) {
            counters.rx_accepted_unusual.Add();
            return;
        }
        const auto segment = ReadTcp(packet->payload);
        if (!segment) {
            counters.rx_accepted_err.Add();
            return;
        }
        guest_mac = frame.source;
        counters.rx_count.Add();
        Receive(packet->source, *segment);
    }

    std::vector<std::byte> Sent(std::vector<std::byte> frame) {
        counters.tx_count.Add();
        counters.tx_frames.Add();
        counters.tx_bytes.Add(frame.size());
        return frame;
    }
};

MmdsStack::MmdsStack(std::shared_ptr<MmdsDataStore> store, Now now)
    : state_(std::make_unique<State>()) {
    state_->store = std::move(store);
    state_->now = std::move(now);
}

MmdsStack::~MmdsStack() = default;

bool MmdsStack::Detour(std::span<const std::byte> bytes) {
    auto& state = *state_;
    const auto frame = ReadEthernet(bytes);
    if (!frame) {
        state.counters.rx_bad_eth.Add();
        return false;
    }
    // Whatever names our address is ours, damaged or not: nothing of it reaches the host's network.
    if (TargetOf(*frame) != state.address()) {
        return false;
    }
    state.counters.rx_accepted.Add();
    if (frame->type == kEtherTypeIpv4) {
        state.ReceiveIpv4(*frame);
    } else if (const auto request = ReadArpRequest(frame->payload)) {
        state.guest_mac = request->sender_mac;
        state.arp_reply_to = request->sender;
    } else {
        state.counters.rx_accepted_err.Add();
    }
    return true;
}

bool MmdsStack::HasFrame() const {
    const auto& state = *state_;
    if (state.arp_reply_to || !state.resets.empty()) {
        return true;
    }
    const std::uint64_t now_ns = state.now();
    return std::ranges::any_of(
        state.connections, [&](const auto& connection) { return connection->HasSegment(now_ns); });
}

std::optional<std::vector<std::byte>> MmdsStack::NextFrame() {
    auto& state = *state_;
    if (state.arp_reply_to) {
        const auto to = *state.arp_reply_to;
        state.arp_reply_to.reset();
        return state.Sent(WriteArpReply(kMac, state.address(), state.guest_mac, to));
    }
    if (!state.resets.empty()) {
        const auto reset = state.resets.front();
        state.resets.pop_front();
        return state.Sent(
            WriteTcp(kMac, state.address(), state.guest_mac, reset.peer, reset.segment));
    }
    const std::uint64_t now_ns = state.now();
    for (std::size_t i = 0; i < state.connections.size(); ++i) {
        state.turn = (state.turn + 1) % state.connections.size();
        auto& connection = *state.connections[state.turn];
        if (const auto segment = connection.NextSegment(now_ns)) {
            auto frame =
                WriteTcp(kMac, state.address(), state.guest_mac, connection.peer(), *segment);
            state.RemoveDone();
            return state.Sent(std::move(frame));
        }
    }
    return std::nullopt;
}

std::optional<std::uint64_t> MmdsStack::NextDeadline() const {
    std::optional<std::uint64_t> first;
    for (const auto& connection : state_->connections) {
        if (const auto deadline = connection->deadline_ns();
            deadline && (!first || *deadline < *first)) {
            first = deadline;
        }
    }
    return first;
}

}  // namespace hearth::vmm
