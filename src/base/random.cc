#include "base/random.h"

#include "base/check.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <mutex>
#include <random>
#include <vector>

namespace hearth {
namespace {

class SystemRandom final : public Random {
  public:
    void Fill(std::span<uint8_t> bytes) override {
        // A block per thread: one system call for many small requests.
        thread_local std::array<uint8_t, 1024> block;
        thread_local size_t left = 0;
        for (uint8_t& out : bytes) {
            if (left == 0) {
                size_t have = 0;
                while (have < block.size()) {
                    const ssize_t got = getrandom(block.data() + have, block.size() - have, 0);
                    CHECK(got > 0 || errno == EINTR, "getrandom failed: {}", errno);
                    have += got > 0 ? static_cast<size_t>(got) : 0;
                }
                left = block.size();
            }
            uint8_t& taken = block[--left];
            out = taken;
            taken = 0;
        }
    }
};

class SeededRandom final : public Random {
  public:
    explicit SeededRandom(uint64_t seed) : engine_(seed) {}

    void Fill(std::span<uint8_t> bytes) override {
        const std::lock_guard lock(mutex_);
        for (uint8_t& out : bytes) {
            out = static_cast<uint8_t>(engine_());
        }
    }

  private:
    std::mutex mutex_;
    std::mt19937_64 engine_;
};

}  // namespace

uint64_t Random::Uint64() {
    std::array<uint8_t, 8> bytes;
    Fill(bytes);
    uint64_t value = 0;
    for (const uint8_t byte : bytes) {
        value = value << 8 | byte;
    }
    return value;
}

std::string Random::Hex(size_t byte_count) {
    std::vector<uint8_t> bytes(byte_count);
    Fill(bytes);
    std::string text;
    text.reserve(byte_count * 2);
    for (const uint8_t byte : bytes) {
        text += "0123456789abcdef"[byte >> 4];
        text += "0123456789abcdef"[byte & 15];
    }
    return text;
}

std::string Random::Uuid() {
    std::string hex = Hex(16);
    hex[12] = '4';
    hex[16] = "89ab"[hex[16] & 3];
    for (const size_t dash : {8, 13, 18, 23}) {
        hex.insert(dash, 1, '-');
    }
    return hex;
}

std::string Random::Text(size_t count, std::string_view alphabet) {
    CHECK(!alphabet.empty() && alphabet.size() <= 256, "alphabet of {}", alphabet.size());
    const size_t fair_end = 256 - 256 % alphabet.size();
    std::string text;
    text.reserve(count);
    std::array<uint8_t, 1> byte;
    while (text.size() < count) {
        Fill(byte);
        if (byte[0] < fair_end) {
            text += alphabet[byte[0] % alphabet.size()];
        }
    }
    return text;
}

std::shared_ptr<Random> Random::System() {
    return std::make_shared<SystemRandom>();
}

std::shared_ptr<Random> Random::Seeded(uint64_t seed) {
    return std::make_shared<SeededRandom>(seed);
}

}  // namespace hearth
