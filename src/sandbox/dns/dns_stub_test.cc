#include "sandbox/dns/dns_stub.h"

#include "rt/fd_watch.h"
#include "rt/loops.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>
#include <thread>

namespace hearth::sandbox {
namespace {

using namespace std::string_literals;

constexpr char kQuestion[] =
    "\x07"
    "example\x03"
    "org\x00\x00\x01\x00\x01";

std::string Query(char id) {
    return std::string{id, id} + "\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"s +
           std::string(kQuestion, sizeof kQuestion - 1);
}

struct Loopback {
    os::Fd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address{};

    Loopback() {
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
        socklen_t size = sizeof address;
        getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
    }

    DnsUpstream AsUpstream() const {
        DnsUpstream upstream;
        std::memcpy(&upstream.address, &address, sizeof address);
        upstream.address_size = sizeof address;
        return upstream;
    }
};

// Sends `query` to the stub and returns what comes back.
std::string Resolve(std::vector<DnsUpstream> upstreams, const std::string& query) {
    const auto random = Random::Seeded(1);
    Loopback stub_end;
    const Loopback client;
    connect(
        client.socket.get(),
        reinterpret_cast<const sockaddr*>(&stub_end.address),
        sizeof stub_end.address);
    std::string answer;
    const auto asking = [&]() -> Task<void> {
        DnsStub stub(std::move(upstreams), *random);
        rt::TaskGroup group;
        group.Spawn(stub.Serve(std::move(stub_end.socket)));
        send(client.socket.get(), query.data(), query.size(), 0);
        auto watch = rt::FdWatch::Make(client.socket.get());
        CHECK(watch.ok());
        CHECK((co_await watch->Readable()).ok());
        answer.resize(kDnsBytesMax);
        const ssize_t got = recv(client.socket.get(), answer.data(), answer.size(), 0);
        answer.resize(got < 0 ? 0 : static_cast<size_t>(got));
        group.Cancel();
        co_await group.Join();
    };
    rt::RunTask(asking());
    return answer;
}

TEST(DnsStub, AnswersWithTheAskersIdAndHidesIt) {
    const Loopback resolver;
    std::string seen;
    std::thread serving([&] {
        char buffer[kDnsBytesMax];
        sockaddr_in from{};
        socklen_t from_size = sizeof from;
        const ssize_t got = recvfrom(
            resolver.socket.get(),
            buffer,
            sizeof buffer,
            0,
            reinterpret_cast<sockaddr*>(&from),
            &from_size);
        seen.assign(buffer, static_cast<size_t>(got));
        // First a forgery under another id, then the answer.
        std::string forged = seen;
        forged[0] = static_cast<char>(forged[0] ^ 1);
        forged[2] = static_cast<char>(0x81);
        std::string answer = seen + "answer";
        answer[2] = static_cast<char>(0x81);
        for (const std::string& packet : {forged, answer}) {
            sendto(
                resolver.socket.get(),
                packet.data(),
                packet.size(),
                0,
                reinterpret_cast<const sockaddr*>(&from),
                from_size);
        }
    });
    const std::string query = Query('q');
    const std::string answer = Resolve({resolver.AsUpstream()}, query);
    serving.join();
    EXPECT_TRUE(answer.ends_with("answer"));
    EXPECT_EQ(answer.substr(0, 2), "qq");
    EXPECT_NE(seen.substr(0, 2), "qq");
    EXPECT_EQ(seen.substr(2), query.substr(2));
}

TEST(DnsStub, WithoutAResolverTheAnswerIsServerFailure) {
    // Nobody listens there any more: the kernel refuses at once.
    DnsUpstream gone;
    {
        const Loopback closed;
        gone = closed.AsUpstream();
    }
    const std::string answer = Resolve({gone}, Query('z'));
    ASSERT_GE(answer.size(), 12u);
    EXPECT_EQ(answer.substr(0, 2), "zz");
    EXPECT_EQ(answer[3] & 0x0f, 2);
}

TEST(DnsStub, ReadsNameserversOfResolvConf) {
    const auto found = ParseResolvConf(
        "# a comment\nsearch example.org\nnameserver 192.0.2.1 # first\nnameserver\t2001:db8::1\n"
        "nameserver nonsense\nnameserver 192.0.2.2\nnameserver 192.0.2.3");
    ASSERT_EQ(found.size(), 3u);
    EXPECT_EQ(found[0].address.ss_family, AF_INET);
    EXPECT_EQ(found[1].address.ss_family, AF_INET6);
    EXPECT_EQ(found[2].address.ss_family, AF_INET);
    EXPECT_TRUE(ParseResolvConf("").empty());
}

}  // namespace
}  // namespace hearth::sandbox
