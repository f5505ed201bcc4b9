#include "vmm/mmds/frames.h"

#include <algorithm>
#include <cstring>

namespace hearth::vmm {
namespace {

constexpr std::size_t kEthernetBytes = 14;
constexpr std::size_t kArpBytes = 28;
constexpr std::size_t kIpv4BytesMin = 20;
constexpr std::size_t kTcpBytesMin = 20;
constexpr std::uint8_t kProtocolTcp = 6;

std::uint8_t Byte(std::span<const std::byte> bytes, std::size_t at) {
    return std::to_integer<std::uint8_t>(bytes[at]);
}

std::uint16_t Read16(std::span<const std::byte> bytes, std::size_t at) {
    return static_cast<std::uint16_t>(Byte(bytes, at) << 8 | Byte(bytes, at + 1));
}

std::uint32_t Read32(std::span<const std::byte> bytes, std::size_t at) {
    return std::uint32_t{Read16(bytes, at)} << 16 | Read16(bytes, at + 2);
}

template <std::size_t kBytes>
std::array<std::uint8_t, kBytes> ReadArray(std::span<const std::byte> bytes, std::size_t at) {
    std::array<std::uint8_t, kBytes> value;
    std::memcpy(value.data(), bytes.data() + at, kBytes);
    return value;
}

class Writer {
  public:
    explicit Writer(std::size_t bytes) { bytes_.reserve(bytes); }

    void Put8(std::uint8_t value) { bytes_.push_back(std::byte{value}); }

    void Put16(std::uint16_t value) {
        Put8(static_cast<std::uint8_t>(value >> 8));
        Put8(static_cast<std::uint8_t>(value));
    }

    void Put32(std::uint32_t value) {
        Put16(static_cast<std::uint16_t>(value >> 16));
        Put16(static_cast<std::uint16_t>(value));
    }

    template <std::size_t kBytes>
    void Put(const std::array<std::uint8_t, kBytes>& value) {
        for (const auto byte : value) {
            Put8(byte);
        }
    }

    void Put(std::string_view text) {
        for (const char c : text) {
            Put8(static_cast<std::uint8_t>(c));
        }
    }

    std::size_t size() const { return bytes_.size(); }

    std::span<const std::byte> from(std::size_t at) const { return std::span(bytes_).subspan(at); }

    void Set16(std::size_t at, std::uint16_t value) {
        bytes_[at] = static_cast<std::byte>(value >> 8);
        bytes_[at + 1] = static_cast<std::byte>(value);
    }

    std::vector<std::byte> Take() { return std::move(bytes_); }

  private:
    std::vector<std::byte> bytes_;
};

// RFC 1071.
std::uint16_t Checksum(std::span<const std::byte> bytes, std::uint32_t sum) {
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
        sum += Read16(bytes, i);
    }
    if (bytes.size() % 2 == 1) {
        sum += std::uint32_t{Byte(bytes, bytes.size() - 1)} << 8;
    }
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<std::uint16_t>(~sum);
}

std::uint32_t Sum(const Ipv4Address& address) {
    return (std::uint32_t{address[0]} << 8 | address[1]) +
           (std::uint32_t{address[2]} << 8 | address[3]);
}

}  // namespace

std::optional<EthernetFrame> ReadEthernet(std::span<const std::byte> frame) {
    if (frame.size() < kEthernetBytes) {
        return std::nullopt;
    }
    return EthernetFrame{
        .destination = ReadArray<6>(frame, 0),
        .source = ReadArray<6>(frame, 6),
        .type = Read16(frame, 12),
        .payload = frame.subspan(kEthernetBytes)};
}

std::optional<ArpRequest> ReadArpRequest(std::span<const std::byte> payload) {
    // Ethernet, IPv4, six and four bytes of address, a request.
    if (payload.size() < kArpBytes || Read16(payload, 0) != 1 ||
        Read16(payload, 2) != kEtherTypeIpv4 || Byte(payload, 4) != 6 || Byte(payload, 5) != 4 ||
        Read16(payload, 6) != 1) {
        return std::nullopt;
    }
    return ArpRequest{
        .sender_mac = ReadArray<6>(payload, 8),
        .sender = ReadArray<4>(payload, 14),
        .target = ReadArray<4>(payload, 24)};
}

std::optional<Ipv4Packet> ReadIpv4(std::span<const std::byte> payload) {
    if (payload.size() < kIpv4BytesMin || Byte(payload, 0) >> 4 != 4) {
        return std::nullopt;
    }
    const std::size_t header_bytes = std::size_t{Byte(payload, 0)} % 16 * 4;
    const std::size_t bytes = Read16(payload, 2);
    // A frame may be longer than its packet: short ones are padded.
    if (header_bytes < kIpv4BytesMin || bytes < header_bytes || bytes > payload.size()) {
        return std::nullopt;
    }
    return Ipv4Packet{
        .source = ReadArray<4>(payload, 12),
        .destination = ReadArray<4>(payload, 16),
        .protocol = Byte(payload, 9),
        .fragment = (Read16(payload, 6) & 0x3fff) != 0,
        .payload = payload.subspan(header_bytes, bytes - header_bytes)};
}

