// What decoding and encoding cost per request, apart from sockets and signatures.
#include "aws/protocol/protocol.h"

#include "gen/shelf/operations.gen.h"

#include <benchmark/benchmark.h>

namespace hearth::aws::protocol {
namespace {

namespace shelf = hearth::shelf::model;

model::Service Speaking(model::Protocol protocol) {
    model::Service service = shelf::Service();
    service.protocol = protocol;
    return service;
}

shelf::Shelf SmallShelf() {
    shelf::Shelf output;
    output.shelf_name = "scifi";
    output.height = 7;
    output.since = WallClock::time_point(std::chrono::milliseconds(1'769'853'600'500));
    return output;
}

// As STS GetCallerIdentity: no parameters, a small answer.
void QueryWithoutParameters(benchmark::State& state) {
    const auto service = Speaking(model::Protocol::kQuery);
    const Headers headers = {
        {"host", "localhost"}, {"content-type", "application/x-www-form-urlencoded"}};
    const RequestParts request{
        .method = "POST",
        .path = "/",
        .query = {},
        .headers = headers,
        .body = "Action=Ping&Version=2020-01-02"};
    const auto output = SmallShelf();
    for (auto _ : state) {
        const auto match = FindOperation(service, request);
        shelf::PingInput input;
        benchmark::DoNotOptimize(DecodeRequest(service, *match, request, &input).ok());
        benchmark::DoNotOptimize(
            EncodeResponse(service, shelf::CreateShelf::Descriptor(), &output, "some-request-id"));
    }
}

BENCHMARK(QueryWithoutParameters);

void JsonBody(benchmark::State& state) {
    const auto service = Speaking(model::Protocol::kJson11);
    const Headers headers = {{"x-amz-target", "Shelf_20200102.CreateShelf"}};
    const RequestParts request{
        .method = "POST",
        .path = "/",
        .query = {},
        .headers = headers,
        .body = R"({"ShelfName":"scifi","Height":7,"Colours":["red","green"],"Notes":{"a":"x"}})"};
    const auto output = SmallShelf();
    for (auto _ : state) {
        const auto match = FindOperation(service, request);
        shelf::CreateShelfInput input;
        benchmark::DoNotOptimize(DecodeRequest(service, *match, request, &input).ok());
        benchmark::DoNotOptimize(
            EncodeResponse(service, *match->operation, &output, "some-request-id"));
    }
}

BENCHMARK(JsonBody);

// As Lambda's Invoke: a path with a label, the body handed through.
void RestPath(benchmark::State& state) {
    const auto& service = shelf::Service();
    const RequestParts request{
        .method = "GET",
        .path = "/shelves/scifi/pages/1/2",
        .query = {},
        .headers = {},
        .body = {}};
    shelf::GetPageOutput output;
    output.body = "{}";
    for (auto _ : state) {
        const auto match = FindOperation(service, request);
        shelf::GetPageInput input;
        benchmark::DoNotOptimize(DecodeRequest(service, *match, request, &input).ok());
        benchmark::DoNotOptimize(
            EncodeResponse(service, *match->operation, &output, "some-request-id"));
    }
}

BENCHMARK(RestPath);

}  // namespace
}  // namespace hearth::aws::protocol
