// Where the kernel's own words say that our groups are; and a tree on whatever this machine has.

#include "os/cgroups.h"

#include "os/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hearth::os {
namespace {

TEST(CgroupPlaces, OfPureV2) {
    const auto places = ParseCgroupPlaces(
        "0::/system.slice/hearth.service\n",
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");
    ASSERT_EQ(places.size(), 1U);
    EXPECT_TRUE(places[0].v2);
    EXPECT_EQ(places[0].mount_point, "/sys/fs/cgroup");
    EXPECT_EQ(places[0].own_directory, "/sys/fs/cgroup/system.slice/hearth.service");
}

TEST(CgroupPlaces, OfCoMountedV1ControllersAndTheirParts) {
    // A container: its own part of the hierarchy is mounted, the path is the machine's.
    const auto places = ParseCgroupPlaces(
        "4:cpu,cpuacct:/docker/abc/inner\n3:memory:/docker/abc\n1:name=systemd:/\n",
        "40 39 0:30 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "41 39 0:31 /docker/abc /sys/fs/cgroup/mem\\040ory rw - cgroup cgroup rw,memory\n"
        "42 39 0:32 / /proc rw - proc proc rw\n");
    ASSERT_EQ(places.size(), 2U);
    EXPECT_EQ(places[0].controllers, (std::set<std::string>{"cpu", "cpuacct"}));
    EXPECT_EQ(places[0].own_directory, "/sys/fs/cgroup/cpu,cpuacct/inner");
    EXPECT_EQ(places[1].own_directory, "/sys/fs/cgroup/mem ory");
}

TEST(CgroupPlaces, OfNonsenseAreNone) {
    EXPECT_TRUE(ParseCgroupPlaces("", "").empty());
    EXPECT_TRUE(ParseCgroupPlaces("x\n1\n::\n", "a b c\n - cgroup\n").empty());
    EXPECT_TRUE(ParseCgroupPlaces("0::/\n", "30 23 0:26 / /x rw - tmpfs tmpfs rw\n").empty());
}

TEST(CgroupTree, FreezesThawsKillsAndRemoves) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "SKIPPED: needs root";
    }
    const std::string name = fmt::format("hearth-test-{}", ::getpid());
    CgroupTree tree = CgroupTree::Open(name);
    if (tree.layout() == CgroupLayout::kNone) {
        GTEST_SKIP() << "SKIPPED: no control groups here";
    }
    ASSERT_TRUE(tree.Make("one").ok());
    const pid_t pid = ::fork();
    if (pid == 0) {
        for (;;) {
            ::pause();
        }
    }
    ASSERT_TRUE(tree.Join("one", pid).ok());
    CgroupLimits limits;
    limits.memory_bytes = 64 << 20;
    limits.pids = 10;
    limits.cpu_weight = 7;
    limits.cpu_quota_millis = 500;
    const auto limited = tree.Limit("one", limits);
    EXPECT_TRUE(limited.ok()) << (limited.ok() ? "" : limited.error().message());
    if (auto freezer = tree.OpenFreezer("one")) {
        const std::string text = freezer->v2 ? "1" : "FROZEN";
        EXPECT_EQ(
            ::write(freezer->file.get(), text.data(), text.size()),
            static_cast<ssize_t>(text.size()));
    }
    EXPECT_EQ(tree.Groups(), std::vector<std::string>{"one"});
    // Frozen or not: it dies, and the group goes.
    tree.Kill("one");
    EXPECT_EQ(::waitpid(pid, nullptr, 0), pid);
    EXPECT_TRUE(tree.Sweep(std::chrono::seconds(30)));
    EXPECT_TRUE(tree.Groups().empty());
    tree.RemoveTree();
}

}  // namespace
}  // namespace hearth::os
