#include "vmm/virtio/vsock.h"

#include "testing/fake_clock.h"
#include "vmm/virtio/fake_driver.h"
#include "vmm/virtio/vsock_connection.h"
#include "vmm/virtio/vsock_muxer.h"
#include "vmm/virtio/vsock_packet.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>

namespace hearth::vmm::virtio {
namespace {

constexpr std::uint32_t kCid = 7;
constexpr std::uint16_t kRx = VsockDevice::kRx;
constexpr std::uint16_t kTx = VsockDevice::kTx;

sockaddr_un AddressOf(const std::string& path) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

os::Fd Connect(const std::string& path) {
    os::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const sockaddr_un address = AddressOf(path);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
        0) {
        return {};
    }
    return socket;
}

os::Fd Listen(const std::string& path) {
    os::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const sockaddr_un address = AddressOf(path);
    CHECK(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    CHECK(::listen(socket.get(), 2000) == 0);
    return socket;
}

// What can be read now: nothing is "", the end is nullopt.
std::optional<std::string> ReadNow(const os::Fd& socket) {
    std::string text(1 << 20, '\0');
    const ssize_t bytes = ::recv(socket.get(), text.data(), text.size(), 0);
    if (bytes < 0 && errno == EAGAIN) {
        return "";
    }
    if (bytes <= 0) {
        return std::nullopt;
    }
    text.resize(static_cast<std::size_t>(bytes));
    return text;
}

struct Packet final {
    VsockHeader header;
    std::string data;
};

class VsockTest : public ::testing::Test {
  protected:
    VsockTest() {
        char folder[] = "/tmp/hearth-vsock-XXXXXX";
        CHECK(::mkdtemp(folder) != nullptr);
        folder_ = folder;
        path_ = folder_ + "/v";
        auto device = VsockDevice::Create({.guest_cid = kCid, .uds_path = path_}, clock_);
        CHECK(device.ok(), "{}", device.error().message());
        device_ = *device;
        driver_.emplace(device_);
        Start();
    }

    ~VsockTest() override {
        driver_.reset();
        device_.reset();
        EXPECT_NE(::access(path_.c_str(), F_OK), 0);
        for (const std::string& path : paths_) {
            ::unlink(path.c_str());
        }
        EXPECT_EQ(::rmdir(folder_.c_str()), 0);
    }

    void Start() {
        driver_->Start();
        driver_->FreeAll();
        buffers_.clear();
        buffers_taken_ = 0;
    }

    os::Fd ListenAt(std::uint32_t port) {
        paths_.push_back(path_ + "_" + std::to_string(port));
        return Listen(paths_.back());
    }

    os::Fd AcceptAt(const os::Fd& listener) {
        return os::Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    }

    void Write(const os::Fd& socket, std::string_view text) {
        ASSERT_EQ(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL), std::ssize(text));
        driver_->Run();
    }

    void OfferBuffers(int count, std::uint32_t bytes = 4096) {
        for (int i = 0; i < count; ++i) {
            const GuestAddress at = driver_->Allocate(bytes);
            buffers_.push_back(at);
            driver_->queues[kRx].Add({{at, bytes, kDescWrite}});
        }
        driver_->Kick(kRx);
    }

    // The next packet for the guest.
    std::optional<Packet> Take() {
        const auto used = driver_->queues[kRx].Take();
        if (!used) {
            return std::nullopt;
        }
        const GuestAddress at = buffers_[buffers_taken_++];
        Packet packet;
        packet.header = *driver_->memory().Load<VsockHeader>(at);
        const auto data =
            driver_->Get(at + kVsockHeaderBytes, std::max(used->bytes, 44U) - kVsockHeaderBytes);
        packet.data.assign(reinterpret_cast<const char*>(data.data()), data.size());
        return packet;
    }

    // Offers a buffer and takes what comes in it; 0 for nothing.
    int NextOperation() {
        OfferBuffers(1);
        const auto packet = Take();
        last_ = packet.value_or(Packet{});
        return packet ? packet->header.operation : 0;
    }

    static VsockHeader Header(
        std::uint16_t operation, std::uint32_t host_port, std::uint32_t guest_port) {
        VsockHeader header;
        header.source_cid = kCid;
        header.destination_cid = kVsockHostCid;
        header.source_port = guest_port;
        header.destination_port = host_port;
        header.type = kVsockStream;
        header.operation = operation;
        header.buffer_bytes = 64 * 1024;
        return header;
    }

    void Send(VsockHeader header, std::string_view data = {}) {
        header.bytes = static_cast<std::uint32_t>(data.size());
        SendRaw(header, data);
    }

    void SendRaw(const VsockHeader& header, std::string_view data) {
        std::vector<FakeDescriptor> chain = {
            {driver_->PutValue(header), static_cast<std::uint32_t>(kVsockHeaderBytes)}};
        if (!data.empty()) {
            chain.push_back(
                {driver_->Put(std::as_bytes(std::span(data))),
                 static_cast<std::uint32_t>(data.size())});
        }
        driver_->queues[kTx].Add(chain);
        driver_->Kick(kTx);
        ASSERT_TRUE(driver_->queues[kTx].Take());
        if (driver_->Allocate(0) > FakeDriver::kMemoryBytes / 2) {
            driver_->FreeAll();
        }
    }

    // A connection of the host to a port of the guest.
    os::Fd FromHost(std::uint32_t port) {
        os::Fd client = Connect(path_);
        Write(client, "CONNECT " + std::to_string(port) + "\n");
        EXPECT_EQ(NextOperation(), kVsockRequest);
        EXPECT_EQ(last_.header.destination_port, port);
        host_port_ = last_.header.source_port;
        Send(Header(kVsockResponse, host_port_, port));
        EXPECT_EQ(ReadNow(client), "OK " + std::to_string(host_port_) + "\n");
        return client;
    }

    std::string folder_;
    std::string path_;
    std::vector<std::string> paths_;
    std::shared_ptr<testing::FakeMonotonicClock> clock_ =
        std::make_shared<testing::FakeMonotonicClock>();
    std::shared_ptr<VsockDevice> device_;
    std::optional<FakeDriver> driver_;
    std::vector<GuestAddress> buffers_;
    std::size_t buffers_taken_ = 0;
    Packet last_;
    std::uint32_t host_port_ = 0;
};

TEST_F(VsockTest, TellsItsCid) {
    EXPECT_EQ(driver_->ReadConfig<std::uint64_t>(0), kCid);
    EXPECT_FALSE(VsockDevice::Create({.guest_cid = 3, .uds_path = path_}).ok());
    EXPECT_FALSE(
        VsockDevice::Create({.guest_cid = 3, .uds_path = "/" + std::string(200, 'x')}).ok());
}

TEST_F(VsockTest, HostConnectsAndTalks) {
    const os::Fd client = FromHost(1024);
    EXPECT_GE(host_port_, 1U << 30);
    EXPECT_EQ(last_.header.destination_cid, kCid);
    EXPECT_EQ(last_.header.buffer_bytes, 256U * 1024);
    Write(client, "to the guest");
    EXPECT_EQ(NextOperation(), kVsockData);
    EXPECT_EQ(last_.data, "to the guest");
    Send(Header(kVsockData, host_port_, 1024), "to the host");
    EXPECT_EQ(ReadNow(client), "to the host");
    EXPECT_EQ(device_->metrics().rx_bytes_count, 12U);
    EXPECT_EQ(device_->metrics().tx_bytes_count, 11U);
}

TEST_F(VsockTest, DataBehindTheConnectLineIsForTheGuest) {
    const os::Fd client = Connect(path_);
    Write(client, "connect  77 \nhello");
    EXPECT_EQ(NextOperation(), kVsockRequest);
    EXPECT_EQ(last_.header.destination_port, 77U);
    Send(Header(kVsockResponse, last_.header.source_port, 77));
    EXPECT_EQ(NextOperation(), kVsockData);
    EXPECT_EQ(last_.data, "hello");
}

TEST_F(VsockTest, BadConnectLinesAreHungUpOn) {
    for (const std::string_view line :
         {"CONNECT\n",
          "CONNECT x\n",
          "CONNECT -1\n",
          "CONNECT 4294967296\n",
          "GET / HTTP/1.1\n",
          "\n",
          "CONNECT 1234567890123456789012345678901234567890\n"}) {
        const os::Fd client = Connect(path_);
        Write(client, line);
        EXPECT_EQ(ReadNow(client), std::nullopt) << line;
    }
    EXPECT_EQ(NextOperation(), 0);
    // In pieces is fine.
    const os::Fd client = Connect(path_);
    Write(client, "CONN");
    Write(client, "ECT 5");
    Write(client, "\n");
    // The buffer of the look above is still there.
    EXPECT_EQ(Take()->header.operation, kVsockRequest);
}

TEST_F(VsockTest, NobodyListensInTheGuest) {
    const os::Fd client = Connect(path_);
    Write(client, "CONNECT 9\n");
    EXPECT_EQ(NextOperation(), kVsockRequest);
    Send(Header(kVsockReset, last_.header.source_port, 9));
    EXPECT_EQ(ReadNow(client), std::nullopt);
    EXPECT_EQ(device_->connection_count(), 0U);
}

TEST_F(VsockTest, AGuestThatDoesNotAnswerIsGivenUp) {
    const os::Fd client = Connect(path_);
    Write(client, "CONNECT 9\n");
    EXPECT_EQ(NextOperation(), kVsockRequest);
    clock_->Advance(std::chrono::milliseconds(2001));
    // Any event looks at the time, as the timer's own would.
    const os::Fd other = Connect(path_);
    driver_->Run();
    EXPECT_EQ(NextOperation(), kVsockReset);
    EXPECT_EQ(ReadNow(client), std::nullopt);
}

TEST_F(VsockTest, GuestConnectsAndTalks) {
    const os::Fd listener = ListenAt(52);
    Send(Header(kVsockRequest, 52, 1000));
    EXPECT_EQ(NextOperation(), kVsockResponse);
    EXPECT_EQ(last_.header.source_port, 52U);
    EXPECT_EQ(last_.header.destination_port, 1000U);
    const os::Fd server = AcceptAt(listener);
    Send(Header(kVsockData, 52, 1000), "hello");
    EXPECT_EQ(ReadNow(server), "hello");
    Write(server, "world");
    EXPECT_EQ(NextOperation(), kVsockData);
    EXPECT_EQ(last_.data, "world");
    // Nobody at this port.
    Send(Header(kVsockRequest, 53, 1000));
    EXPECT_EQ(NextOperation(), kVsockReset);
    EXPECT_EQ(last_.header.source_port, 53U);
}

TEST_F(VsockTest, ShutdownsInAllDirections) {
    // The host closes.
    {
        os::Fd client = FromHost(1);
        Write(client, "last words");
        client.Close();
        EXPECT_EQ(NextOperation(), kVsockData);
        EXPECT_EQ(NextOperation(), kVsockShutdown);
        EXPECT_EQ(last_.header.flags, kVsockNoReceive | kVsockNoSend);
        Send(Header(kVsockReset, host_port_, 1));
        EXPECT_EQ(device_->connection_count(), 0U);
    }
    // The host only stops sending.
    {
        const os::Fd client = FromHost(2);
        ::shutdown(client.get(), SHUT_WR);
        driver_->Run();
        EXPECT_EQ(NextOperation(), kVsockShutdown);
        EXPECT_EQ(last_.header.flags, kVsockNoSend);
        Send(Header(kVsockData, host_port_, 2), "still here");
        EXPECT_EQ(ReadNow(client), "still here");
        VsockHeader header = Header(kVsockShutdown, host_port_, 2);
        header.flags = kVsockNoReceive | kVsockNoSend;
        Send(header);
        EXPECT_EQ(NextOperation(), kVsockReset);
        EXPECT_EQ(ReadNow(client), std::nullopt);
    }
    // The guest stops sending, then ends.
    {
        const os::Fd client = FromHost(3);
        VsockHeader header = Header(kVsockShutdown, host_port_, 3);
        header.flags = kVsockNoSend;
        Send(header);
        EXPECT_EQ(ReadNow(client), std::nullopt);
        Write(client, "and I?");
        EXPECT_EQ(NextOperation(), kVsockData);
        // What was shut down stays so.
        Send(Header(kVsockData, host_port_, 3), "not allowed");
        EXPECT_EQ(ReadNow(client), std::nullopt);
        header.flags = kVsockNoReceive;
        Send(header);
        EXPECT_EQ(NextOperation(), kVsockReset);
        EXPECT_EQ(device_->connection_count(), 0U);
    }
}

TEST_F(VsockTest, AGuestThatIgnoresAShutdownIsReset) {
    os::Fd client = FromHost(1);
    client.Close();
    driver_->Run();
    EXPECT_EQ(NextOperation(), kVsockShutdown);
    clock_->Advance(std::chrono::milliseconds(2001));
    const os::Fd other = Connect(path_);
    driver_->Run();
    EXPECT_EQ(NextOperation(), kVsockReset);
    EXPECT_EQ(device_->connection_count(), 0U);
}

TEST_F(VsockTest, TheGuestsCreditIsKept) {
    const os::Fd client = FromHost(1);
    VsockHeader credit = Header(kVsockCreditUpdate, host_port_, 1);
    credit.buffer_bytes = 10;
    Send(credit);
    Write(client, "0123456789abcdef");
    EXPECT_EQ(NextOperation(), kVsockData);
    EXPECT_EQ(last_.data, "0123456789");
    EXPECT_EQ(NextOperation(), kVsockCreditRequest);
    EXPECT_EQ(NextOperation(), 0);
    credit.forwarded = 3;
    Send(credit);
    driver_->Run();
    EXPECT_EQ(Take()->data, "abc");
    // Numbers that make no sense give no credit.
    credit.forwarded = 0xffff'0000;
    Send(credit);
    EXPECT_EQ(NextOperation(), kVsockCreditRequest);
}

TEST_F(VsockTest, ASlowHostSlowsTheGuest) {
    const os::Fd client = FromHost(1);
    const std::string block(60 * 1024, 'x');
    // All that the guest may have in flight, though nobody reads: the socket takes some of it.
    std::size_t sent = 0;
    std::uint32_t forwarded = 0;
    const auto refresh = [&] {
        Send(Header(kVsockCreditRequest, host_port_, 1));
        OfferBuffers(1);
        while (const auto packet = Take()) {
            forwarded = packet->header.forwarded;
        }
    };
    refresh();
    while (sent - forwarded + block.size() <= VsockConnection::kBufferBytes) {
        Send(Header(kVsockData, host_port_, 1), block);
        sent += block.size();
        refresh();
    }
    EXPECT_EQ(device_->connection_count(), 1U);
    EXPECT_LT(forwarded, sent);
    std::size_t received = 0;
    while (received < sent) {
        const auto text = ReadNow(client);
        ASSERT_TRUE(text && !text->empty()) << received << " of " << sent;
        received += text->size();
        driver_->Run();
    }
    refresh();
    EXPECT_EQ(forwarded, sent);
    // More than that is a broken promise.
    for (int i = 0; i < 20; ++i) {
        Send(Header(kVsockData, host_port_, 1), block);
    }
    OfferBuffers(2);
    int operation = 0;
    while (const auto packet = Take()) {
        operation = packet->header.operation;
    }
    EXPECT_EQ(operation, kVsockReset);
    EXPECT_EQ(device_->connection_count(), 0U);
}

TEST_F(VsockTest, TheGuestIsToldOfRoomByItself) {
    const os::Fd client = FromHost(1);
    const std::string block(60 * 1024, 'x');
    int updates = 0;
    OfferBuffers(20);
    for (int i = 0; i < 20; ++i) {
        Send(Header(kVsockData, host_port_, 1), block);
        EXPECT_EQ(ReadNow(client)->size(), block.size());
        while (const auto packet = Take()) {
            updates += packet->header.operation == kVsockCreditUpdate ? 1 : 0;
        }
    }
    // 1.2 MB; each time less than 64 of 256 KiB are free as far as the guest knows.
    EXPECT_EQ(updates, 5);
}

TEST_F(VsockTest, ForgedPacketsAreAnsweredWithResetsOrNotAtAll) {
    const os::Fd client = FromHost(1);
    // For a connection that is not there; but never a reset for a reset.
    Send(Header(kVsockData, 5, 5), "x");
    EXPECT_EQ(NextOperation(), kVsockReset);
    Send(Header(kVsockReset, 5, 5));
    // In somebody else's name, or to somebody else.
    VsockHeader header = Header(kVsockRequest, 52, 1);
    header.source_cid = kCid + 1;
    Send(header);
    header = Header(kVsockRequest, 52, 1);
    header.destination_cid = 99;
    Send(header);
    EXPECT_EQ(NextOperation(), 0);
    header = Header(kVsockData, host_port_, 1);
    header.type = 2;
    Send(header);
    EXPECT_EQ(Take()->header.operation, kVsockReset);
    // Lengths that lie.
    header = Header(kVsockData, host_port_, 1);
    header.bytes = 100;
    SendRaw(header, "short");
    header.bytes = 0xffff'ffff;
    SendRaw(header, "short");
    driver_->queues[kTx].Add({{driver_->Allocate(64), 43}});
    driver_->Kick(kTx);
    EXPECT_EQ(ReadNow(client), "");
    EXPECT_EQ(device_->metrics().tx_queue_event_fails, 3U);
    // Operations that make no sense now leave the connection as it is.
    for (const std::uint16_t operation : std::initializer_list<std::uint16_t>{0, 1, 2, 8, 99}) {
        Send(Header(operation, host_port_, 1));
    }
    Send(Header(kVsockData, host_port_, 1), "fine");
    EXPECT_EQ(ReadNow(client), "fine");
    EXPECT_FALSE(driver_->NeedsReset());
}

TEST_F(VsockTest, BuffersWithoutRoom) {
    const os::Fd client = FromHost(1);
    Write(client, "data");
    const GuestAddress small = driver_->Allocate(64);
    driver_->queues[kRx].Add({{small, 43, kDescWrite}});
    driver_->queues[kRx].Add({{small, 44, kDescWrite}});
    driver_->queues[kRx].Add({{small, 44}});
    driver_->Kick(kRx);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(driver_->queues[kRx].Take()->bytes, 0U);
    }
    EXPECT_EQ(NextOperation(), kVsockData);
    EXPECT_EQ(last_.data, "data");
}

