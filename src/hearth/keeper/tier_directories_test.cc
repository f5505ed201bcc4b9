#include "hearth/keeper/tier_directories.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace hearth::keeper {
namespace {

class TierDirectoriesTest : public ::testing::Test {
  protected:
    TierDirectoriesTest() {
        char pattern[] = "/tmp/hearth-tiers-XXXXXX";
        root_ = mkdtemp(pattern);
        std::filesystem::create_directories(root_ + "/data");
    }

    ~TierDirectoriesTest() override { std::filesystem::remove_all(root_); }

    std::string Made(const std::string& name) {
        std::filesystem::create_directories(root_ + "/" + name);
        return root_ + "/" + name;
    }

    std::vector<std::string> Disks() {
        std::vector<std::string> disks;
        for (int i = 0; i < 9; ++i) {
            disks.push_back(Made("disk" + std::to_string(i)));
        }
        return disks;
    }

    static std::string Deep(const std::vector<std::string>& disks) {
        return fmt::format("deep={}", fmt::join(disks, ","));
    }

    // What is wrong; empty: nothing.
    std::string Open(const std::vector<std::string>& options) {
        const std::string data = root_ + "/data";
        const os::Fd fd(::open(data.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        const auto opened = TierDirectories::Open(options, data, fd.get(), false, {});
        return opened.ok() ? std::string() : opened.error().message();
    }

    std::string root_;
};

TEST_F(TierDirectoriesTest, ADirectoryIsTakenAndRemembered) {
    const std::string archive = "archive=" + Made("a");
    EXPECT_EQ(Open({archive}), "");
    EXPECT_EQ(Open({archive}), "");
    EXPECT_NE(Open({}).find("give the option again"), std::string::npos);
    EXPECT_NE(Open({"archive=" + Made("b")}).find("is the disk there?"), std::string::npos);
    EXPECT_NE(
        Open({archive, "infrequent=" + root_ + "/a"}).find("one inside the other"),
        std::string::npos);
}

TEST_F(TierDirectoriesTest, WhatWasRefusedLeavesNothing) {
    const std::string first = Made("a");
    EXPECT_NE(Open({"infrequent=" + first, "archive=" + root_ + "/none"}), "");
    EXPECT_TRUE(std::filesystem::is_empty(first));
    EXPECT_TRUE(std::filesystem::is_empty(root_ + "/data"));
    EXPECT_EQ(Open({}), "");
}

TEST_F(TierDirectoriesTest, StrangersDirectoriesAreNotTaken) {
    std::ofstream(Made("a") + "/letter") << "dear";
    EXPECT_NE(Open({"archive=" + root_ + "/a"}).find("not made by Hearth"), std::string::npos);
    std::filesystem::create_directories(root_ + "/data/objects/archive/1");
    EXPECT_EQ(Open({"archive=" + Made("b")}), "");
    std::ofstream(root_ + "/data/objects/archive/1/body") << "x";
    EXPECT_EQ(Open({"archive=" + Made("b")}), "");
    EXPECT_NE(
        Open({"archive=" + root_ + "/b", "infrequent=" + root_ + "/data/objects"})
            .find("one inside the other"),
        std::string::npos);
}

TEST_F(TierDirectoriesTest, ObjectsInTheDataDirectoryStayThere) {
    std::filesystem::create_directories(root_ + "/data/objects/deep/1");
    std::ofstream(root_ + "/data/objects/deep/1/body") << "x";
    EXPECT_NE(Open({"deep=" + Made("b")}).find("in the data directory"), std::string::npos);
}

TEST_F(TierDirectoriesTest, ThreeOfNineMayBeLostAndEachHasItsPlace) {
    std::vector<std::string> disks = Disks();
    std::vector<std::string> eight(disks.begin(), disks.end() - 1);
    EXPECT_NE(Open({Deep(eight)}).find("one directory or nine"), std::string::npos);
    // Not before there were nine.
    std::filesystem::remove_all(disks[0]);
    EXPECT_NE(Open({Deep(disks)}).find("must be there"), std::string::npos);
    Made("disk0");
    EXPECT_EQ(Open({Deep(disks)}), "");
    for (const int lost : {0, 4, 8}) {
        std::filesystem::remove_all(disks[lost]);
    }
    EXPECT_EQ(Open({Deep(disks)}), "");
    // A new disk counts as lost until it was taken.
    Made("disk4");
    EXPECT_EQ(Open({Deep(disks)}), "");
    std::filesystem::remove_all(disks[5]);
    EXPECT_EQ(Open({Deep(disks)}), "");
    std::filesystem::remove_all(disks[6]);
    EXPECT_NE(Open({Deep(disks)}).find("only 3 may be"), std::string::npos);
    Made("disk0");
    Made("disk5");
    Made("disk6");
    Made("disk8");
    EXPECT_NE(Open({Deep(disks)}).find("only 3 may be"), std::string::npos);
    std::filesystem::remove_all(disks[1]);
    std::swap(disks[2], disks[3]);
    EXPECT_NE(Open({Deep(disks)}).find("another place"), std::string::npos);
    EXPECT_NE(Open({"deep=" + disks[1]}).find("9 directories"), std::string::npos);
}

}  // namespace
}  // namespace hearth::keeper
