#include "os/channel.h"

#include "os/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace hearth::os {
namespace {

TEST(Channel, BytesAndDescriptorsArriveTogetherAndCloseOnExec) {
    auto ends = MakeChannel();
    ASSERT_TRUE(ends.ok());
    auto pipe = Pipe();
    ASSERT_TRUE(pipe.ok());
    const int fds[] = {pipe->second.get()};
    ASSERT_TRUE(SendPacket(ends->first.get(), "hello", fds).ok());
    auto packet = ReceivePacket(ends->second.get(), true);
    ASSERT_TRUE(packet.ok() && packet->has_value());
    EXPECT_EQ((*packet)->bytes, "hello");
    ASSERT_EQ((*packet)->fds.size(), 1U);
    EXPECT_NE(::fcntl((*packet)->fds[0].get(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_EQ(::write((*packet)->fds[0].get(), "x", 1), 1);
    char byte = 0;
    EXPECT_EQ(::read(pipe->first.get(), &byte, 1), 1);
}

TEST(Channel, NothingThereAndTheEndAreDifferent) {
    auto ends = MakeChannel();
    ASSERT_TRUE(ends.ok());
    auto nothing = ReceivePacket(ends->second.get(), false);
    ASSERT_TRUE(nothing.ok());
    EXPECT_FALSE(nothing->has_value());
    ends->first.Close();
    auto end = ReceivePacket(ends->second.get(), false);
    ASSERT_TRUE(end.ok() && end->has_value());
    EXPECT_TRUE((*end)->bytes.empty());
}

TEST(Channel, FullQueueIsToldAndLosesNothing) {
    auto ends = MakeChannel();
    ASSERT_TRUE(ends.ok());
    ::fcntl(ends->first.get(), F_SETFL, O_NONBLOCK);
    const std::string packet(60'000, 'x');
    int sent = 0;
    for (;;) {
        auto result = SendPacket(ends->first.get(), packet, {});
        ASSERT_TRUE(result.ok());
        if (!*result) {
            break;
        }
        ++sent;
    }
    EXPECT_GT(sent, 0);
    for (int i = 0; i < sent; ++i) {
        auto received = ReceivePacket(ends->second.get(), false);
        ASSERT_TRUE(received.ok() && received->has_value());
        EXPECT_EQ((*received)->bytes.size(), packet.size());
    }
}

TEST(Channel, TooLargePacketsAreErrorsAndLeakNoDescriptor) {
    auto ends = MakeChannel();
    ASSERT_TRUE(ends.ok());
    EXPECT_FALSE(SendPacket(ends->first.get(), std::string(kPacketBytesMax + 1, 'x'), {}).ok());
    const std::string large(kPacketBytesMax + 10, 'x');
    ASSERT_GT(::send(ends->first.get(), large.data(), large.size(), 0), 0);
    EXPECT_FALSE(ReceivePacket(ends->second.get(), true).ok());
}

TEST(OpenBeneath, RefusesLinksAndParents) {
    char name[] = "/tmp/hearth-os-test-XXXXXX";
    const std::string directory = ::mkdtemp(name);
    auto top = Open(AT_FDCWD, directory, O_PATH | O_DIRECTORY);
    ASSERT_TRUE(top.ok());
    ASSERT_TRUE(MakeDirectory(top->get(), "inside").ok());
    ASSERT_EQ(::symlink("/etc", (directory + "/link").c_str()), 0);
    EXPECT_TRUE(OpenBeneath(top->get(), "inside", O_PATH).ok());
    EXPECT_FALSE(OpenBeneath(top->get(), "link", O_PATH).ok());
    EXPECT_FALSE(OpenBeneath(top->get(), "link/passwd", O_PATH).ok());
    EXPECT_FALSE(OpenBeneath(top->get(), "inside/../..", O_PATH).ok());
    EXPECT_FALSE(OpenBeneath(top->get(), "/etc", O_PATH).ok());
    ::unlink((directory + "/link").c_str());
    ::rmdir((directory + "/inside").c_str());
    ::rmdir(directory.c_str());
}

}  // namespace
}  // namespace hearth::os
