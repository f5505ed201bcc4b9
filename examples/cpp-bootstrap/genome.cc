// Bases, GC and the longest open reading frame of a genome; see ../README.md.
#include "hearth_runtime.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

// The one member of the event; a genome has nothing that JSON escapes.
std::string Sequence(const std::string& event) {
    const size_t name = event.find("\"sequence\"");
    const size_t begin = name == std::string::npos ? name : event.find('"', name + 10);
    const size_t end = begin == std::string::npos ? begin : event.find('"', begin + 1);
    if (end == std::string::npos) {
        throw hearth_runtime::Failure("InvalidEvent", "no member sequence");
    }
    std::string sequence = event.substr(begin + 1, end - begin - 1);
    std::ranges::transform(sequence, sequence.begin(), [](unsigned char base) {
        return static_cast<char>(std::toupper(base));
    });
    return sequence;
}

size_t LongestOrf(std::string_view sequence) {
    size_t longest = 0;
    for (size_t frame = 0; frame < 3; ++frame) {
        size_t length = 0;
        for (size_t at = frame; at + 3 <= sequence.size(); at += 3) {
            const std::string_view codon = sequence.substr(at, 3);
            if (length == 0) {
                length = codon == "ATG" ? 1 : 0;
            } else if (codon == "TAA" || codon == "TAG" || codon == "TGA") {
                longest = std::max(longest, length);
                length = 0;
            } else {
                ++length;
            }
        }
    }
    return longest;
}

std::string Genome(const std::string& event) {
    const std::string sequence = Sequence(event);
    if (const size_t at = sequence.find_first_not_of("ACGTN"); at != std::string::npos) {
        throw hearth_runtime::Failure(
            "InvalidSequence",
            std::string("no base: ") + sequence[at] + " at " + std::to_string(at + 1));
    }
    std::printf("%zu bases\n", sequence.size());
    std::fflush(stdout);
    const auto gc =
        std::ranges::count_if(sequence, [](char base) { return base == 'G' || base == 'C'; });
    return "{\"bases\":" + std::to_string(sequence.size()) + ",\"gc\":" + std::to_string(gc) +
           ",\"longest_orf\":" + std::to_string(LongestOrf(sequence)) + "}";
}

}  // namespace

int main() {
    const char* handler = std::getenv("_HANDLER");
    if (handler == nullptr || std::string_view(handler) != "genome.handler") {
        return hearth_runtime::FailInit(
            "Runtime.NoSuchHandler",
            std::string("there is no handler ") + (handler == nullptr ? "" : handler));
    }
    return hearth_runtime::Run(Genome);
}
