#include "codec/gzip/gzip.h"

#include "base/check.h"

#include <zlib.h>

#include <algorithm>
#include <limits>

namespace hearth::codec {
namespace {

// 15 bits of window, and 16 says "with gzip's head and tail".
constexpr int kWindowBits = 15 + 16;
constexpr int kMemoryLevel = 8;

}  // namespace

std::string Gzip(std::string_view bytes) {
    z_stream stream{};
    const int begun = deflateInit2(
        &stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kWindowBits, kMemoryLevel, Z_DEFAULT_STRATEGY);
    CHECK(begun == Z_OK, "deflateInit2: {}", begun);
    CHECK(bytes.size() <= std::numeric_limits<uInt>::max(), "{} bytes at once", bytes.size());
    std::string out(deflateBound(&stream, bytes.size()), '\0');
    // zlib does not write there; its interface is older than const.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    // With room for the bound, one step is all of it.
    const int ended = deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    CHECK(ended == Z_STREAM_END, "deflate: {}", ended);
    return out;
}

}  // namespace hearth::codec
