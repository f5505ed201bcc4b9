// What S3's protocol costs per request, apart from sockets, signatures and storage.
#include "aws/protocol/protocol.h"

#include "gen/s3/operations.gen.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

namespace hearth::aws::protocol {
namespace {

namespace s3 = hearth::s3::model;

// What SDKs send with every request.
Headers SignedHeaders() {
    return {
        {"host", "127.0.0.1:4566"},
        {"accept-encoding", "identity"},
        {"user-agent", "Boto3/1.43 md/Botocore#1.43 ua/2.1 os/linux#6.1 lang/python#3.11"},
        {"x-amz-date", "20260131T100000Z"},
        {"x-amz-content-sha256",
         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"authorization", "AWS4-HMAC-SHA256 Credential=key/20260131/us-east-1/s3/aws4_request"},
        {"amz-sdk-invocation-id", "c7a5f5ab-4b2e-4d6b-9a6e-6f1f8a2d9f5e"},
        {"amz-sdk-request", "attempt=1"}};
}

template <class Op>
void RoundTrip(
    benchmark::State& state, const RequestParts& request, const typename Op::Output& output) {
    for (auto _ : state) {
        const auto match = FindOperation(s3::Service(), request);
        typename Op::Input input;
        benchmark::DoNotOptimize(DecodeRequest(s3::Service(), *match, request, &input).ok());
        benchmark::DoNotOptimize(
            EncodeResponse(s3::Service(), *match->operation, &output, "4442587FB7D0A2F9"));
    }
}

void GetObject(benchmark::State& state) {
    const Headers headers = SignedHeaders();
    s3::GetObject::Output output;
    output.e_tag = "\"d41d8cd98f00b204e9800998ecf8427e\"";
    output.last_modified = WallClock::time_point(std::chrono::milliseconds(1'769'853'600'500));
    output.content_type = "binary/octet-stream";
    output.accept_ranges = "bytes";
    output.server_side_encryption = "AES256";
    RoundTrip<s3::GetObject>(
        state,
        {.method = "GET",
         .path = "/bucket/some/key/of/usual/length.bin",
         .query = "x-id=GetObject",
         .headers = headers},
        output);
}

BENCHMARK(GetObject);

void PutObject(benchmark::State& state) {
    Headers headers = SignedHeaders();
    headers.emplace_back("content-length", "1024");
    headers.emplace_back("content-type", "binary/octet-stream");
    headers.emplace_back("x-amz-sdk-checksum-algorithm", "CRC32");
    headers.emplace_back("x-amz-checksum-crc32", "NhCmhg==");
    s3::PutObject::Output output;
    output.e_tag = "\"d41d8cd98f00b204e9800998ecf8427e\"";
    output.checksum_crc32 = "NhCmhg==";
    output.server_side_encryption = "AES256";
    RoundTrip<s3::PutObject>(
        state,
        {.method = "PUT",
         .path = "/bucket/some/key/of/usual/length.bin",
         .query = "x-id=PutObject",
         .headers = headers},
        output);
}

BENCHMARK(PutObject);

void ListOf1000(benchmark::State& state) {
    const Headers headers = SignedHeaders();
    s3::ListObjectsV2::Output output;
    output.contents.emplace();
    for (int i = 0; i < 1000; ++i) {
        auto& object = output.contents->emplace_back();
        object.key = fmt::format("some/key/of/usual/length-{:06}.bin", i);
        object.last_modified = WallClock::time_point(std::chrono::milliseconds(1'769'853'600'500));
        object.e_tag = "\"d41d8cd98f00b204e9800998ecf8427e\"";
        object.size = i;
        object.storage_class = "STANDARD";
    }
    RoundTrip<s3::ListObjectsV2>(
        state,
        {.method = "GET", .path = "/bucket", .query = "list-type=2", .headers = headers},
        output);
}

BENCHMARK(ListOf1000);

void DeleteOf1000(benchmark::State& state) {
    Headers headers = SignedHeaders();
    headers.emplace_back("x-amz-trailer", "x-amz-checksum-crc32");
    std::string body = "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
    for (int i = 0; i < 1000; ++i) {
        body += fmt::format("<Object><Key>some/key/of/usual/length-{:06}.bin</Key></Object>", i);
    }
    body += "</Delete>";
    RoundTrip<s3::DeleteObjects>(
        state,
        {.method = "POST", .path = "/bucket", .query = "delete", .headers = headers, .body = body},
        {});
}

BENCHMARK(DeleteOf1000);

}  // namespace
}  // namespace hearth::aws::protocol