std::optional<TcpSegment> ReadTcp(std::span<const std::byte> payload) {
    if (payload.size() < kTcpBytesMin) {
        return std::nullopt;
    }
    const std::size_t header_bytes = std::size_t{Byte(payload, 12)} / 16 * 4;
    if (header_bytes < kTcpBytesMin || header_bytes > payload.size()) {
        return std::nullopt;
    }
    TcpSegment segment{
        .source_port = Read16(payload, 0),
        .destination_port = Read16(payload, 2),
        .sequence = Read32(payload, 4),
        .acknowledged = Read32(payload, 8),
        .flags = static_cast<std::uint8_t>(Byte(payload, 13) & 0x3f),
        .window = Read16(payload, 14),
        .mss = std::nullopt,
        .payload = std::string_view(
            reinterpret_cast<const char*>(payload.data()) + header_bytes,
            payload.size() - header_bytes)};
    const auto options = payload.subspan(kTcpBytesMin, header_bytes - kTcpBytesMin);
    for (std::size_t at = 0; at < options.size();) {
        const auto kind = Byte(options, at);
        if (kind == 0) {
            break;
        }
        if (kind == 1) {
            ++at;
            continue;
        }
        if (at + 1 >= options.size() || Byte(options, at + 1) < 2 ||
            at + Byte(options, at + 1) > options.size()) {
            return std::nullopt;
        }
        const std::size_t option_bytes = Byte(options, at + 1);
        if (kind == 2 && option_bytes == 4) {
            segment.mss = Read16(options, at + 2);
        }
        at += option_bytes;
    }
    return segment;
}

std::optional<Ipv4Address> TargetOf(const EthernetFrame& frame) {
    if (frame.type == kEtherTypeArp && frame.payload.size() >= kArpBytes) {
        return ReadArray<4>(frame.payload, 24);
    }
    if (frame.type == kEtherTypeIpv4 && frame.payload.size() >= kIpv4BytesMin) {
        return ReadArray<4>(frame.payload, 16);
    }
    return std::nullopt;
}

std::vector<std::byte> WriteArpReply(
    const MacAddress& mac,
    const Ipv4Address& address,
    const MacAddress& to_mac,
    const Ipv4Address& to) {
    Writer out(kEthernetBytes + kArpBytes);
    out.Put(to_mac);
    out.Put(mac);
    out.Put16(kEtherTypeArp);
    out.Put16(1);
    out.Put16(kEtherTypeIpv4);
    out.Put8(6);
    out.Put8(4);
    out.Put16(2);
    out.Put(mac);
    out.Put(address);
    out.Put(to_mac);
    out.Put(to);
    return out.Take();
}

std::vector<std::byte> WriteTcp(
    const MacAddress& mac,
    const Ipv4Address& address,
    const MacAddress& to_mac,
    const Ipv4Address& to,
    const TcpSegment& segment) {
    const std::size_t tcp_bytes = kTcpBytesMin + (segment.mss ? 4 : 0) + segment.payload.size();
    Writer out(kEthernetBytes + kIpv4BytesMin + tcp_bytes);
    out.Put(to_mac);
    out.Put(mac);
    out.Put16(kEtherTypeIpv4);

    out.Put8(0x45);
    out.Put8(0);
    out.Put16(static_cast<std::uint16_t>(kIpv4BytesMin + tcp_bytes));
    out.Put16(0);
    out.Put16(0x4000);  // not to be fragmented
    out.Put8(1);        // and to be forwarded by nobody
    out.Put8(kProtocolTcp);
    out.Put16(0);
    out.Put(address);
    out.Put(to);
    out.Set16(kEthernetBytes + 10, Checksum(out.from(kEthernetBytes).first(kIpv4BytesMin), 0));

    const std::size_t tcp_at = out.size();
    out.Put16(segment.source_port);
    out.Put16(segment.destination_port);
    out.Put32(segment.sequence);
    out.Put32(segment.acknowledged);
    out.Put8(static_cast<std::uint8_t>((kTcpBytesMin + (segment.mss ? 4 : 0)) / 4 << 4));
    out.Put8(segment.flags);
    out.Put16(segment.window);
    out.Put16(0);
    out.Put16(0);
    if (segment.mss) {
        out.Put8(2);
        out.Put8(4);
        out.Put16(*segment.mss);
    }
    out.Put(segment.payload);
    const std::uint32_t pseudo_header =
        Sum(address) + Sum(to) + kProtocolTcp + static_cast<std::uint32_t>(tcp_bytes);
    out.Set16(tcp_at + 16, Checksum(out.from(tcp_at), pseudo_header));
    return out.Take();
}

}  // namespace hearth::vmm
