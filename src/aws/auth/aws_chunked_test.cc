#include "aws/auth/aws_chunked.h"

#include "aws/auth/canonical_request.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace hearth::aws {
namespace {

// The examples are those of the Amazon S3 API Reference, "Signature calculations … in multiple
// chunks" and "… including trailing headers".
constexpr std::string_view kSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
constexpr uint64_t kDecodedBytes = 66'560;

ChunkSigning Signing(std::string_view seed) {
    ChunkSigning signing;
    signing.key = SigningKeyFor(kSecret, "20130524", "us-east-1", "s3");
    signing.time_text = "20130524T000000Z";
    signing.scope = "20130524/us-east-1/s3/aws4_request";
    signing.seed = seed;
    return signing;
}

AwsChunkedDecoder::Options SignedOptions() {
    AwsChunkedDecoder::Options options;
    options.signatures = true;
    options.signing = Signing("4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
    options.decoded_bytes = kDecodedBytes;
    return options;
}

AwsChunkedDecoder::Options TrailerOptions() {
    AwsChunkedDecoder::Options options = SignedOptions();
    options.signing = Signing("106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e");
    options.trailers = true;
    options.announced_trailers = {"x-amz-checksum-crc32c"};
    return options;
}

AwsChunkedDecoder::Options UnsignedOptions(uint64_t bytes) {
    AwsChunkedDecoder::Options options;
    options.trailers = true;
    options.announced_trailers = {"x-amz-checksum-crc32"};
    options.decoded_bytes = bytes;
    return options;
}

std::string Chunk(std::string_view size, std::string_view signature, size_t bytes) {
    return fmt::format("{};chunk-signature={}\r\n{}\r\n", size, signature, std::string(bytes, 'a'));
}

constexpr std::string_view kFirst =
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648";
constexpr std::string_view kSecond =
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497";
constexpr std::string_view kLast =
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9";

std::string SignedBody() {
    return Chunk("10000", kFirst, 65'536) + Chunk("400", kSecond, 1024) + Chunk("0", kLast, 0);
}

struct Outcome {
    std::string text;
    std::string code;
    std::vector<std::pair<std::string, std::string>> trailers;
};

// Fed in pieces of `step` bytes into room for `room`.
Outcome Decode(
    AwsChunkedDecoder::Options options,
    std::string_view body,
    size_t step = 7000,
    size_t room = 5000) {
    AwsChunkedDecoder decoder(std::move(options));
    Outcome outcome;
    std::string out(room, '\0');
    while (!body.empty() && !decoder.error()) {
        std::string_view piece = body.substr(0, step);
        const auto done = decoder.Decode(piece, out);
        outcome.text += out.substr(0, done.produced);
        body.remove_prefix(done.consumed);
    }
    decoder.Finish();
    if (decoder.error()) {
        outcome.code = decoder.error()->code();
    }
    outcome.trailers = decoder.trailers();
    return outcome;
}

TEST(AwsChunked, OfTheReferenceDecodesInPiecesOfAnySize) {
    const std::string body = SignedBody();
    EXPECT_EQ(body.size(), 66'824U);
    for (const size_t step : {1, 2, 63, 8192, 100'000}) {
        const Outcome outcome = Decode(SignedOptions(), body, step);
        EXPECT_EQ(outcome.code, "") << step;
        EXPECT_EQ(outcome.text, std::string(kDecodedBytes, 'a')) << step;
    }
}

TEST(AwsChunked, WithTrailersOfTheReferenceDecodes) {
    const std::string chunks =
        Chunk("10000", "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2", 65'536) +
        Chunk("400", "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7", 1024) +
        "0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n";
    constexpr std::string_view kSignature =
        "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435";
    // Clients end these lines in different ways.
    for (const std::string_view end : {"\r\n", "\n", "\n\r\n"}) {
        const std::string body =
            fmt::format("{}x-amz-checksum-crc32c:sOO8/Q=={}{}\r\n\r\n", chunks, end, kSignature);
        const Outcome outcome = Decode(TrailerOptions(), body);
        EXPECT_EQ(outcome.code, "");
        ASSERT_EQ(outcome.trailers.size(), 1U);
        EXPECT_EQ(outcome.trailers[0].first, "x-amz-checksum-crc32c");
        EXPECT_EQ(outcome.trailers[0].second, "sOO8/Q==");
    }
    const std::string other =
        fmt::format("{}x-amz-checksum-crc32c:sOO8/R==\r\n{}\r\n\r\n", chunks, kSignature);
    EXPECT_EQ(Decode(TrailerOptions(), other).code, "SignatureDoesNotMatch");
    const std::string without = chunks + "x-amz-checksum-crc32c:sOO8/Q==\r\n\r\n";
    EXPECT_EQ(Decode(TrailerOptions(), without).code, "MalformedTrailerError");
}

TEST(AwsChunked, WithChunksExchangedOrChangedIsRefused) {
    const std::string exchanged =
        Chunk("400", kSecond, 1024) + Chunk("10000", kFirst, 65'536) + Chunk("0", kLast, 0);
    EXPECT_EQ(Decode(SignedOptions(), exchanged).code, "SignatureDoesNotMatch");
    std::string changed = SignedBody();
    changed[1000] = 'b';
    EXPECT_EQ(Decode(SignedOptions(), changed).code, "SignatureDoesNotMatch");
    std::string twice = Chunk("10000", kFirst, 65'536) + Chunk("10000", kFirst, 65'536);
    EXPECT_EQ(Decode(SignedOptions(), twice).code, "IncompleteBody");
    // The last chunk is what says that all have come.
    const std::string cut = Chunk("10000", kFirst, 65'536) + Chunk("400", kSecond, 1024);
    EXPECT_EQ(Decode(SignedOptions(), cut).code, "IncompleteBody");
    EXPECT_EQ(Decode(SignedOptions(), SignedBody().substr(0, 40'000)).code, "IncompleteBody");
    EXPECT_EQ(Decode(SignedOptions(), SignedBody() + "x").code, "InvalidRequest");
    EXPECT_EQ(Decode(SignedOptions(), "").code, "IncompleteBody");
}

TEST(AwsChunked, WhoseKeyNobodyKnowsStillHasItsForm) {
    AwsChunkedDecoder::Options options = SignedOptions();
    options.signing.reset();
    std::string body = SignedBody();
    EXPECT_EQ(Decode(options, body).code, "");
    body[1000] = 'b';
    EXPECT_EQ(Decode(options, body).code, "");
    EXPECT_EQ(Decode(options, "10000\r\n").code, "InvalidRequest");
    EXPECT_EQ(Decode(options, "10000;chunk-signature=12\r\n").code, "InvalidRequest");
}

TEST(AwsChunked, UnsignedDecodesWithItsTrailer) {
    const Outcome outcome =
        Decode(UnsignedOptions(5), "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n");
    EXPECT_EQ(outcome.code, "");
    EXPECT_EQ(outcome.text, "hello");
    ASSERT_EQ(outcome.trailers.size(), 1U);
    EXPECT_EQ(outcome.trailers[0].second, "NhCmhg==");
}

TEST(AwsChunked, ThatIsMalformedIsRefused) {
    const auto code = [](std::string_view body, uint64_t bytes = 5) {
        return Decode(UnsignedOptions(bytes), body, 1).code;
    };
    EXPECT_EQ(code("5\nhello\r\n0\r\n"), "InvalidRequest");
    EXPECT_EQ(code("0x5\r\nhello"), "InvalidRequest");
    EXPECT_EQ(code("+5\r\nhello"), "InvalidRequest");
    EXPECT_EQ(code("\r\nhello"), "InvalidRequest");
    EXPECT_EQ(code("fffffffffffffffff\r\n"), "InvalidRequest");
    EXPECT_EQ(code("5;x=y\r\nhello"), "InvalidRequest");
    EXPECT_EQ(code("5\r\nhello!\r\n"), "InvalidRequest");
    EXPECT_EQ(code(std::string(200, '0')), "InvalidRequest");
    EXPECT_EQ(code("6\r\nhello!\r\n0\r\n"), "IncompleteBody");
    EXPECT_EQ(code("4\r\nhell\r\n0\r\nx-amz-checksum-crc32:a\r\n"), "IncompleteBody");
    EXPECT_EQ(code("ffffffffffffffff\r\nhell"), "IncompleteBody");
    EXPECT_EQ(code("5\r\nhello\r\n0\r\n\r\n"), "MalformedTrailerError");
    EXPECT_EQ(code("5\r\nhello\r\n0\r\nx-amz-other:1\r\n"), "MalformedTrailerError");
    EXPECT_EQ(code("5\r\nhello\r\n0\r\nnonsense\r\n"), "MalformedTrailerError");
    EXPECT_EQ(
        code("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:a\r\nx-amz-checksum-crc32:a\r\n"),
        "MalformedTrailerError");
    EXPECT_EQ(code("5\r\nhello\r\n0\r\n" + std::string(9000, 'x')), "MalformedTrailerError");
    // Many small chunks are refused, so that signatures cost no more than the bytes.
    EXPECT_EQ(code("1\r\nh\r\n4\r\nello\r\n0\r\n"), "InvalidChunkSizeError");
}

TEST(AwsChunked, PayloadMayBeTakenWhereItIs) {
    AwsChunkedDecoder decoder(SignedOptions());
    const std::string body = SignedBody();
    const size_t header = body.find('\n') + 1;
    std::string out(10, '\0');
    EXPECT_EQ(decoder.PayloadBytesAhead(), 0U);
    EXPECT_EQ(decoder.Decode(body.substr(0, header), out).produced, 0U);
    EXPECT_EQ(decoder.PayloadBytesAhead(), 65'536U);
    decoder.Take(std::string_view(body).substr(header, 65'536));
    EXPECT_EQ(decoder.PayloadBytesAhead(), 0U);
    std::string rest(2000, '\0');
    EXPECT_EQ(decoder.Decode(std::string_view(body).substr(header + 65'536), rest).produced, 1024U);
    decoder.Finish();
    EXPECT_FALSE(decoder.error());
}

}  // namespace
}  // namespace hearth::aws
