#include "codec/gzip/gzip.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <string>

namespace hearth::codec {
namespace {

std::string Gunzip(const std::string& bytes, size_t room) {
    z_stream stream{};
    EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
    std::string out(room, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
    out.resize(stream.total_out);
    EXPECT_EQ(inflateEnd(&stream), Z_OK);
    return out;
}

TEST(Gzip, ComesBack) {
    std::string noise;
    uint32_t state = 1;
    for (int i = 0; i < 100'000; ++i) {
        state = state * 1'664'525 + 1'013'904'223;
        noise.push_back(static_cast<char>(state >> 24));
    }
    for (const std::string& text :
         {std::string(), std::string("a"), std::string(1 << 20, 'x'), noise}) {
        EXPECT_EQ(Gunzip(Gzip(text), text.size() + 1), text);
    }
}

TEST(Gzip, SameBytesGiveTheSameBytes) {
    EXPECT_EQ(Gzip("hello"), Gzip("hello"));
    EXPECT_EQ(Gzip("hello").substr(0, 3), "\x1f\x8b\x08");
    // No time in the head.
    EXPECT_EQ(Gzip("hello").substr(4, 4), std::string(4, '\0'));
}

}  // namespace
}  // namespace hearth::codec
