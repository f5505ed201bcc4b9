#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace hearth {

// Randomness comes in through constructors, so a test can replay a run from its seed.
// Implementations may be called from any thread.
class Random {
  public:
    virtual ~Random() = default;
    virtual void Fill(std::span<uint8_t> bytes) = 0;

    uint64_t Uint64();
    // A version 4 UUID in lower case, as AWS's request ids.
    std::string Uuid();
    // `count` characters of `alphabet` (size 1 .. 256), without bias.
    std::string Text(size_t count, std::string_view alphabet);
    std::string Hex(size_t byte_count);

    // getrandom(2).
    static std::shared_ptr<Random> System();
    // Repeatable; for tests.
    static std::shared_ptr<Random> Seeded(uint64_t seed);
};

}  // namespace hearth
