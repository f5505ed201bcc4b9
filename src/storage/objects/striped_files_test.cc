#include "storage/objects/striped_files.h"

#include "storage/objects/object_bodies.h"
#include "storage/objects/simulated_files.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

namespace hearth::storage {
namespace {

std::string SomeBytes(size_t size) {
    std::string bytes(size, '\0');
    std::mt19937_64 random(size);
    for (char& byte : bytes) {
        byte = static_cast<char>(random());
    }
    return bytes;
}

// Nine disks in memory, which can be damaged and put together anew.
class StripedFilesTest : public ::testing::Test {
  protected:
    std::unique_ptr<BodyFiles> Assemble() {
        std::vector<std::unique_ptr<BodyFiles>> disks;
        places_.clear();
        for (size_t disk = 0; disk < kStripedDisks; ++disk) {
            auto place = std::make_unique<SimulatedFiles>(images_[disk]);
            places_.push_back(place.get());
            disks.push_back(std::move(place));
        }
        return *MakeStripedFiles(std::move(disks));
    }

    void Remember() {
        for (size_t disk = 0; disk < kStripedDisks; ++disk) {
            images_[disk] = places_[disk]->Now();
        }
    }

    void Write(const std::string& bytes) {
        const auto files = Assemble();
        auto file = files->Make("f");
        ASSERT_TRUE(file.ok()) << file.error().message();
        for (size_t at = 0; at < bytes.size(); at += 70'001) {
            ASSERT_TRUE((*file)->Write(at, bytes.substr(at, 70'001)).ok());
        }
        ASSERT_TRUE((*file)->Sync().ok());
        Remember();
    }

    Result<std::string> Read(BodyFiles& files, uint64_t offset, size_t size) {
        HEARTH_TRY(const auto file, files.Open("f"));
        std::string bytes(size, '\0');
        iovec part{.iov_base = bytes.data(), .iov_len = bytes.size()};
        HEARTH_RETURN_IF_ERROR(file->Read(offset, {&part, 1}));
        return bytes;
    }

    std::array<SimulatedFiles::Image, kStripedDisks> images_;
    std::vector<SimulatedFiles*> places_;
};

TEST_F(StripedFilesTest, AnySixOfNineGiveTheFileBack) {
    for (const size_t size : {size_t{1}, size_t{97}, size_t{98'304}, size_t{300'000}}) {
        images_ = {};
        const std::string bytes = SomeBytes(size);
        Write(bytes);
        const auto whole = images_;
        for (size_t a = 0; a < kStripedDisks; ++a) {
            for (size_t b = a; b < kStripedDisks; ++b) {
                for (size_t c = b; c < kStripedDisks; ++c) {
                    SCOPED_TRACE(fmt::format("{} bytes without {}, {}, {}", size, a, b, c));
                    images_ = whole;
                    // One is gone, one is short, one lies.
                    images_[a].files.clear();
                    if (b != a) {
                        images_[b].files["f"].pop_back();
                    }
                    if (c != a) {
                        images_[c].files["f"][0] ^= 1;
                    }
                    const auto files = Assemble();
                    const auto read = Read(*files, 0, size);
                    ASSERT_TRUE(read.ok()) << read.error().message();
                    ASSERT_TRUE(*read == bytes);
                }
            }
        }
    }
}

TEST_F(StripedFilesTest, MendingBringsEachDiskBackToWhatItWas) {
    Write(SomeBytes(300'000));
    const auto whole = images_;
    images_[1].files.clear();
    images_[4].files["f"][20'000] ^= 1;
    images_[8].files["f"].resize(100);
    {
        const auto files = Assemble();
        EXPECT_TRUE(*files->Mend("f"));
        EXPECT_FALSE(*files->Mend("f"));
        Remember();
    }
    for (size_t disk = 0; disk < kStripedDisks; ++disk) {
        EXPECT_EQ(images_[disk].files, whole[disk].files) << disk;
    }
}

TEST_F(StripedFilesTest, FourLostAreAnErrorAndNotOtherBytes) {
    Write(SomeBytes(300'000));
    for (const size_t disk : {0u, 3u, 5u, 7u}) {
        images_[disk].files.clear();
    }
    const auto files = Assemble();
    EXPECT_EQ(Read(*files, 0, 300'000).error().code(), kBodyDamaged);
    EXPECT_FALSE(files->Mend("f").ok());
    for (auto& image : images_) {
        image.files.clear();
    }
    EXPECT_EQ(Read(*Assemble(), 0, 1).error().code(), kBodyGone);
}

TEST_F(StripedFilesTest, WritingGoesOnWithoutThreeAndEndsWithoutFour) {
    for (const size_t broken : {3u, 4u}) {
        images_ = {};
        const auto files = Assemble();
        for (size_t disk = 0; disk < broken; ++disk) {
            places_[disk]->before_step = [](const std::string& step) {
                return step == "write" ? Status(errors::Internal("the disk is broken")) : Status();
            };
        }
        auto file = *files->Make("f");
        const std::string bytes = SomeBytes(200'000);
        Status written = file->Write(0, bytes);
        if (written.ok()) {
            written = file->Sync();
        }
        EXPECT_EQ(written.ok(), broken == 3);
        if (broken == 3) {
            EXPECT_TRUE(*Read(*files, 0, bytes.size()) == bytes);
        }
    }
}

TEST(StripedFiles, NeedsNineDisksOfWhichThreeMayBeMissing) {
    EXPECT_FALSE(MakeStripedFiles({}).ok());
    std::vector<std::unique_ptr<BodyFiles>> disks(kStripedDisks);
    for (size_t disk = 4; disk < kStripedDisks; ++disk) {
        disks[disk] = std::make_unique<SimulatedFiles>();
    }
    EXPECT_FALSE(MakeStripedFiles(std::move(disks)).ok());
}

}  // namespace
}  // namespace hearth::storage
