#include "codec/zip/unpack.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace hearth::codec::zip {
namespace {

namespace fs = std::filesystem;

// Writes zips byte by byte, so that tests can lie wherever an attacker could.
class ZipWriter {
  public:
    struct Entry {
        std::string name;
        std::string content;
        uint32_t unix_mode = 0100644;
        uint16_t flags = 0;
    };

    ZipWriter& Add(Entry entry) {
        const auto offset = static_cast<uint32_t>(bytes_.size());
        Put32(bytes_, 0x04034b50);
        Common(bytes_, entry);
        Put16(bytes_, static_cast<uint16_t>(entry.name.size()));
        Put16(bytes_, 0);
        bytes_ += entry.name + entry.content;
        Put32(directory_, 0x02014b50);
        Put16(directory_, 3 << 8 | 20);  // made by Unix
        Common(directory_, entry);
        Put16(directory_, static_cast<uint16_t>(entry.name.size()));
        Put16(directory_, 0);
        Put16(directory_, 0);
        Put16(directory_, 0);
        Put16(directory_, 0);
        Put32(directory_, entry.unix_mode << 16);
        Put32(directory_, offset);
        directory_ += entry.name;
        ++count_;
        return *this;
    }

    std::string Finish() const {
        std::string out = bytes_ + directory_;
        Put32(out, 0x06054b50);
        Put16(out, 0);
        Put16(out, 0);
        Put16(out, count_);
        Put16(out, count_);
        Put32(out, static_cast<uint32_t>(directory_.size()));
        Put32(out, static_cast<uint32_t>(bytes_.size()));
        Put16(out, 0);
        return out;
    }

  private:
    static void Put16(std::string& out, uint16_t value) {
        out.push_back(static_cast<char>(value & 0xff));
        out.push_back(static_cast<char>(value >> 8));
    }

    static void Put32(std::string& out, uint32_t value) {
        Put16(out, static_cast<uint16_t>(value & 0xffff));
        Put16(out, static_cast<uint16_t>(value >> 16));
    }

    static uint32_t Crc32(const std::string& text) {
        uint32_t crc = 0xffffffff;
        for (const char c : text) {
            crc ^= static_cast<uint8_t>(c);
            for (int bit = 0; bit < 8; ++bit) {
                crc = (crc >> 1) ^ (0xedb88320 & (0 - (crc & 1)));
            }
        }
        return ~crc;
    }

    static void Common(std::string& out, const Entry& entry) {
        Put16(out, 20);
        Put16(out, entry.flags);
        Put16(out, 0);  // stored
        Put16(out, 0);
        Put16(out, 0x21);
        Put32(out, Crc32(entry.content));
        Put32(out, static_cast<uint32_t>(entry.content.size()));
        Put32(out, static_cast<uint32_t>(entry.content.size()));
    }

    std::string bytes_;
    std::string directory_;
    uint16_t count_ = 0;
};

class Unpacking : public ::testing::Test {
  protected:
    Unpacking() {
        std::string name = fs::temp_directory_path() / "hearth_zip_XXXXXX";
        parent_ = mkdtemp(name.data());
        root_ = parent_ / "root";
        fs::create_directory(root_);
        fd_ = open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }

    ~Unpacking() override {
        close(fd_);
        std::error_code ignored;
        fs::remove_all(parent_, ignored);
    }

    Outcome Run(const ZipWriter& zip) { return Run(zip.Finish()); }

    Outcome Run(const std::string& bytes) {
        auto outcome = Unpack(bytes, fd_, limits_);
        EXPECT_TRUE(outcome.ok()) << outcome.error().message();
        // Looking alone must judge names, types and sizes the same way.
        const auto looked = Unpack(bytes, -1, limits_);
        EXPECT_TRUE(looked.ok());
        looked_ = looked->flaw;
        return *outcome;
    }

