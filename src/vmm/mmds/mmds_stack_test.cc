#include "vmm/mmds/mmds_stack.h"

#include "vmm/mmds/frames.h"
#include "vmm/mmds/tcp_connection.h"

#include <gtest/gtest.h>

#include <random>

namespace hearth::vmm {
namespace {

constexpr MacAddress kGuestMac = {6, 0, 0, 0, 0, 1};
constexpr MacAddress kServiceMac = {0x06, 0x01, 0x23, 0x45, 0x67, 0x01};
constexpr Ipv4Address kGuest = {172, 16, 0, 2};

// The guest's end: frames are written by the same code that reads them in the guest's place.
class MmdsStackTest : public testing::Test {
  protected:
    MmdsStackTest() : store_(std::make_shared<MmdsDataStore>(200'000)) {
        std::string large(100'000, 'x');
        codec::Json value(codec::Json::Object{});
        value.Set("a", codec::Json("short"));
        value.Set("large", codec::Json(large));
        EXPECT_TRUE(store_->Put(std::move(value)).ok());
        stack_ = std::make_unique<MmdsStack>(store_, [this] { return now_ns_; });
    }

    static std::vector<std::byte> Frame(const TcpSegment& segment) {
        return WriteTcp(kGuestMac, kGuest, kServiceMac, kDefaultMmdsAddress, segment);
    }

    bool Send(const TcpSegment& segment) {
        // WriteTcp writes from its first address to its second, which here is the service's.
        return stack_->Detour(Frame(segment));
    }

    TcpSegment Segment(std::uint8_t flags, std::string_view payload = {}) const {
        TcpSegment segment;
        segment.source_port = port_;
        segment.destination_port = 80;
        segment.sequence = sequence_;
        segment.acknowledged = acknowledged_;
        segment.flags = flags;
        segment.window = window_;
        segment.payload = payload;
        return segment;
    }

    // The next segment for the guest; its payload is kept alive in `frame_`.
    std::optional<TcpSegment> Receive() {
        const auto frame = stack_->NextFrame();
        if (!frame) {
            return std::nullopt;
        }
        frame_ = *frame;
        const auto ethernet = ReadEthernet(frame_);
        EXPECT_TRUE(ethernet);
        EXPECT_EQ(ethernet->destination, kGuestMac);
        EXPECT_EQ(ethernet->source, kServiceMac);
        const auto packet = ReadIpv4(ethernet->payload);
        EXPECT_TRUE(packet);
        EXPECT_EQ(packet->destination, kGuest);
        EXPECT_EQ(packet->source, kDefaultMmdsAddress);
        return ReadTcp(packet->payload);
    }

    void Connect() {
        auto syn = Segment(TcpSegment::kSyn);
        syn.mss = 1460;
        ASSERT_TRUE(Send(syn));
        sequence_ += 1;
        const auto answer = Receive();
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->flags, TcpSegment::kSyn | TcpSegment::kAck);
        EXPECT_EQ(answer->acknowledged, sequence_);
        EXPECT_EQ(answer->mss, 1460);
        acknowledged_ = answer->sequence + 1;
        ASSERT_TRUE(Send(Segment(TcpSegment::kAck)));
        EXPECT_FALSE(stack_->HasFrame());
    }

    void Say(std::string_view text) {
        ASSERT_TRUE(Send(Segment(TcpSegment::kAck | TcpSegment::kPsh, text)));
        sequence_ += static_cast<std::uint32_t>(text.size());
    }

    // Everything the service says, acknowledged as it comes.
    std::string Hear() {
        std::string heard;
        while (const auto segment = Receive()) {
            last_flags_ = segment->flags;
            if (segment->sequence == acknowledged_) {
                heard += segment->payload;
                acknowledged_ += static_cast<std::uint32_t>(segment->payload.size());
                if ((segment->flags & TcpSegment::kFin) != 0) {
                    acknowledged_ += 1;
                }
            }
            if (!segment->payload.empty()) {
                Send(Segment(TcpSegment::kAck));
            }
        }
        return heard;
    }

    std::shared_ptr<MmdsDataStore> store_;
    std::unique_ptr<MmdsStack> stack_;
    std::uint64_t now_ns_ = 1'000'000'000;
    std::uint16_t port_ = 40'000;
    std::uint16_t window_ = 60'000;
    std::uint32_t sequence_ = 0xffff'fff0;  // wraps soon
    std::uint32_t acknowledged_ = 0;
    std::uint8_t last_flags_ = 0;
    std::vector<std::byte> frame_;
};

TEST_F(MmdsStackTest, AnswersArpForItsAddressOnly) {
    auto frame = WriteArpReply(kGuestMac, kGuest, {}, kDefaultMmdsAddress);
    frame[21] = std::byte{1};  // a request
    EXPECT_TRUE(stack_->Detour(frame));
    const auto reply = stack_->NextFrame();
    ASSERT_TRUE(reply);
    EXPECT_EQ(*reply, WriteArpReply(kServiceMac, kDefaultMmdsAddress, kGuestMac, kGuest));
    EXPECT_FALSE(stack_->HasFrame());
    frame[41] = std::byte{1};  // another address
    EXPECT_FALSE(stack_->Detour(frame));
    EXPECT_FALSE(stack_->HasFrame());
}

TEST_F(MmdsStackTest, ServesARequestAndTheNextOne) {
    Connect();
    Say("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    auto heard = Hear();
    EXPECT_TRUE(heard.starts_with("HTTP/1.1 200 OK\r\n")) << heard;
    EXPECT_TRUE(heard.ends_with("\r\n\r\nshort"));
    EXPECT_FALSE(stack_->NextDeadline());
    Say("GET /none HT");
    EXPECT_EQ(Hear(), "");
    Say("TP/1.1\r\n\r\nGET /a HTTP/1.1\r\n\r\n");
    heard = Hear();
    EXPECT_TRUE(heard.contains("404 Not Found"));
    EXPECT_TRUE(heard.ends_with("short"));
}

TEST_F(MmdsStackTest, LargeAnswersKeepToTheWindow) {
    Connect();
    window_ = 3'000;
    Say("GET /large HTTP/1.1\r\n\r\n");
    // Unacknowledged, no more than the window comes.
    std::size_t sent = 0;
    while (const auto segment = Receive()) {
        EXPECT_LE(segment->payload.size(), 1460U);
        sent += segment->payload.size();
    }
    EXPECT_EQ(sent, 3'000U);
    // Nothing of it was taken: it comes again, once the time for that is there.
    EXPECT_FALSE(stack_->HasFrame());
    ASSERT_TRUE(stack_->NextDeadline());
    now_ns_ = *stack_->NextDeadline();
    const auto heard = Hear();
    EXPECT_EQ(heard.size() - heard.find("\r\n\r\n") - 4, 100'000U);
}

TEST_F(MmdsStackTest, AClosedWindowIsProbed) {
    Connect();
    window_ = 0;
    Say("GET /a HTTP/1.1\r\n\r\n");
    auto segment = Receive();
    ASSERT_TRUE(segment);
    EXPECT_TRUE(segment->payload.empty());
    EXPECT_FALSE(Receive());
    now_ns_ += TcpConnection::kRetransmitAfterNs;
    segment = Receive();
    ASSERT_TRUE(segment);
    EXPECT_EQ(segment->payload, "H");
    window_ = 60'000;
    ASSERT_TRUE(Send(Segment(TcpSegment::kAck)));
    now_ns_ += TcpConnection::kRetransmitAfterNs;
    EXPECT_TRUE(Hear().ends_with("short"));
}

TEST_F(MmdsStackTest, ClosesWhenAskedTo) {
    Connect();
    Say("GET /a HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(Hear().ends_with("short"));
    EXPECT_TRUE(last_flags_ & TcpSegment::kFin);
    // The guest's own end is acknowledged, then there is no connection any more.
    ASSERT_TRUE(Send(Segment(TcpSegment::kAck | TcpSegment::kFin)));
    sequence_ += 1;
    auto last = Receive();
    ASSERT_TRUE(last);
    EXPECT_EQ(last->flags, TcpSegment::kAck);
    EXPECT_EQ(last->acknowledged, sequence_);
    ASSERT_TRUE(Send(Segment(TcpSegment::kAck)));
    last = Receive();
    ASSERT_TRUE(last);
    EXPECT_EQ(last->flags, TcpSegment::kRst);
}

TEST_F(MmdsStackTest, FollowsAGuestThatCloses) {
    Connect();
    Say("GET /a HTTP/1.1\r\n\r\n");
    ASSERT_TRUE(Send(Segment(TcpSegment::kAck | TcpSegment::kFin)));
    sequence_ += 1;
    EXPECT_TRUE(Hear().ends_with("short"));
    EXPECT_TRUE(last_flags_ & TcpSegment::kFin);
    ASSERT_TRUE(Send(Segment(TcpSegment::kAck)));
    EXPECT_FALSE(stack_->HasFrame());
    EXPECT_FALSE(stack_->NextDeadline());
}

TEST_F(MmdsStackTest, ABadRequestEndsTheConnection) {
    Connect();
    Say("DELETE / HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(Hear().starts_with("HTTP/1.1 400"));
    EXPECT_TRUE(last_flags_ & TcpSegment::kFin);
}

TEST_F(MmdsStackTest, AHeadWithoutEndIsNotKept) {
    Connect();
    Say("GET /" + std::string(1'000, 'a'));
    Hear();
    Say(std::string(1'000, 'a'));
    Hear();
    Say(std::string(499, 'a'));
    EXPECT_TRUE(Hear().starts_with("HTTP/1.1 400"));
}

TEST_F(MmdsStackTest, WhatComesTwiceCountsOnceAndGapsAreNotTaken) {
    Connect();
    const std::string request = "GET /a HTTP/1.1\r\n\r\n";
    auto late = Segment(TcpSegment::kAck, std::string_view(request).substr(5));
    late.sequence += 5;
    ASSERT_TRUE(Send(late));
    const auto acknowledgement = Receive();
    ASSERT_TRUE(acknowledgement);
    EXPECT_EQ(acknowledgement->acknowledged, sequence_);
    ASSERT_TRUE(Send(Segment(TcpSegment::kAck, std::string_view(request).substr(0, 5))));
    ASSERT_TRUE(Send(Segment(TcpSegment::kAck, request)));
    sequence_ += static_cast<std::uint32_t>(request.size());
    EXPECT_TRUE(Hear().ends_with("short"));
}

TEST_F(MmdsStackTest, ResetsEndOnlyWhatTheyHit) {
    Connect();
    auto reset = Segment(TcpSegment::kRst);
    reset.sequence += 100'000;
    ASSERT_TRUE(Send(reset));
    Say("GET /a HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(Hear().ends_with("short"));
    ASSERT_TRUE(Send(Segment(TcpSegment::kRst)));
    EXPECT_FALSE(stack_->HasFrame());
    ASSERT_TRUE(Send(Segment(TcpSegment::kAck)));
    EXPECT_EQ(Receive()->flags, TcpSegment::kRst);
}

TEST_F(MmdsStackTest, AnAnswerNobodyTakesIsGivenUp) {
    Connect();
    Say("GET /a HTTP/1.1\r\n\r\n");
    std::uint8_t flags = 0;
    int frames = 0;
    while (!(flags & TcpSegment::kRst)) {
        const auto segment = Receive();
        if (!segment) {
            ASSERT_TRUE(stack_->NextDeadline());
            now_ns_ = *stack_->NextDeadline();
            continue;
        }
        flags = segment->flags;
        ASSERT_LT(++frames, 100);
    }
    EXPECT_GE(frames, TcpConnection::kRetransmitsMax);
    EXPECT_FALSE(stack_->NextDeadline());
}

TEST_F(MmdsStackTest, ManyConnectionsEvictTheIdle) {
    const auto ask = [&] {
        ++port_;
        EXPECT_TRUE(Send(Segment(TcpSegment::kSyn)));
        const auto answer = Receive();
        return answer ? answer->flags : 0;
    };
    for (int i = 0; i < 30; ++i) {
        EXPECT_EQ(ask(), TcpSegment::kSyn | TcpSegment::kAck);
    }
    EXPECT_EQ(ask(), TcpSegment::kRst | TcpSegment::kAck);
    now_ns_ += 31'000'000'000;
    port_ += 1;
    EXPECT_TRUE(Send(Segment(TcpSegment::kSyn)));
    bool accepted = false;
    while (const auto segment = Receive()) {
        accepted = accepted || (segment->destination_port == port_ &&
                                segment->flags == (TcpSegment::kSyn | TcpSegment::kAck));
    }
    EXPECT_TRUE(accepted);
    // A flood of strays is refused a hundred times, not remembered for ever.
    for (int i = 0; i < 10'000; ++i) {
        ++port_;
        Send(Segment(TcpSegment::kAck));
    }
    int frames = 0;
    while (stack_->NextFrame()) {
        ++frames;
    }
    EXPECT_LE(frames, 200);
}

TEST_F(MmdsStackTest, NothingForItsAddressReachesTheTap) {
    Connect();
    auto frame = Frame(Segment(TcpSegment::kAck, "GET /a HTTP/1.1\r\n\r\n"));
    EXPECT_FALSE(stack_->Detour(std::span(frame).first(10)));
    // Cut anywhere behind the addresses, it is taken and dropped.
    for (std::size_t bytes = 34; bytes < frame.size(); ++bytes) {
        EXPECT_TRUE(stack_->Detour(std::span(frame).first(bytes))) << bytes;
    }
    auto fragment = frame;
    fragment[20] = std::byte{0x20};
    EXPECT_TRUE(stack_->Detour(fragment));
    auto udp = frame;
    udp[23] = std::byte{17};
    EXPECT_TRUE(stack_->Detour(udp));
    auto header = frame;
    header[46] = std::byte{0xf0};
    EXPECT_TRUE(stack_->Detour(header));
    header[46] = std::byte{0x10};
    EXPECT_TRUE(stack_->Detour(header));
    EXPECT_FALSE(stack_->HasFrame());
    // Another address, another protocol: not ours.
    auto other = frame;
    other[33] = std::byte{1};
    EXPECT_FALSE(stack_->Detour(other));
    auto ipv6 = frame;
    ipv6[12] = std::byte{0x86};
    ipv6[13] = std::byte{0xdd};
    EXPECT_FALSE(stack_->Detour(ipv6));
}

// A guest that sends what it likes: frames of a conversation, with bytes changed at random.
TEST_F(MmdsStackTest, SurvivesRandomFrames) {
    constexpr unsigned kSeed = 20'261'122;
    std::mt19937 random(kSeed);
    RecordProperty("seed", static_cast<int>(kSeed));
    std::size_t taken = 0;
    for (int i = 0; i < 50'000; ++i) {
        port_ = static_cast<std::uint16_t>(40'000 + random() % 40);
        const char* texts[] = {
            "",
            "GET /large HTTP/1.1\r\n\r\n",
            "GET /",
            "\r\n\r\n",
            "PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\n"};
        auto segment =
            Segment(static_cast<std::uint8_t>(random() % 64), texts[random() % std::size(texts)]);
        segment.sequence = sequence_ + random() % 32;
        segment.acknowledged = acknowledged_ + random() % 32;
        segment.window = static_cast<std::uint16_t>(random());
        auto frame = Frame(segment);
        for (unsigned changes = random() % 4; changes > 0; --changes) {
            frame[random() % frame.size()] = static_cast<std::byte>(random());
        }
        frame.resize(random() % 8 == 0 ? random() % frame.size() : frame.size());
        taken += stack_->Detour(frame) ? 1U : 0U;
        now_ns_ += random() % 100'000'000;
        for (int frames = 0; frames < 3; ++frames) {
            const auto sent = stack_->NextFrame();
            if (!sent) {
                break;
            }
            ASSERT_LE(sent->size(), 1514U);
            const auto ethernet = ReadEthernet(*sent);
            const auto packet = ReadIpv4(ethernet->payload);
            if (packet) {
                const auto answer = ReadTcp(packet->payload);
                ASSERT_TRUE(answer);
                acknowledged_ = answer->sequence;
                sequence_ = answer->acknowledged;
            }
        }
    }
    EXPECT_GT(taken, 1'000U);
}

TEST_F(MmdsStackTest, AnotherPortIsAnotherConnection) {
    Connect();
    auto segment = Segment(TcpSegment::kAck | TcpSegment::kPsh, "GET /a HTTP/1.1\r\n\r\n");
    segment.destination_port = 81;
    ASSERT_TRUE(Send(segment));
    const auto answer = Receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->flags, TcpSegment::kRst);
    EXPECT_EQ(answer->source_port, 81);
    Say("GET /a HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(Hear().ends_with("short"));
}

}  // namespace
}  // namespace hearth::vmm
