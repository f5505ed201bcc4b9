// The metadata service's TCP against Linux's own: a tap interface in a network namespace of its own
// stands for the guest's network card, ordinary sockets for the guest's programs. Needs root and
// /dev/net/tun; says so where they are not there.

#include "os/fd.h"
#include "vmm/mmds/mmds_stack.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <thread>

namespace hearth::vmm {
namespace {

std::uint64_t MonotonicNs() {
    return static_cast<std::uint64_t>(
        std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
}

// An interface 169.254.1.1/16 in the calling thread's own network namespace; none where that may
// not be made.
os::Fd MakeTap() {
    if (::unshare(CLONE_NEWNET) != 0) {
        return {};
    }
    os::Fd tap(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    ifreq request{};
    std::strcpy(request.ifr_name, "guest0");
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (!tap.valid() || ::ioctl(tap.get(), TUNSETIFF, &request) != 0) {
        return {};
    }
    const os::Fd control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto address = [&](unsigned long what, const char* text) {
        sockaddr_in value{};
        value.sin_family = AF_INET;
        ::inet_pton(AF_INET, text, &value.sin_addr);
        std::memcpy(&request.ifr_addr, &value, sizeof(value));
        return ::ioctl(control.get(), what, &request) == 0;
    };
    if (!address(SIOCSIFADDR, "169.254.1.1") || !address(SIOCSIFNETMASK, "255.255.0.0")) {
        return {};
    }
    request.ifr_flags = IFF_UP;
    if (::ioctl(control.get(), SIOCSIFFLAGS, &request) != 0) {
        return {};
    }
    return tap;
}

// Carries frames between the tap and the service until told to stop.
void Serve(MmdsStack& stack, int tap, int stop) {
    std::vector<std::byte> frame(65'536);
    while (true) {
        pollfd polled[] = {
            {.fd = tap, .events = POLLIN, .revents = 0},
            {.fd = stop, .events = POLLIN, .revents = 0}};
        int timeout_ms = -1;
        if (const auto deadline = stack.NextDeadline()) {
            const auto now = MonotonicNs();
            timeout_ms = *deadline > now ? static_cast<int>((*deadline - now) / 1'000'000 + 1) : 0;
        }
        ::poll(polled, 2, timeout_ms);
        if (polled[1].revents != 0) {
            return;
        }
        const ssize_t bytes = ::read(tap, frame.data(), frame.size());
        if (bytes > 0) {
            stack.Detour(std::span(frame).first(static_cast<std::size_t>(bytes)));
        }
        while (const auto next = stack.NextFrame()) {
            static_cast<void>(::write(tap, next->data(), next->size()));
        }
    }
}

class Client {
  public:
    Client() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(80);
        ::inet_pton(AF_INET, "169.254.169.254", &address.sin_addr);
        EXPECT_EQ(
            ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    }

    void Say(std::string_view text) {
        EXPECT_EQ(
            ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
    }

    // One answer: its head and as much body as it says.
    std::string Hear() {
        std::string heard;
        while (true) {
            const auto head_end = heard.find("\r\n\r\n");
            const auto length = heard.find("Content-Length: ");
            if (head_end != std::string::npos && length != std::string::npos &&
                heard.size() == head_end + 4 + std::stoul(heard.substr(length + 16))) {
                return heard;
            }
            char bytes[4'096];
            const ssize_t count = ::recv(fd_.get(), bytes, sizeof(bytes), 0);
            if (count <= 0) {
                ADD_FAILURE() << "ended after " << heard.size()
                              << " bytes: " << std::strerror(errno);
                return heard;
            }
            heard.append(bytes, static_cast<std::size_t>(count));
        }
    }

    // Whether the other side has closed in order.
    bool HasEnded() {
        char byte = 0;
        return ::recv(fd_.get(), &byte, 1, 0) == 0;
    }

  private:
    os::Fd fd_;
};

TEST(MmdsLinux, OrdinaryProgramsReadTheirMetadata) {
    bool possible = true;
    std::thread guest([&] {
        const auto tap = MakeTap();
        if (!tap.valid()) {
            possible = false;
            return;
        }
        auto store = std::make_shared<MmdsDataStore>(1 << 20);
        const std::string large(300'000, 'x');
        codec::Json value(codec::Json::Object{});
        value.Set("a", codec::Json("short"));
        value.Set("large", codec::Json(large));
        EXPECT_TRUE(store->Put(std::move(value)).ok());
        MmdsStack stack(store, &MonotonicNs);
        const os::Fd stop(::eventfd(0, EFD_CLOEXEC));
        std::thread service([&] { Serve(stack, tap.get(), stop.get()); });
        {
            Client client;
            for (int i = 0; i < 3; ++i) {
                client.Say("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
                EXPECT_TRUE(client.Hear().ends_with("\r\n\r\nshort"));
            }
            client.Say("GET /large HTTP/1.1\r\n\r\nGET /a HTTP/1.1\r\nConnection: close\r\n");
            EXPECT_TRUE(client.Hear().ends_with(large));
            client.Say("\r\n");
            EXPECT_TRUE(client.Hear().ends_with("short"));
            EXPECT_TRUE(client.HasEnded());
        }
        {
            // Several at once.
            std::vector<Client> clients(10);
            for (auto& client : clients) {
                client.Say("GET /large HTTP/1.0\r\n\r\n");
            }
            for (auto& client : clients) {
                EXPECT_TRUE(client.Hear().ends_with(large));
                EXPECT_TRUE(client.HasEnded());
            }
        }
        {
            Client client;
            client.Say(
                "PUT /latest/api/token HTTP/1.1\r\nX-metadata-token-ttl-seconds: 60\r\n\r\n");
            EXPECT_TRUE(client.Hear().starts_with("HTTP/1.1 200 OK\r\n"));
            client.Say("POST / HTTP/1.1\r\n\r\n");
            EXPECT_TRUE(client.Hear().starts_with("HTTP/1.1 400"));
            EXPECT_TRUE(client.HasEnded());
        }
        const std::uint64_t one = 1;
        EXPECT_EQ(::write(stop.get(), &one, sizeof(one)), static_cast<ssize_t>(sizeof(one)));
        service.join();
    });
    guest.join();
    if (!possible) {
        GTEST_SKIP() << "SKIPPED: no network namespace with a tap interface may be made here";
    }
}

}  // namespace
}  // namespace hearth::vmm
