// Messages of any bytes; what is read comes back from its own encoding.
#include "base/check.h"
#include "codec/event_stream/event_stream.h"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace hearth::codec;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    // As it is, which the check sums stop soon, and as what they protect.
    std::string_view rest = input;
    for (auto event = DecodeEvent(rest); event.ok() && event->has_value();
         event = DecodeEvent(rest)) {
    }
    const size_t cut = size == 0 ? 0 : data[0] % size;
    const std::vector<EventHeader> headers = {
        {.name = "h",
         .type = static_cast<EventHeader::Type>(6 + cut % 2),
         .text = std::string(input.substr(0, cut))}};
    std::string encoded;
    AppendEvent(encoded, headers, input.substr(cut));
    std::string_view left = encoded;
    const auto event = DecodeEvent(left);
    CHECK(event.ok() && event->has_value() && left.empty(), "our own event is not read");
    CHECK((*event)->headers == headers && (*event)->payload == input.substr(cut), "it changed");
    // One flipped bit anywhere is found, or makes the message longer than what is there.
    if (size > 1) {
        encoded[data[1] % encoded.size()] ^= static_cast<char>(1U << (data[0] % 8));
        left = encoded;
        const auto broken = DecodeEvent(left);
        CHECK(!broken.ok() || !broken->has_value(), "a flipped bit is not seen");
    }
    return 0;
}
