#include "vmm/mmds/mmds_stack.h"

#include <cstdint>
#include <cstdlib>

// A guest's frames, one after the other (a byte of length before each), with time going on: nothing
// breaks, and no frame to the guest is larger than Ethernet's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace hearth::vmm;
    auto store = std::make_shared<MmdsDataStore>(51'200);
    hearth::codec::Json value(hearth::codec::Json::Object{});
    value.Set("a", hearth::codec::Json(std::string(5'000, 'x')));
    static_cast<void>(store->Put(std::move(value)).ok());
    std::uint64_t now_ns = 1;
    MmdsStack stack(store, [&] { return now_ns; });
    const auto bytes = std::as_bytes(std::span(data, size));
    for (std::size_t at = 0; at < size;) {
        const std::size_t frame_bytes = std::min<std::size_t>(data[at], size - at - 1);
        stack.Detour(bytes.subspan(at + 1, frame_bytes));
        at += 1 + frame_bytes;
        now_ns += 400'000'000;
        for (int i = 0; i < 4; ++i) {
            const auto frame = stack.NextFrame();
            if (frame && frame->size() > 1514) {
                std::abort();
            }
        }
    }
    return 0;
}
