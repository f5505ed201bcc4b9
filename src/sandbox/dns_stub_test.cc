// The stub between two sockets of this test: an environment's and a name server's.

#include "sandbox/dns_stub.h"

#include "rt/loops.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <thread>

namespace hearth::sandbox {
namespace {

os::Fd UdpSocket(uint16_t& port) {
    os::Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    socklen_t size = sizeof(address);
    ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    return fd;
}

std::string Question(std::string_view name) {
    std::string message("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
    message.push_back(static_cast<char>(name.size()));
    message.append(name);
    message.append(std::string("\0\0\1\0\1", 5));
    return message;
}

class DnsStubTest : public ::testing::Test {
  protected:
    // Asks through a stub whose only server answers with `reply(question)`; the stub's answer.
    template <class F>
    std::string Ask(const std::string& question, F reply) {
        uint16_t stub_port = 0;
        uint16_t server_port = 0;
        uint16_t client_port = 0;
        os::Fd stub_socket = UdpSocket(stub_port);
        const os::Fd server = UdpSocket(server_port);
        const os::Fd client = UdpSocket(client_port);
        rt::Loops loops(1);
        DnsStub stub(std::move(stub_socket), {fmt::format("127.0.0.1#{}", server_port)});
        std::thread serving([&] {
            char buffer[512];
            sockaddr_in from{};
            socklen_t size = sizeof(from);
            const ssize_t count = ::recvfrom(
                server.get(), buffer, sizeof(buffer), 0, reinterpret_cast<sockaddr*>(&from), &size);
            const std::string asked(buffer, static_cast<size_t>(std::max<ssize_t>(count, 0)));
            for (const std::string& answer : reply(asked)) {
                ::sendto(
                    server.get(),
                    answer.data(),
                    answer.size(),
                    0,
                    reinterpret_cast<const sockaddr*>(&from),
                    size);
            }
        });
        std::unique_ptr<rt::TaskGroup> group;
        rt::BlockOn(loops, 0, [&]() -> Task<void> {
            group = std::make_unique<rt::TaskGroup>();
            group->Spawn(stub.Run());
            co_return;
        });
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        to.sin_port = htons(stub_port);
        ::sendto(
            client.get(),
            question.data(),
            question.size(),
            0,
            reinterpret_cast<const sockaddr*>(&to),
            sizeof(to));
        char buffer[512];
        const ssize_t count = ::recv(client.get(), buffer, sizeof(buffer), 0);
        serving.join();
        rt::BlockOn(loops, 0, [&]() -> Task<void> {
            group->Cancel();
            try {
                co_await group->Join();
            } catch (const std::exception&) {
                // Cancelled.
            }
            group.reset();
        });
        return std::string(buffer, static_cast<size_t>(std::max<ssize_t>(count, 0)));
    }
};

TEST_F(DnsStubTest, AnswerComesBackWithTheAskersId) {
    std::string asked_id;
    const std::string answer = Ask(Question("example"), [&](const std::string& asked) {
        asked_id = asked.substr(0, 2);
        std::string reply = asked + "ANSWER";
        reply[2] = '\x81';
        return std::vector<std::string>{reply};
    });
    EXPECT_EQ(answer.substr(0, 2), "\x12\x34");
    EXPECT_TRUE(answer.ends_with("ANSWER"));
}

TEST_F(DnsStubTest, AnswersToOtherQuestionsAreIgnored) {
    const std::string answer = Ask(Question("example"), [&](const std::string& asked) {
        std::string wrong_id = asked + "FORGED";
        wrong_id[2] = '\x81';
        wrong_id[0] = static_cast<char>(wrong_id[0] + 1);
        std::string wrong_name = asked + "FORGED";
        wrong_name[2] = '\x81';
        wrong_name[14] = 'X';
        std::string right = asked + "RIGHT";
        right[2] = '\x81';
        return std::vector<std::string>{wrong_id, wrong_name, asked, right};
    });
    EXPECT_TRUE(answer.ends_with("RIGHT"));
}

TEST_F(DnsStubTest, SilentServerIsAServerFailure) {
    const std::string answer =
        Ask(Question("example"), [&](const std::string&) { return std::vector<std::string>{}; });
    ASSERT_GE(answer.size(), 12U);
    EXPECT_EQ(answer.substr(0, 2), "\x12\x34");
    EXPECT_EQ(answer[3] & 0x0f, 2);
}

TEST(NameServers, AreReadFromResolvConf) {
    EXPECT_EQ(
        ParseNameServers("# x\nsearch a b\nnameserver 10.0.0.1\n nameserver\t::1 \noptions x\n"),
        (std::vector<std::string>{"10.0.0.1", "::1"}));
    EXPECT_TRUE(ParseNameServers("").empty());
}

}  // namespace
}  // namespace hearth::sandbox
