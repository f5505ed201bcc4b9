#include "codec/crc32/crc32.h"

#include <gtest/gtest.h>

#include <string>

namespace hearth::codec {
namespace {

TEST(Crc32, HasTheCheckValueOfItsCatalogue) {
    EXPECT_EQ(Crc32("123456789"), 0xCBF43926U);
    EXPECT_EQ(Crc32(""), 0U);
}

TEST(Crc32, IsTheSameForBytesInPieces) {
    std::string bytes;
    for (int i = 0; i < 300; ++i) {
        bytes.push_back(static_cast<char>(i * 7));
    }
    const uint32_t whole = Crc32(bytes);
    for (size_t cut = 0; cut <= bytes.size(); ++cut) {
        const std::string_view view = bytes;
        ASSERT_EQ(Crc32(view.substr(cut), Crc32(view.substr(0, cut))), whole) << cut;
    }
}

}  // namespace
}  // namespace hearth::codec
