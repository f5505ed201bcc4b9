#include "codec/checksum/checksum.h"

#include "codec/crc32/crc32.h"

#include <gtest/gtest.h>

#include <string>

namespace hearth::codec {
namespace {

std::string Bytes(size_t count) {
    std::string bytes;
    for (size_t i = 0; i < count; ++i) {
        bytes.push_back(static_cast<char>(i * i + i / 7));
    }
    return bytes;
}

TEST(Checksum, HasTheCheckValuesOfTheCatalogue) {
    EXPECT_EQ(Crc32Fast("123456789"), 0xCBF43926U);
    EXPECT_EQ(Crc32c("123456789"), 0xE3069283U);
    EXPECT_EQ(Crc64Nvme("123456789"), 0xAE8B14860A799888U);
    EXPECT_EQ(Crc64Nvme(""), 0U);
    EXPECT_EQ(Crc32c(""), 0U);
}

// The NVM Express specification's own table: 4 KiB of one byte.
TEST(Checksum, HasTheValuesOfTheNvmeSpecification) {
    EXPECT_EQ(Crc64Nvme(std::string(4096, '\0')), 0x6482D367EB22B64EU);
    EXPECT_EQ(Crc64Nvme(std::string(4096, '\xFF')), 0xC0DDBA7302ECA3ACU);
}

TEST(Checksum, OfLongTextsIsWhatTheTablesSay) {
    const std::string bytes = Bytes(3000);
    for (size_t size = 0; size <= bytes.size(); size += size < 300 ? 1 : 37) {
        const std::string_view text = std::string_view(bytes).substr(0, size);
        ASSERT_EQ(Crc32Fast(text), Crc32(text)) << size;
        // One byte at a time never folds.
        uint32_t crc32c = 0;
        uint64_t crc64 = 0;
        for (size_t i = 0; i < size; ++i) {
            crc32c = Crc32c(text.substr(i, 1), crc32c);
            crc64 = Crc64Nvme(text.substr(i, 1), crc64);
        }
        ASSERT_EQ(Crc32c(text), crc32c) << size;
        ASSERT_EQ(Crc64Nvme(text), crc64) << size;
    }
}

TEST(Checksum, IsTheSameForBytesInPieces) {
    const std::string bytes = Bytes(1000);
    const std::string_view text = bytes;
    for (size_t cut = 0; cut <= text.size(); cut += 13) {
        ASSERT_EQ(Crc32c(text.substr(cut), Crc32c(text.substr(0, cut))), Crc32c(text));
        ASSERT_EQ(Crc64Nvme(text.substr(cut), Crc64Nvme(text.substr(0, cut))), Crc64Nvme(text));
    }
}

TEST(Checksum, OfTwoPartsCombinesToThatOfTheWhole) {
    const std::string bytes = Bytes(1000);
    const std::string_view text = bytes;
    for (const size_t cut : {0, 1, 8, 500, 999, 1000}) {
        const std::string_view a = text.substr(0, cut);
        const std::string_view b = text.substr(cut);
        EXPECT_EQ(CombineCrc32(Crc32(a), Crc32(b), b.size()), Crc32(text));
        EXPECT_EQ(CombineCrc32c(Crc32c(a), Crc32c(b), b.size()), Crc32c(text));
        EXPECT_EQ(CombineCrc64Nvme(Crc64Nvme(a), Crc64Nvme(b), b.size()), Crc64Nvme(text));
    }
}

// As an AWS client writes the header x-amz-checksum-crc32 of "hello world".
TEST(Checksum, IsWrittenMostSignificantByteFirst) {
    EXPECT_EQ(ChecksumBase64(Crc32("hello world")), "DUoRhQ==");
    EXPECT_EQ(ChecksumBase64(Crc32c("hello world")), "yZRlqg==");
}

}  // namespace
}  // namespace hearth::codec
