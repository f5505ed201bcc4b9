#include "hearth/cli/zip_writer.h"

#include <gtest/gtest.h>

namespace hearth::cli {
namespace {

uint32_t At(const std::string& bytes, size_t offset) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) {
        value |= static_cast<uint32_t>(static_cast<unsigned char>(bytes.at(offset + i))) << (8 * i);
    }
    return value;
}

TEST(ZipWriter, HasTheChecksumOfItsContent) {
    ZipWriter zip;
    zip.Add("a", "123456789", 0644);
    const std::string bytes = std::move(zip).Finish();
    EXPECT_EQ(At(bytes, 0), 0x04034B50U);
    // The check value of CRC-32/ISO-HDLC.
    EXPECT_EQ(At(bytes, 14), 0xCBF43926U);
}

TEST(ZipWriter, EqualContentsGiveEqualZips) {
    const auto make = [] {
        ZipWriter zip;
        zip.Add("dir/f.py", "x = 1\n", 0755);
        zip.Add("empty", "", 0644);
        return std::move(zip).Finish();
    };
    EXPECT_EQ(make(), make());
}

TEST(ZipWriter, AnEmptyZipIsOnlyItsEnd) {
    const std::string bytes = ZipWriter().Finish();
    EXPECT_EQ(bytes.size(), 22U);
    EXPECT_EQ(At(bytes, 0), 0x06054B50U);
}

}  // namespace
}  // namespace hearth::cli