    std::string Read(const std::string& name) {
        std::ifstream in(root_ / name, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    // Nothing but root/ may ever appear beside it.
    size_t Siblings() {
        return static_cast<size_t>(
            std::distance(fs::directory_iterator(parent_), fs::directory_iterator()));
    }

    Limits limits_{.bytes_max = 1'000'000, .entries_max = 100};
    Flaw looked_ = Flaw::kNone;
    fs::path parent_;
    fs::path root_;
    int fd_ = -1;
};

TEST_F(Unpacking, KeepsNamesContentAndTheExecuteBit) {
    const Outcome outcome = Run(ZipWriter()
                                    .Add({"bootstrap", "#!/bin/sh\n", 0100755})
                                    .Add({"lib/", "", 040755})
                                    .Add({"lib/deep/er/module.py", "x = 1\n", 0100600})
                                    .Add({"./dotted//name", "y"}));
    EXPECT_EQ(outcome.flaw, Flaw::kNone);
    EXPECT_EQ(outcome.entries, 4u);
    EXPECT_EQ(Read("lib/deep/er/module.py"), "x = 1\n");
    EXPECT_EQ(Read("dotted/name"), "y");
    struct stat about{};
    ASSERT_EQ(stat((root_ / "bootstrap").c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 07777, 0555u);
    ASSERT_EQ(stat((root_ / "lib/deep/er/module.py").c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 07777, 0444u);
}

// A server that hides its files from others by its umask unpacks for users that are others.
TEST_F(Unpacking, EverybodyCanReadItWhateverTheUmask) {
    const mode_t before = umask(077);
    const Outcome outcome =
        Run(ZipWriter().Add({"lib/", "", 040700}).Add({"lib/er/module.py", "x = 1\n", 0100600}));
    umask(before);
    EXPECT_EQ(outcome.flaw, Flaw::kNone);
    struct stat about{};
    for (const char* directory : {"lib", "lib/er"}) {
        ASSERT_EQ(stat((root_ / directory).c_str(), &about), 0);
        EXPECT_EQ(about.st_mode & 07777, 0755u) << directory;
    }
    ASSERT_EQ(stat((root_ / "lib/er/module.py").c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 07777, 0444u);
}

TEST_F(Unpacking, KeepsUtf8NamesWhateverTheLocale) {
    const Outcome outcome = Run(ZipWriter().Add({"gr\xc3\xbc\xc3\x9f.py", "z", 0100644, 0x0800}));
    EXPECT_EQ(outcome.flaw, Flaw::kNone);
    EXPECT_EQ(Read("gr\xc3\xbc\xc3\x9f.py"), "z");
}

TEST_F(Unpacking, RefusesNamesThatLeadOut) {
    for (const std::string name :
         {"../evil", "a/../../evil", "/etc/evil", "a/..", "..", "a/b/c/../../../../evil"}) {
        EXPECT_EQ(Run(ZipWriter().Add({name, "evil"})).flaw, Flaw::kHostile) << name;
        EXPECT_EQ(looked_, Flaw::kHostile) << name;
    }
    EXPECT_EQ(Siblings(), 1u);
}

TEST_F(Unpacking, RefusesLinksThatLeadOut) {
    for (const std::string target : {"/etc/passwd", "../x", "a/../../x", "..", ""}) {
        EXPECT_EQ(Run(ZipWriter().Add({"link", target, 0120777})).flaw, Flaw::kHostile) << target;
    }
}

TEST_F(Unpacking, KeepsLinksThatStayInside) {
    const Outcome outcome = Run(ZipWriter()
                                    .Add({"node_modules/tool/cli.js", "run"})
                                    .Add({"node_modules/.bin/tool", "../tool/cli.js", 0120777}));
    EXPECT_EQ(outcome.flaw, Flaw::kNone);
    EXPECT_EQ(Read("node_modules/.bin/tool"), "run");
}

TEST_F(Unpacking, NeverWritesThroughALinkOfTheArchive) {
    // The link itself stays inside by its text; a later swap of `a` must not let `a/x` be followed.
    const Outcome outcome = Run(ZipWriter()
                                    .Add({"real/keep", "k"})
                                    .Add({"a", "real", 0120777})
                                    .Add({"a/written", "through the link"}));
    EXPECT_EQ(outcome.flaw, Flaw::kHostile);
    EXPECT_FALSE(fs::exists(root_ / "real/written"));
}

TEST_F(Unpacking, RefusesDevicesAndSockets) {
    for (const uint32_t mode : {0020666u, 0060666u, 0140666u}) {
        EXPECT_EQ(Run(ZipWriter().Add({"device", "", mode})).flaw, Flaw::kHostile) << mode;
    }
}

TEST_F(Unpacking, RefusesAFileWhereADirectoryShouldBe) {
    EXPECT_EQ(Run(ZipWriter().Add({"a", "file"}).Add({"a/b", "below"})).flaw, Flaw::kHostile);
}

TEST_F(Unpacking, TheLaterOfTwoEntriesWins) {
    EXPECT_EQ(Run(ZipWriter().Add({"a", "one"}).Add({"a", "two"})).flaw, Flaw::kNone);
    EXPECT_EQ(Read("a"), "two");
}

TEST_F(Unpacking, StopsAtTheLimits) {
    limits_.bytes_max = 10;
    EXPECT_EQ(Run(ZipWriter().Add({"a", "123456"}).Add({"b", "123456"})).flaw, Flaw::kTooLarge);
    EXPECT_EQ(looked_, Flaw::kTooLarge);
    limits_ = {.bytes_max = 1000, .entries_max = 2};
    EXPECT_EQ(
        Run(ZipWriter().Add({"a", "1"}).Add({"b", "1"}).Add({"c", "1"})).flaw, Flaw::kTooMany);
}

TEST_F(Unpacking, TellsWhatIsNoArchive) {
    const std::string good = ZipWriter().Add({"a", "content"}).Finish();
    EXPECT_EQ(Run("").flaw, Flaw::kNotAZip);
    EXPECT_EQ(Run("not a zip").flaw, Flaw::kNotAZip);
    EXPECT_EQ(Run(std::string(good.data(), good.size() / 2)).flaw, Flaw::kNotAZip);
    EXPECT_EQ(Run(ZipWriter()).flaw, Flaw::kEmpty);
    std::string damaged = good;
    damaged[31 + 3] ^= 1;  // inside the content: the checksum tells
    EXPECT_EQ(Run(damaged).flaw, Flaw::kNotAZip);
}

TEST_F(Unpacking, RefusesEncryptedEntries) {
    EXPECT_EQ(
        Run(ZipWriter().Add({"secret", "0123456789abcdef", 0100644, 0x0001})).flaw, Flaw::kNotAZip);
}

}  // namespace
}  // namespace hearth::codec::zip
