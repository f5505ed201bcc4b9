#pragma once

#include "vmm/http/request.h"
#include "vmm/mmds/frames.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

// One TCP connection of a guest to the metadata service: a passive end that takes requests in order
// and sends answers, with as much of TCP as that needs: retransmission after a fixed time, the
// peer's window and segment size, both ways of closing. What comes out of order is dropped and
// asked for again; nothing of it is kept.
namespace hearth::vmm {

class TcpConnection final {
  public:
    using Answer = std::function<HttpResponse(const HttpRequest&)>;

    // A request with its head fits in here, so does the window we offer.
    static constexpr std::size_t kReceiveBytesMax = 2'500;
    static constexpr std::uint16_t kMss = 1'460;
    static constexpr std::uint64_t kRetransmitAfterNs = 1'200'000'000;
    static constexpr int kRetransmitsMax = 15;

    // `syn` is the segment that asked for it.
    TcpConnection(
        const Ipv4Address& peer,
        const TcpSegment& syn,
        std::uint32_t initial_sequence,
        std::uint64_t now_ns);

    void Receive(const TcpSegment& segment, const Answer& answer, std::uint64_t now_ns);

    // The next segment to send now, or nothing. The payload points into the connection.
    std::optional<TcpSegment> NextSegment(std::uint64_t now_ns);
    bool HasSegment(std::uint64_t now_ns) const;

    // When a retransmission is due; nothing while nothing is unacknowledged.
    std::optional<std::uint64_t> deadline_ns() const { return deadline_ns_; }

    // Both sides have closed, or one gave up.
    bool done() const { return done_; }

    const Ipv4Address& peer() const { return peer_; }

    std::uint16_t peer_port() const { return peer_port_; }

    std::uint64_t last_heard_ns() const { return last_heard_ns_; }

  private:
    std::uint16_t Window() const;
    void TakePayload(const TcpSegment& segment, const Answer& answer);
    void AnswerRequests(const Answer& answer);
    void Acknowledge(const TcpSegment& segment, std::uint64_t now_ns);
    void Abort(std::uint32_t sequence);
    void FinishIfClosed();
    Ipv4Address peer_;
    std::uint16_t peer_port_;
    std::uint16_t local_port_;
    std::uint16_t peer_mss_;
    std::uint16_t peer_window_;

    HttpRequestParser parser_;
    std::uint32_t receive_next_;  // the sequence number we wait for
    bool peer_closed_ = false;    // its FIN is in

    bool syn_acknowledged_ = false;
    bool syn_sent_ = false;
    std::string out_;               // what is not acknowledged yet; begins at `unacknowledged_`
    std::uint32_t unacknowledged_;  // sequence number
    std::size_t sent_ = 0;          // bytes of `out_` that were sent since the last timeout
    bool close_ = false;            // a FIN goes behind `out_`
    bool fin_sent_ = false;
    bool fin_acknowledged_ = false;

    bool acknowledge_now_ = false;
    std::optional<std::uint32_t> reset_sequence_;  // a RST to send, then it is over
    std::optional<std::uint64_t> deadline_ns_;
    int retransmits_ = 0;
    bool probe_ = false;  // one byte into a closed window, to hear whether it has opened
    std::uint64_t last_heard_ns_;
    bool done_ = false;
};

}  // namespace hearth::vmm
