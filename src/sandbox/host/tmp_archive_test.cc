#include "sandbox/host/tmp_archive.h"

#include "base/check.h"
#include "os/file.h"
#include "sandbox/protocol/tmp_archive.h"
#include "sandbox/protocol/unpack_tmp.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

namespace hearth::sandbox {
namespace {

namespace fs = std::filesystem;

class Folder final {
  public:
    Folder() {
        std::string name = (fs::temp_directory_path() / "hearth-tmp-XXXXXX").string();
        CHECK(::mkdtemp(name.data()) != nullptr, "mkdtemp");
        path_ = name;
    }

    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }

    fs::path operator/(const std::string& name) const { return path_ / name; }

    const fs::path& path() const { return path_; }

    os::Fd Open() const { return *os::Open(AT_FDCWD, path_.string(), O_RDONLY | O_DIRECTORY); }

  private:
    fs::path path_;
};

void Write(const fs::path& path, const std::string& text) {
    std::ofstream(path) << text;
}

std::string Read(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

os::Fd FileWith(const Folder& folder, std::string_view bytes) {
    os::Fd file =
        *os::Open(AT_FDCWD, (folder / "image").string(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(
        ::pwrite(file.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()),
        "pwrite");
    return file;
}

int Unpack(const os::Fd& image, const Folder& into) {
    return UnpackTmp(image.get(), into.Open().get());
}

struct Entry {
    TmpKind kind;
    std::string path;
    std::string contents;
};

// An archive as a hostile function would have it.
std::string Archive(const std::vector<Entry>& entries, const std::string& pages = "") {
    std::string bytes = pages;
    for (const Entry& entry : entries) {
        const TmpEntry head{
            .kind = entry.kind,
            .mode = 0644,
            .path_bytes = static_cast<uint32_t>(entry.path.size()),
            .modified_ns = 0,
            .modified_s = 1,
            .bytes = entry.contents.size()};
        bytes.append(reinterpret_cast<const char*>(&head), sizeof(head));
        bytes += entry.path + entry.contents;
    }
    const TmpFooter footer{.magic = kTmpMagic, .offset = pages.size(), .entries = entries.size()};
    bytes.append(reinterpret_cast<const char*>(&footer), sizeof(footer));
    return bytes;
}

TEST(TmpArchive, WhatWasThereIsThereAgain) {
    const Folder folder, from, to;
    fs::create_directories(from / "a/b");
    Write(from / "a/b/file", std::string(1 << 20, 'x') + "end");
    Write(from / "empty", "");
    fs::create_symlink("/etc/passwd", from / "link");
    ::chmod((from / "a/b/file").c_str(), 04750);
    const timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 7}, {.tv_sec = 1000, .tv_nsec = 7}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (from / "a/b").c_str(), times, 0), 0);
    const os::Fd image = FileWith(folder, "pages");
    const auto packed = PackTmp(from.Open().get(), image.get());
    ASSERT_TRUE(packed.ok()) << packed.error().message();
    EXPECT_EQ(*packed + 5, fs::file_size(folder / "image"));
    ASSERT_EQ(Unpack(image, to), 0);
    EXPECT_EQ(Read(to / "a/b/file"), std::string(1 << 20, 'x') + "end");
    EXPECT_EQ(fs::file_size(to / "empty"), 0U);
    EXPECT_EQ(fs::read_symlink(to / "link"), "/etc/passwd");
    struct stat facts{};
    ASSERT_EQ(::stat((to / "a/b/file").c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 07777, 04750U);
    ASSERT_EQ(::stat((to / "a/b").c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mtim.tv_sec, 1000);
    EXPECT_EQ(facts.st_mtim.tv_nsec, 7);
}

TEST(TmpArchive, WhatCannotBeCopiedIsAReason) {
    const auto refusal = [](const Folder& from) {
        const Folder folder;
        const auto packed = PackTmp(from.Open().get(), FileWith(folder, "").get());
        if (packed.ok() || packed.error().kind() != Error::Kind::kUnimplemented) {
            return std::string("packed, or another error");
        }
        return packed.error().message();
    };
    const Folder pipe, names, deep, large;
    ASSERT_EQ(::mkfifo((pipe / "p").c_str(), 0600), 0);
    EXPECT_THAT(refusal(pipe), testing::HasSubstr("/tmp/p is no regular file"));
    Write(names / "a", "");
    fs::create_hard_link(names / "a", names / "b");
    EXPECT_THAT(refusal(names), testing::HasSubstr("several names"));
    std::string path = "d";
    for (int i = 0; i < 70; ++i) {
        path += "/d";
    }
    fs::create_directories(deep / path);
    EXPECT_THAT(refusal(deep), testing::HasSubstr("levels"));
    Write(large / "hole", "");
    fs::resize_file(large / "hole", kTmpBytesMax + 1);
    EXPECT_THAT(refusal(large), testing::HasSubstr("512 MB"));
}

TEST(TmpArchive, NothingIsMadeOutside) {
    const std::vector<std::vector<Entry>> hostile = {
        {{kTmpFile, "../escaped", "x"}},
        {{kTmpFile, "..", "x"}},
        {{kTmpFile, "/escaped", "x"}},
        {{kTmpDirectory, "d", ""}, {kTmpFile, "d/../../escaped", "x"}},
        {{kTmpLink, "out", ".."}, {kTmpFile, "out/escaped", "x"}},
        {{kTmpLink, "out", "../escaped"}, {kTmpFile, "out", "x"}},
        {{kTmpLink, "out", ""}},
        {{kTmpFile, "", "x"}},
        {{kTmpFile, std::string("a\0b", 3), "x"}},
        {{kTmpFile, "missing/file", "x"}},
        {{kTmpFile, "twice", "x"}, {kTmpFile, "twice", "y"}},
        {{kTmpDirectory, "d", "contents"}},
        {{static_cast<TmpKind>(9), "x", ""}},
    };
    for (size_t i = 0; i < hostile.size(); ++i) {
        const Folder folder, around;
        fs::create_directory(around / "tmp");
        const os::Fd into = *os::Open(AT_FDCWD, (around / "tmp").string(), O_RDONLY | O_DIRECTORY);
        EXPECT_NE(UnpackTmp(FileWith(folder, Archive(hostile[i])).get(), into.get()), 0) << i;
        EXPECT_FALSE(fs::exists(around / "escaped")) << i;
    }
}

TEST(TmpArchive, DamageIsAnError) {
    const std::string good =
        Archive({{kTmpDirectory, "d", ""}, {kTmpFile, "d/f", "text"}}, "pages");
    {
        const Folder folder, to;
        EXPECT_EQ(Unpack(FileWith(folder, good), to), 0);
        EXPECT_EQ(BytesWithoutTmp(FileWith(folder, good).get()), 5U);
        EXPECT_EQ(Read(to / "d/f"), "text");
    }
    {
        // An image alone: nothing is there to be unpacked.
        const Folder folder, to;
        EXPECT_EQ(Unpack(FileWith(folder, std::string(4096, 'p')), to), 0);
        EXPECT_TRUE(fs::is_empty(to.path()));
        EXPECT_EQ(BytesWithoutTmp(FileWith(folder, std::string(4096, 'p')).get()), 4096U);
    }
    {
        const Folder folder, to;
        EXPECT_NE(Unpack(FileWith(folder, "short"), to), 0);
    }
    const unsigned seed = std::random_device()();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::minstd_rand random(seed);
    for (int i = 0; i < 100; ++i) {
        // Whatever it is, it comes to an end, and within the directory.
        std::string bad = good;
        bad[random() % bad.size()] = static_cast<char>(random());
        const Folder folder, around;
        fs::create_directory(around / "tmp");
        const os::Fd into = *os::Open(AT_FDCWD, (around / "tmp").string(), O_RDONLY | O_DIRECTORY);
        (void)UnpackTmp(FileWith(folder, bad).get(), into.get());
        EXPECT_EQ(std::distance(fs::directory_iterator(around.path()), {}), 1);
    }
}

}  // namespace
}  // namespace hearth::sandbox
