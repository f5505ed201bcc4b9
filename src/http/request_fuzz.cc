// Heads and chunked bodies from hostile bytes. Beyond not crashing: a head is found at the same
// place whichever way its bytes arrive, its views stay inside it, and a chunked body decodes to the
// same bytes in one piece and in many.
#include "base/check.h"
#include "http/chunked.h"
#include "http/head_parser.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

using hearth::http::ChunkedDecoder;
using hearth::http::Field;
using hearth::http::Head;
using hearth::http::HeadScanner;

void CheckInside(std::string_view part, std::string_view whole) {
    CHECK(
        part.empty() ||
        (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size()));
}

void FuzzHead(std::string_view input) {
    HeadScanner whole;
    const auto outcome = whole.Scan(input);
    HeadScanner pieces;
    auto piecewise = HeadScanner::Outcome::kIncomplete;
    for (size_t size = 1; size <= input.size() && piecewise == HeadScanner::Outcome::kIncomplete;
         ++size) {
        piecewise = pieces.Scan(input.substr(0, size));
    }
    CHECK(outcome == piecewise);
    if (outcome != HeadScanner::Outcome::kComplete) {
        return;
    }
    CHECK(whole.head_bytes() == pieces.head_bytes());
    // A copy of exact size, so that a sanitizer sees a read behind its end.
    const std::string head_bytes(input.substr(0, whole.head_bytes()));
    Head head;
    if (hearth::http::ParseHead(head_bytes, 64, head).has_value()) {
        return;
    }
    CheckInside(head.method, head_bytes);
    if (head.target != "/") {  // Which may be written for a URL without a path.
        CheckInside(head.target, head_bytes);
    }
    CHECK(!head.method.empty() && !head.target.empty());
    for (const Field& field : head.fields) {
        CheckInside(field.name, head_bytes);
        CheckInside(field.value, head_bytes);
        CHECK(field.value.find_first_of("\r\n") == std::string_view::npos);
    }
}

std::string Decode(ChunkedDecoder& decoder, std::string_view input, size_t piece, size_t* used) {
    std::string body;
    std::string out(piece + 3, '\0');
    *used = 0;
    while (*used < input.size() && !decoder.done() && !decoder.failed()) {
        const auto step = decoder.Decode(input.substr(*used, piece), out);
        CHECK(step.consumed > 0 || step.produced > 0);
        CHECK(step.produced <= out.size());
        *used += step.consumed;
        body.append(out, 0, step.produced);
    }
    return body;
}

void FuzzChunks(std::string_view input) {
    size_t used_whole = 0;
    size_t used_single = 0;
    ChunkedDecoder whole;
    ChunkedDecoder single;
    const std::string body = Decode(whole, input, input.size() + 1, &used_whole);
    CHECK(body == Decode(single, input, 1, &used_single));
    CHECK(whole.done() == single.done() && whole.failed() == single.failed());
    CHECK(used_whole == used_single);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] % 2 == 0) {
        FuzzHead(input);
    } else {
        FuzzChunks(input);
    }
    return 0;
}
