#include "base/check.h"
#include "services/lambda/runtime_api_parser.h"

// Any split of the same bytes must give the same requests.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using hearth::lambda::RuntimeApiParser;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const auto run = [&](size_t step) {
        RuntimeApiParser parser;
        std::string seen;
        std::string_view rest = input;
        while (!rest.empty()) {
            std::string_view piece = rest.substr(0, step);
            rest.remove_prefix(piece.size());
            while (true) {
                const auto state = parser.Consume(piece);
                if (state == RuntimeApiParser::State::kBroken) {
                    return seen + "broken";
                }
                if (state == RuntimeApiParser::State::kNeedMore) {
                    break;
                }
                auto& request = parser.request();
                seen += request.method + " " + request.target + " " + request.error_type + " " +
                        request.body + "\n";
                parser.Reset();
            }
        }
        return seen;
    };
    CHECK(run(size + 1) == run(1), "the split of the input changes its meaning");
    return 0;
}
