// Quality sums of FASTQ reads as a custom runtime; see ../README.md.
#include "hearth_runtime.h"

#include <boost/json.hpp>
#include <boost/json/src.hpp>

#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

std::string_view TakeLine(std::string_view& text) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return line;
}

std::string SumQuality(const std::string& event) {
    const boost::json::value parsed = boost::json::parse(event);
    std::string_view text = parsed.at("fastq").as_string();
    int64_t reads = 0;
    int64_t bases = 0;
    int64_t gc = 0;
    std::vector<int64_t> sums;
    std::vector<int64_t> counts;
    while (!text.empty()) {
        const std::string_view name = TakeLine(text);
        const std::string_view sequence = TakeLine(text);
        TakeLine(text);
        const std::string_view quality = TakeLine(text);
        if (!name.starts_with('@') || sequence.size() != quality.size()) {
            throw std::runtime_error("not a FASTQ record: " + std::string(name.substr(0, 40)));
        }
        ++reads;
        bases += static_cast<int64_t>(sequence.size());
        if (sequence.size() > sums.size()) {
            sums.resize(sequence.size());
            counts.resize(sequence.size());
        }
        for (size_t i = 0; i < sequence.size(); ++i) {
            gc += sequence[i] == 'G' || sequence[i] == 'C' ? 1 : 0;
            sums[i] += quality[i] - 33;
            ++counts[i];
        }
    }
    std::printf(
        "%lld reads, %lld bases\n", static_cast<long long>(reads), static_cast<long long>(bases));
    std::fflush(stdout);
    return boost::json::serialize(boost::json::object{
        {"reads", reads},
        {"bases", bases},
        {"gc", gc},
        {"quality_sum", boost::json::value_from(sums)},
        {"quality_count", boost::json::value_from(counts)}});
}

}  // namespace

int main() {
    return hearth_runtime::Run(SumQuality);
}
