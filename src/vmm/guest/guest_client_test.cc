#include "vmm/guest/guest_client.h"

#include "os/file.h"
#include "vmm/guest/exec_protocol.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

namespace hearth::vmm {
namespace {

using namespace std::chrono_literals;

std::pair<os::Fd, os::Fd> SocketPair() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    return {os::Fd(fds[0]), os::Fd(fds[1])};
}

std::string Frame(int stream, const std::string& bytes, uint32_t length) {
    std::string frame(1, static_cast<char>(stream));
    frame.append(reinterpret_cast<const char*>(&length), 4);
    return frame + bytes;
}

std::string Frame(int stream, const std::string& bytes) {
    return Frame(stream, bytes, static_cast<uint32_t>(bytes.size()));
}

struct Outcome {
    Result<int> status;
    std::string out;
    std::string err;
};

// A guest that answers with these bytes and hangs up.
Outcome ExecAgainst(const std::string& answer) {
    auto [host, guest] = SocketPair();
    auto out = *os::Pipe();
    auto err = *os::Pipe();
    EXPECT_EQ(::send(guest.get(), answer.data(), answer.size(), 0), ssize_t(answer.size()));
    EXPECT_EQ(::shutdown(guest.get(), SHUT_WR), 0);
    ExecRequest request;
    request.argv = {"true"};
    auto status = ExecInGuest(host.get(), request, -1, out.second.get(), err.second.get(), 30s);
    const auto text = [](std::pair<os::Fd, os::Fd>& pipe) {
        pipe.second.Close();
        std::string all(4096, '\0');
        const ssize_t bytes = ::read(pipe.first.get(), all.data(), all.size());
        all.resize(bytes > 0 ? static_cast<size_t>(bytes) : 0);
        return all;
    };
    return {std::move(status), text(out), text(err)};
}

TEST(GuestClient, OutputAndStatusComeThrough) {
    const Outcome outcome = ExecAgainst(
        Frame(1, "one ") + Frame(2, "wrong") + Frame(1, "two") + Frame(3, {"\x07\0\0\0", 4}));
    ASSERT_TRUE(outcome.status.ok()) << outcome.status.error().message();
    EXPECT_EQ(*outcome.status, 7);
    EXPECT_EQ(outcome.out, "one two");
    EXPECT_EQ(outcome.err, "wrong");
}

TEST(GuestClient, AGuestThatLiesIsNotBelieved) {
    EXPECT_FALSE(ExecAgainst("").status.ok());
    EXPECT_FALSE(ExecAgainst(Frame(1, "half", 100)).status.ok());
    EXPECT_FALSE(ExecAgainst(Frame(1, "", 0xffffffff)).status.ok());
    EXPECT_FALSE(ExecAgainst(Frame(9, "x")).status.ok());
    EXPECT_FALSE(ExecAgainst(Frame(0, "x")).status.ok());
    EXPECT_FALSE(ExecAgainst(Frame(3, "\x01")).status.ok());
    EXPECT_FALSE(ExecAgainst(Frame(3, {"\0\1\0\0", 4})).status.ok());
}

TEST(GuestClient, InputGoesInFramesAndEndsWithAnEmptyOne) {
    auto [host, guest] = SocketPair();
    auto in = *os::Pipe();
    ASSERT_EQ(::write(in.second.get(), "hello", 5), 5);
    in.second.Close();
    std::string seen;
    std::thread peer([&, fd = guest.get()] {
        const std::string end = Frame(0, "");
        char buffer[256];
        while (!seen.ends_with(end)) {
            const ssize_t bytes = ::recv(fd, buffer, sizeof(buffer), 0);
            if (bytes <= 0) {
                return;
            }
            seen.append(buffer, static_cast<size_t>(bytes));
        }
        const std::string last = Frame(3, std::string(4, '\0'));
        (void)!::send(fd, last.data(), last.size(), 0);
    });
    ExecRequest request;
    request.argv = {"cat"};
    request.with_stdin = true;
    const auto status = ExecInGuest(host.get(), request, in.first.get(), -1, -1, 30s);
    peer.join();
    ASSERT_TRUE(status.ok()) << status.error().message();
    EXPECT_EQ(seen, "{\"argv\":[\"cat\"],\"stdin\":true}\n" + Frame(0, "hello") + Frame(0, ""));
}

TEST(GuestClient, ACommandHasATime) {
    auto [host, guest] = SocketPair();
    ExecRequest request;
    request.argv = {"true"};
    const auto status = ExecInGuest(host.get(), request, -1, -1, -1, 10ms);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().message(), "the command did not end in time");
}

}  // namespace
}  // namespace hearth::vmm
