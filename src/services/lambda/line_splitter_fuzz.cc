#include "base/check.h"
#include "services/lambda/log_writer.h"

// What a function writes, in any pieces, gives the same lines. The first byte chooses the second
// split.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) {
        return 0;
    }
    const size_t step = static_cast<size_t>(data[0]) + 1;
    const std::string_view input(reinterpret_cast<const char*>(data + 1), size - 1);
    const auto run = [&](size_t piece) {
        hearth::lambda::LineSplitter splitter;
        std::vector<hearth::LogLine> lines;
        for (size_t at = 0; at < input.size(); at += piece) {
            splitter.Feed(input.substr(at, piece), {}, lines);
        }
        splitter.Finish({}, lines);
        std::string all;
        for (const hearth::LogLine& line : lines) {
            CHECK(line.text.size() <= 3 * hearth::lambda::LineSplitter::kLineBytesMax);
            all += line.text + "\x01\n";
        }
        return all;
    };
    CHECK(run(input.size() + 1) == run(step), "the split of the input changes its meaning");
    return 0;
}