TEST_F(VsockTest, ResetsOwedAreBounded) {
    for (std::uint32_t i = 0; i < 1000; ++i) {
        Send(Header(kVsockData, 5, i), "x");
    }
    OfferBuffers(256, 64);
    std::size_t resets = 0;
    while (Take()) {
        ++resets;
    }
    EXPECT_EQ(resets, VsockMuxer::kResetsMax);
}

TEST_F(VsockTest, ConnectionsAreBounded) {
    const os::Fd listener = ListenAt(52);
    for (std::uint32_t i = 0; i < VsockMuxer::kConnectionsMax + 20; ++i) {
        Send(Header(kVsockRequest, 52, i));
    }
    EXPECT_EQ(device_->connection_count(), VsockMuxer::kConnectionsMax);
    const os::Fd client = Connect(path_);
    driver_->Run();
    EXPECT_EQ(ReadNow(client), std::nullopt);
    // Asking and giving up, over and over, piles nothing up.
    for (std::uint32_t i = 0; i < 3000; ++i) {
        Send(Header(kVsockReset, 52, 0));
        Send(Header(kVsockRequest, 52, 0));
        // The listener's queue is not to be what bounds them.
        AcceptAt(listener);
    }
    EXPECT_EQ(device_->connection_count(), VsockMuxer::kConnectionsMax);
    driver_->SetStatus(0);
    driver_->Run();
    EXPECT_EQ(device_->connection_count(), 0U);
}

