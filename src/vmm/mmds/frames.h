#pragma once

#include "vmm/config/config.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

// Ethernet, ARP, IPv4 and TCP as bytes: read without trust, written with correct checksums.
namespace hearth::vmm {

inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeArp = 0x0806;

struct EthernetFrame {
    MacAddress destination;
    MacAddress source;
    std::uint16_t type;
    std::span<const std::byte> payload;
};

struct ArpRequest {
    MacAddress sender_mac;
    Ipv4Address sender;
    Ipv4Address target;
};

struct Ipv4Packet {
    Ipv4Address source;
    Ipv4Address destination;
    std::uint8_t protocol;
    bool fragment;  // any part of a packet that is not whole
    std::span<const std::byte> payload;
};

struct TcpSegment {
    static constexpr std::uint8_t kFin = 1;
    static constexpr std::uint8_t kSyn = 2;
    static constexpr std::uint8_t kRst = 4;
    static constexpr std::uint8_t kPsh = 8;
    static constexpr std::uint8_t kAck = 16;

    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint32_t sequence = 0;
    std::uint32_t acknowledged = 0;
    std::uint8_t flags = 0;
    std::uint16_t window = 0;
    std::optional<std::uint16_t> mss;
    std::string_view payload;
};

// Nothing when the bytes are not that, or do not hold what their lengths claim. Checksums are not
// looked at: such a frame has crossed no wire, and a guest may leave them to its device.
std::optional<EthernetFrame> ReadEthernet(std::span<const std::byte> frame);
std::optional<ArpRequest> ReadArpRequest(std::span<const std::byte> payload);
std::optional<Ipv4Packet> ReadIpv4(std::span<const std::byte> payload);
std::optional<TcpSegment> ReadTcp(std::span<const std::byte> payload);

// Where a frame wants to go, even where the rest of it is damaged.
std::optional<Ipv4Address> TargetOf(const EthernetFrame& frame);

// Whole frames from us (`mac`, `address`) to the guest.
std::vector<std::byte> WriteArpReply(
    const MacAddress& mac,
    const Ipv4Address& address,
    const MacAddress& to_mac,
    const Ipv4Address& to);
std::vector<std::byte> WriteTcp(
    const MacAddress& mac,
    const Ipv4Address& address,
    const MacAddress& to_mac,
    const Ipv4Address& to,
    const TcpSegment& segment);

}  // namespace hearth::vmm
