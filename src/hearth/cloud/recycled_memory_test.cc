#include "hearth/cloud/recycled_memory.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace hearth::recycled {
namespace {

TEST(RecycledMemory, HasRoomForWhatIsAskedForWhateverWasGivenBefore) {
    const uint64_t seed = std::random_device()();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    std::vector<std::pair<void*, size_t>> held;
    for (int round = 0; round < 20'000; ++round) {
        if (held.size() < 200 && random() % 2 == 0) {
            const size_t bytes = random() % (kPieceBytesMax + 1'000);
            // Half of them are not from Take: any piece of malloc's may be given.
            void* const piece = random() % 2 == 0 ? Take(bytes) : std::malloc(bytes);
            ASSERT_NE(piece, nullptr);
            ASSERT_GE(::malloc_usable_size(piece), bytes);
            ASSERT_EQ(reinterpret_cast<uintptr_t>(piece) % alignof(std::max_align_t), 0u);
            std::memset(piece, 0xA5, bytes);
            held.emplace_back(piece, bytes);
        } else if (!held.empty()) {
            std::swap(held[random() % held.size()], held.back());
            Give(held.back().first);
            held.pop_back();
        }
        ASSERT_LE(KeptBytes(), kThreadBytesMax);
    }
    for (const auto& [piece, bytes] : held) {
        Give(piece);
    }
    Give(nullptr);
}

TEST(RecycledMemory, EveryRequestOfASizeTakesBackWhatWasGiven) {
    std::thread([] {
        for (const size_t bytes : {0, 1, 24, 25, 1'032, 1'033, 1'280, 1'281, 8'192}) {
            void* const piece = Take(bytes);
            Give(piece);
            EXPECT_GT(KeptBytes(), 0u) << bytes;
            void* const again = Take(bytes);
            EXPECT_EQ(again, piece) << bytes;
            EXPECT_EQ(KeptBytes(), 0u) << bytes;
            std::free(again);
        }
    }).join();
}

TEST(RecycledMemory, KeepsNoMoreThanItsLimitAndNothingLarge) {
    std::thread([] {
        std::vector<void*> pieces;
        for (size_t count = 0; count < 2 * kThreadBytesMax / 4'096; ++count) {
            pieces.push_back(Take(4'096));
        }
        for (void* const piece : pieces) {
            Give(piece);
        }
        EXPECT_LE(KeptBytes(), kThreadBytesMax);
        EXPECT_GT(KeptBytes(), kThreadBytesMax - 2 * 4'096);
        const size_t before = KeptBytes();
        Give(Take(64 * 1'024));
        EXPECT_EQ(KeptBytes(), before);
    }).join();
}

TEST(RecycledMemory, APieceMayEndOnAnotherThread) {
    void* const piece = Take(2'000);
    std::thread([piece] {
        Give(piece);
        EXPECT_GT(KeptBytes(), 0u);
    }).join();
}

}  // namespace
}  // namespace hearth::recycled