TEST_F(VsockTest, ADriversResetClosesEverything) {
    const os::Fd client = FromHost(1);
    driver_->SetStatus(0);
    driver_->Run();
    EXPECT_EQ(ReadNow(client), std::nullopt);
    Start();
    const os::Fd again = FromHost(2);
    Write(again, "x");
    EXPECT_EQ(NextOperation(), kVsockData);
}

TEST_F(VsockTest, NothingSpins) {
    const auto is_idle = [&] {
        driver_->Run();
        pollfd poll_fd = {
            .fd = device_->event_sources().front().fd, .events = POLLIN, .revents = 0};
        return ::poll(&poll_fd, 1, 0) == 0;
    };
    // The guest has no buffer for the response, the host has data already, then hangs up.
    const os::Fd listener = ListenAt(52);
    Send(Header(kVsockRequest, 52, 1000));
    os::Fd server = AcceptAt(listener);
    Write(server, "early");
    EXPECT_TRUE(is_idle());
    server.Close();
    EXPECT_TRUE(is_idle());
    OfferBuffers(1);
    EXPECT_EQ(Take()->header.operation, kVsockResponse);
    // No buffer for the data.
    EXPECT_TRUE(is_idle());
    EXPECT_EQ(NextOperation(), kVsockData);
    EXPECT_EQ(NextOperation(), kVsockShutdown);
    EXPECT_TRUE(is_idle());
    // A client that says half a line, and one that leaves before the guest has answered.
    const os::Fd slow = Connect(path_);
    Write(slow, "CONN");
    EXPECT_TRUE(is_idle());
    os::Fd hasty = Connect(path_);
    Write(hasty, "CONNECT 1\n");
    hasty.Close();
    EXPECT_TRUE(is_idle());
    EXPECT_EQ(NextOperation(), kVsockRequest);
    Send(Header(kVsockResponse, last_.header.source_port, 1));
    EXPECT_EQ(NextOperation(), kVsockReset);
    // No credit.
    const os::Fd client = FromHost(1);
    VsockHeader credit = Header(kVsockCreditUpdate, host_port_, 1);
    credit.buffer_bytes = 0;
    Send(credit);
    Write(client, "waits");
    EXPECT_TRUE(is_idle());
}

