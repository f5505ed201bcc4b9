#include "vmm/mmds/tcp_connection.h"

#include <algorithm>

namespace hearth::vmm {
namespace {

// Sequence numbers wrap: a is behind b when the way from b to a is the shorter one.
bool Behind(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::int32_t>(a - b) > 0;
}

// A peer may ask for segments so small that answering is all work; RFC 879's default is 536.
constexpr std::uint16_t kPeerMssMin = 100;
constexpr std::uint16_t kPeerMssDefault = 536;

}  // namespace

TcpConnection::TcpConnection(
    const Ipv4Address& peer,
    const TcpSegment& syn,
    std::uint32_t initial_sequence,
    std::uint64_t now_ns)
    : peer_(peer),
      peer_port_(syn.source_port),
      local_port_(syn.destination_port),
      peer_mss_(std::clamp(syn.mss.value_or(kPeerMssDefault), kPeerMssMin, kMss)),
      peer_window_(syn.window),
      parser_(HttpLimits{
          .head_bytes_max = kReceiveBytesMax - 4,
          .headers_max = 32,
          .body_bytes_max = kReceiveBytesMax}),
      receive_next_(syn.sequence + 1),
      unacknowledged_(initial_sequence),
      last_heard_ns_(now_ns) {}

std::uint16_t TcpConnection::Window() const {
    // The parser never holds more than a request of the largest size.
    const std::size_t held = std::min(parser_.buffered_bytes(), kReceiveBytesMax);
    return static_cast<std::uint16_t>(kReceiveBytesMax - held);
}

void TcpConnection::Abort(std::uint32_t sequence) {
    reset_sequence_ = sequence;
    deadline_ns_.reset();
}

void TcpConnection::FinishIfClosed() {
    done_ = done_ || (peer_closed_ && fin_acknowledged_ && !acknowledge_now_);
}

void TcpConnection::Acknowledge(const TcpSegment& segment, std::uint64_t now_ns) {
    const std::uint32_t acknowledged = segment.acknowledged;
    // Our SYN and our FIN each take one number.
    const std::uint32_t end = unacknowledged_ + (syn_acknowledged_ ? 0 : 1) +
                              static_cast<std::uint32_t>(out_.size()) + (fin_sent_ ? 1 : 0);
    if (Behind(acknowledged, end)) {
        acknowledge_now_ = true;  // of something we never sent
        return;
    }
    if (!Behind(acknowledged, unacknowledged_)) {
        peer_window_ = segment.window;
        return;  // nothing new
    }
    std::uint32_t bytes = acknowledged - unacknowledged_;
    if (!syn_acknowledged_) {
        syn_acknowledged_ = true;
        unacknowledged_ += 1;
        bytes -= 1;
    }
    const auto of_data = std::min<std::size_t>(bytes, out_.size());
    out_.erase(0, of_data);
    sent_ -= std::min(sent_, of_data);
    unacknowledged_ += static_cast<std::uint32_t>(of_data);
    if (bytes > of_data) {
        unacknowledged_ += 1;  // our FIN: all of ours is through
        fin_sent_ = false;
        fin_acknowledged_ = true;
        deadline_ns_.reset();
        return;
    }
    peer_window_ = segment.window;
    retransmits_ = 0;
    probe_ = false;
    if (out_.empty() && !fin_sent_) {
        deadline_ns_.reset();
    } else {
        deadline_ns_ = now_ns + kRetransmitAfterNs;
    }
}

void TcpConnection::AnswerRequests(const Answer& answer) {
    // One answer at a time: what a guest may make us hold is one request and one answer.
    while (out_.empty() && !close_) {
        auto next = parser_.Next();
        if (!next.ok()) {
            const HttpResponse response{
                .status = next.error().http_status(),
                .body = next.error().message(),
                .content_type = "text/plain"};
            out_ = WriteHttpResponse(response, true, false);
            close_ = true;
            return;
        }
        if (parser_.TakeContinue()) {
            out_ = "HTTP/1.1 100 Continue\r\n\r\n";
            return;
        }
        if (!*next) {
            break;
        }
        const HttpRequest& request = **next;
        out_ = WriteHttpResponse(answer(request), request.http_1_1, request.keep_alive);
        close_ = !request.keep_alive;
    }
    if (peer_closed_ && out_.empty()) {
        close_ = true;
    }
}

void TcpConnection::TakePayload(const TcpSegment& segment, const Answer& answer) {
    std::string_view payload = segment.payload;
    bool fin = (segment.flags & TcpSegment::kFin) != 0;
    std::uint32_t sequence = segment.sequence;
    if (payload.empty() && !fin) {
        return;
    }
    acknowledge_now_ = true;
    // What we have already had is cut off; what would leave a gap is not taken.
    if (Behind(receive_next_, sequence)) {
        const std::uint32_t known = receive_next_ - sequence;
        if (known > payload.size()) {
            return;
        }
        payload.remove_prefix(known);
        sequence = receive_next_;
    }
    if (sequence != receive_next_ || peer_closed_) {
        return;
    }
    // Behind our end of the conversation, what it says is counted but not read.
    if (!close_) {
        const std::size_t room = Window();
        if (payload.size() > room) {
            payload = payload.substr(0, room);
            fin = false;
        }
        parser_.Append(payload);
    }
    receive_next_ += static_cast<std::uint32_t>(payload.size());
    if (fin) {
        receive_next_ += 1;
        peer_closed_ = true;
    }
    AnswerRequests(answer);
}

void TcpConnection::Receive(const TcpSegment& segment, const Answer& answer, std::uint64_t now_ns) {
    if (done_ || reset_sequence_) {
        return;
    }
    if ((segment.flags & TcpSegment::kRst) != 0) {
        // Only one that lies in the window ends a connection (RFC 5961).
        const std::uint32_t offset = segment.sequence - receive_next_;
        if (offset < std::max<std::uint32_t>(Window(), 1)) {
            done_ = true;
        }
        return;
    }
    if ((segment.flags & TcpSegment::kSyn) != 0) {
        if (!syn_acknowledged_ && segment.sequence + 1 == receive_next_) {
            syn_sent_ = false;  // it has not heard our answer
        } else {
            acknowledge_now_ = true;
        }
        return;
    }
    if ((segment.flags & TcpSegment::kAck) == 0) {
        return;
    }
    last_heard_ns_ = now_ns;
    Acknowledge(segment, now_ns);
    if (done_ || reset_sequence_ || !syn_acknowledged_) {
        return;
    }
    TakePayload(segment, answer);
    // A request that waited for the answer before it.
    AnswerRequests(answer);
    FinishIfClosed();
}

bool TcpConnection::HasSegment(std::uint64_t now_ns) const {
    if (done_) {
        return false;
    }
    if (reset_sequence_ || acknowledge_now_ || !syn_sent_ ||
        (deadline_ns_ && now_ns >= *deadline_ns_)) {
        return true;
    }
    if (!syn_acknowledged_) {
        return false;
    }
    if (sent_ < out_.size()) {
        return sent_ < peer_window_ || !deadline_ns_;
    }
    return close_ && !fin_sent_ && !fin_acknowledged_;
}

std::optional<TcpSegment> TcpConnection::NextSegment(std::uint64_t now_ns) {
    if (!HasSegment(now_ns)) {
        return std::nullopt;
    }
    TcpSegment segment;
    segment.source_port = local_port_;
    segment.destination_port = peer_port_;
    segment.flags = TcpSegment::kAck;
    segment.acknowledged = receive_next_;
    segment.window = Window();
    if (reset_sequence_) {
        segment.flags = TcpSegment::kRst | TcpSegment::kAck;
        segment.sequence = *reset_sequence_;
        done_ = true;
        return segment;
    }
    if (deadline_ns_ && now_ns >= *deadline_ns_) {
        // Everything again from the first byte that is not acknowledged.
        deadline_ns_.reset();
        if (++retransmits_ > kRetransmitsMax) {
            Abort(unacknowledged_ + (syn_acknowledged_ ? 0 : 1));
            return NextSegment(now_ns);
        }
        syn_sent_ = syn_acknowledged_;
        probe_ = peer_window_ == 0;
        sent_ = 0;
        fin_sent_ = false;
    }
    if (!syn_sent_) {
        segment.flags = TcpSegment::kSyn | TcpSegment::kAck;
        segment.sequence = unacknowledged_;
        segment.mss = kMss;
        syn_sent_ = true;
        acknowledge_now_ = false;
        deadline_ns_ = now_ns + kRetransmitAfterNs;
        return segment;
    }
    segment.sequence = unacknowledged_ + (syn_acknowledged_ ? 0 : 1) +
                       static_cast<std::uint32_t>(sent_) + (fin_sent_ ? 1 : 0);
    acknowledge_now_ = false;
    if (!syn_acknowledged_) {
        return segment;
    }
    std::size_t room = peer_window_ > sent_ ? peer_window_ - sent_ : 0;
    if (room == 0 && probe_) {
        room = 1;
        probe_ = false;
    }
    const std::size_t bytes = std::min({room, std::size_t{peer_mss_}, out_.size() - sent_});
    if (bytes > 0) {
        segment.payload = std::string_view(out_).substr(sent_, bytes);
        sent_ += bytes;
        if (sent_ == out_.size()) {
            segment.flags |= TcpSegment::kPsh;
        }
    }
    if (close_ && !fin_sent_ && !fin_acknowledged_ && sent_ == out_.size()) {
        segment.flags |= TcpSegment::kFin;
        fin_sent_ = true;
    }
    // A closed window is waited out with the same clock, and probed when it rings.
    if (!deadline_ns_ && (!out_.empty() || fin_sent_)) {
        deadline_ns_ = now_ns + kRetransmitAfterNs;
    }
    FinishIfClosed();
    return segment;
}

}  // namespace hearth::vmm
