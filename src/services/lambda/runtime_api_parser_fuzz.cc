#include "base/check.h"
#include "services/lambda/runtime_api_parser.h"

// Any split of the same bytes must give the same requests, whether a streamed body is taken as it
// comes or as a whole.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using hearth::lambda::RuntimeApiParser;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const auto run = [&](size_t step, bool streams) {
        RuntimeApiParser parser;
        std::string seen;
        std::string flowed;
        std::string_view rest = input;
        while (!rest.empty()) {
            std::string_view piece = rest.substr(0, step);
            rest.remove_prefix(piece.size());
            while (true) {
                const auto state = parser.Consume(piece);
                if (state == RuntimeApiParser::State::kStreamBegins) {
                    CHECK(parser.body().empty(), "a body before its stream begins");
                    if (streams) {
                        parser.Stream();
                        flowed = "streamed ";
                    }
                    continue;
                }
                if (!flowed.empty()) {
                    flowed += parser.body();
                    parser.DropBody();
                }
                if (state == RuntimeApiParser::State::kBroken) {
                    return seen + flowed + "broken";
                }
                if (state == RuntimeApiParser::State::kNeedMore) {
                    break;
                }
                auto& request = parser.request();
                seen += request.method + " " + request.target + " " + request.error_type + " " +
                        request.error_body + " " + flowed + request.body + "\n";
                flowed.clear();
                parser.Reset();
            }
        }
        return seen;
    };
    for (const bool streams : {false, true}) {
        CHECK(
            run(size + 1, streams) == run(1, streams),
            "the split of the input changes its meaning");
    }
    return 0;
}