TEST_F(VsockTest, ManyConnectionsTakeTurns) {
    const os::Fd first = FromHost(1);
    const std::uint32_t first_port = host_port_;
    const os::Fd second = FromHost(2);
    Write(first, std::string(12'000, 'a'));
    Write(second, std::string(12'000, 'b'));
    std::string order;
    for (int i = 0; i < 6; ++i) {
        EXPECT_EQ(NextOperation(), kVsockData);
        order += last_.header.source_port == first_port ? 'a' : 'b';
    }
    EXPECT_EQ(order, "ababab");
}

// Each keeps to its credit, but together they are too many for the host's memory.
TEST_F(VsockTest, ManyWhoseHostsDoNotRead) {
    const os::Fd listener = ListenAt(50);
    const std::string data(VsockConnection::kPacketBytesMax, 'x');
    constexpr int kConnections = 400;
    int sent = 0;
    for (; sent < kConnections && device_->buffered_bytes() + VsockConnection::kBufferBytes <
                                      VsockMuxer::kBufferedBytesMax;
         ++sent) {
        const std::uint32_t port = 1000 + static_cast<std::uint32_t>(sent);
        Send(Header(kVsockRequest, 50, port));
        while (NextOperation() != kVsockResponse) {
        }
        for (int i = 0; i < 6; ++i) {
            Send(Header(kVsockData, 50, port), data);
        }
    }
    ASSERT_LT(sent, kConnections);
    // The next ones: their connections end, none before.
    EXPECT_EQ(device_->connection_count(), static_cast<std::size_t>(sent));
    int operation = 0;
    for (std::uint32_t port = 2000; port < 2020 && operation != kVsockReset; ++port) {
        Send(Header(kVsockRequest, 50, port));
        for (int i = 0; i < 6; ++i) {
            while ((operation = NextOperation()) != 0 && operation != kVsockReset) {
            }
            if (operation == kVsockReset) {
                EXPECT_GE(last_.header.destination_port, 2000U);
                break;
            }
            Send(Header(kVsockData, 50, port), data);
        }
    }
    EXPECT_EQ(operation, kVsockReset);
    EXPECT_LE(device_->buffered_bytes(), VsockMuxer::kBufferedBytesMax);
    driver_->SetStatus(0);
    driver_->Run();
    EXPECT_EQ(device_->buffered_bytes(), 0U);
}

TEST_F(VsockTest, ConnectionsLeaveDescriptorsToOthers) {
    driver_.reset();
    device_.reset();
    rlimit before = {};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const int lowest = os::Fd(::dup(STDIN_FILENO)).get();
    rlimit limit = before;
    limit.rlim_cur = static_cast<rlim_t>(lowest) + 32 + VsockMuxer::kDescriptorsReserved;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    device_ = *VsockDevice::Create({.guest_cid = kCid, .uds_path = path_}, clock_);
    driver_.emplace(device_);
    Start();
    const os::Fd listener = ListenAt(50);
    for (std::uint32_t port = 1; port <= 60; ++port) {
        Send(Header(kVsockRequest, 50, port));
        NextOperation();
    }
    EXPECT_GT(device_->connection_count(), 0U);
    EXPECT_LT(device_->connection_count(), 32U);
    std::vector<os::Fd> others;
    for (int i = 0; i < VsockMuxer::kDescriptorsReserved / 2; ++i) {
        others.emplace_back(::dup(STDIN_FILENO));
        EXPECT_TRUE(others.back().valid());
    }
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace hearth::vmm::virtio
