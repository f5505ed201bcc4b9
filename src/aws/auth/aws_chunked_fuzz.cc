// What clients send as aws-chunked, in pieces as the network cuts it, decodes the same however it
// is cut, and never to more than was announced.
#include "aws/auth/aws_chunked.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace {

struct Outcome {
    std::string text;
    std::string code;
};

Outcome Decode(
    const hearth::aws::AwsChunkedDecoder::Options& options, std::string_view in, size_t step) {
    hearth::aws::AwsChunkedDecoder decoder(options);
    Outcome outcome;
    std::string out(step, '\0');
    while (!in.empty() && !decoder.error()) {
        const auto done = decoder.Decode(in.substr(0, step), out);
        if (done.consumed == 0 && done.produced == 0 && !decoder.error()) {
            __builtin_trap();
        }
        outcome.text.append(out, 0, done.produced);
        in.remove_prefix(done.consumed);
    }
    decoder.Finish();
    outcome.code = decoder.error() ? decoder.error()->code() : "";
    return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 3) {
        return 0;
    }
    hearth::aws::AwsChunkedDecoder::Options options;
    options.signatures = (data[0] & 1U) != 0;
    options.trailers = (data[0] & 2U) != 0;
    if ((data[0] & 4U) != 0) {
        options.signing.emplace();
    }
    if (options.trailers) {
        options.announced_trailers = {"x-amz-checksum-crc32"};
    }
    options.decoded_bytes = data[1] * size_t{64};
    const std::string_view in(reinterpret_cast<const char*>(data) + 3, size - 3);
    const Outcome whole = Decode(options, in, in.size() + 1);
    const Outcome pieces = Decode(options, in, data[2] % 32 + 1);
    if (whole.text.size() > options.decoded_bytes || whole.code != pieces.code ||
        (whole.code.empty() && whole.text != pieces.text)) {
        __builtin_trap();
    }
    return 0;
}
