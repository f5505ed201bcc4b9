#include "storage/data_directory.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace hearth::storage {
namespace {

class DataDirectoryTest : public ::testing::Test {
  protected:
    DataDirectoryTest() {
        char pattern[] = "/tmp/hearth-data-XXXXXX";
        root_ = mkdtemp(pattern);
        path_ = root_ + "/deep/er";
    }

    ~DataDirectoryTest() override { std::filesystem::remove_all(root_); }

    std::string root_;
    std::string path_;
};

TEST_F(DataDirectoryTest, IsMadePrivateAndKnownTheSecondTime) {
    {
        const auto opened = DataDirectory::Open(path_);
        ASSERT_TRUE(opened.ok()) << opened.error().message();
        EXPECT_TRUE(opened->is_new());
        EXPECT_EQ(opened->path(), std::filesystem::canonical(path_));
        struct stat facts = {};
        ASSERT_EQ(::stat(path_.c_str(), &facts), 0);
        EXPECT_EQ(facts.st_mode & 0777, 0700u);
    }
    const auto again = DataDirectory::Open(path_);
    ASSERT_TRUE(again.ok()) << again.error().message();
    EXPECT_FALSE(again->is_new());
}

TEST_F(DataDirectoryTest, ASecondHolderIsToldTheFirstsProcessId) {
    const auto first = DataDirectory::Open(path_);
    ASSERT_TRUE(first.ok());
    const auto second = DataDirectory::Open(path_);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().kind(), Error::Kind::kUnavailable);
    EXPECT_NE(
        second.error().message().find(fmt::format("(process {})", ::getpid())), std::string::npos)
        << second.error().message();
}

// The holder is dead, but a child of it still has the lock for a moment.
TEST_F(DataDirectoryTest, WaitsForTheChildrenOfADeadHolder) {
    int gate[2];
    ASSERT_EQ(::pipe(gate), 0);
    const pid_t holder = ::fork();
    if (holder == 0) {
        auto opened = DataDirectory::Open(path_);
        if (!opened.ok()) {
            _exit(1);
        }
        if (::fork() == 0) {
            // Keeps the lock until the test closes the pipe.
            ::close(gate[1]);
            char byte;
            [[maybe_unused]] const ssize_t got = ::read(gate[0], &byte, 1);
            _exit(0);
        }
        _exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(holder, &status, 0), holder);
    ASSERT_EQ(status, 0);
    const auto refused =
        DataDirectory::Open(path_, {.dead_holder_wait = std::chrono::milliseconds(1)});
    EXPECT_FALSE(refused.ok());
    ::close(gate[1]);
    const auto opened = DataDirectory::Open(path_, {.dead_holder_wait = std::chrono::seconds(60)});
    EXPECT_TRUE(opened.ok()) << opened.error().message();
    ::close(gate[0]);
}

TEST_F(DataDirectoryTest, RefusesANewerFormatAndLeavesItAlone) {
    ASSERT_TRUE(DataDirectory::Open(path_).ok());
    std::ofstream(path_ + "/version") << "hearth data format 2\n";
    const auto opened = DataDirectory::Open(path_);
    ASSERT_FALSE(opened.ok());
    EXPECT_NE(opened.error().message().find("newer hearth"), std::string::npos);
    std::ifstream version(path_ + "/version");
    std::string line;
    std::getline(version, line);
    EXPECT_EQ(line, "hearth data format 2");
}

TEST_F(DataDirectoryTest, RefusesDataWithoutAVersion) {
    std::filesystem::create_directories(path_ + "/kv");
    EXPECT_FALSE(DataDirectory::Open(path_).ok());
    std::filesystem::remove(path_ + "/kv");
    std::ofstream(path_ + "/version") << "something else";
    EXPECT_FALSE(DataDirectory::Open(path_).ok());
}

TEST_F(DataDirectoryTest, AFileIsNotADirectory) {
    std::ofstream(root_ + "/file") << "x";
    EXPECT_FALSE(DataDirectory::Open(root_ + "/file").ok());
    EXPECT_FALSE(DataDirectory::Open(root_ + "/file/below").ok());
    EXPECT_FALSE(DataDirectory::Open("").ok());
}

}  // namespace
}  // namespace hearth::storage
