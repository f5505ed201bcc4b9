#include "codec/checksum/checksum.h"

#include "codec/base64/base64.h"

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// All three are reflected: the first bit of a text is the least significant of its first byte and
// the coefficient of the highest power. Words below are polynomials written so: the top bit is x^0.
namespace hearth::codec {
namespace {

static_assert(std::endian::native == std::endian::little, "words are loaded as they stand");

constexpr uint32_t kCrc32 = 0xEDB88320U;
constexpr uint32_t kCastagnoli = 0x82F63B78U;
constexpr uint64_t kNvme = 0x9A6C9329AC4BC9B5U;

// Sixteen bytes a step, each through a table of its own.
constexpr size_t kSlices = 16;
// Below this a folding costs more than it saves.
constexpr size_t kFoldedBytesMin = 128;

template <std::unsigned_integral Word>
constexpr Word TimesX(Word value, Word polynomial) {
    return (value & 1U) != 0 ? polynomial ^ (value >> 1U) : value >> 1U;
}

template <std::unsigned_integral Word>
using Tables = std::array<std::array<Word, 256>, kSlices>;

template <std::unsigned_integral Word>
constexpr Tables<Word> MakeTables(Word polynomial) {
    Tables<Word> tables{};
    for (size_t i = 0; i < 256; ++i) {
        auto value = static_cast<Word>(i);
        for (int bit = 0; bit < 8; ++bit) {
            value = TimesX(value, polynomial);
        }
        tables[0][i] = value;
    }
    for (size_t slice = 1; slice < kSlices; ++slice) {
        for (size_t i = 0; i < 256; ++i) {
            const Word before = tables[slice - 1][i];
            tables[slice][i] = (before >> 8U) ^ tables[0][before & 0xFFU];
        }
    }
    return tables;
}

// The remainder after `bytes` when it was `crc` before them; neither is inverted.
template <std::unsigned_integral Word>
Word BySlices(const Tables<Word>& tables, std::string_view bytes, Word crc) {
    while (bytes.size() >= kSlices) {
        std::array<uint64_t, 2> words{};
        std::memcpy(words.data(), bytes.data(), kSlices);
        words[0] ^= crc;
        crc = 0;
        for (size_t i = 0; i < kSlices; ++i) {
            crc ^= tables[kSlices - 1 - i][words[i / 8] >> (8 * (i % 8)) & 0xFFU];
        }
        bytes.remove_prefix(kSlices);
    }
    for (const char c : bytes) {
        crc = tables[0][(crc ^ static_cast<unsigned char>(c)) & 0xFFU] ^ (crc >> 8U);
    }
    return crc;
}

// a times b, modulo the polynomial.
template <std::unsigned_integral Word>
constexpr Word Multiply(Word a, Word b, Word polynomial) {
    Word product = 0;
    for (Word bit = Word{1} << (sizeof(Word) * 8 - 1); bit != 0; bit >>= 1U) {
        if ((a & bit) != 0) {
            product ^= b;
        }
        b = TimesX(b, polynomial);
    }
    return product;
}

// x to the power of n.
template <std::unsigned_integral Word>
constexpr Word PowerOfX(uint64_t n, Word polynomial) {
    Word result = Word{1} << (sizeof(Word) * 8 - 1);
    Word factor = Word{1} << (sizeof(Word) * 8 - 2);
    for (; n != 0; n >>= 1U) {
        if ((n & 1U) != 0) {
            result = Multiply(result, factor, polynomial);
        }
        factor = Multiply(factor, factor, polynomial);
    }
    return result;
}

// What a step over `bits` multiplies the two halves of a 128-bit register with. The product of two
// reflected words stands one place too low, which is a factor of x; hence the ones.
struct Fold {
    uint64_t first_half;
    uint64_t second_half;
};

template <std::unsigned_integral Word>
constexpr Fold MakeFold(uint64_t bits, Word polynomial) {
    constexpr unsigned kShift = 64 - sizeof(Word) * 8;
    return {
        uint64_t{PowerOfX<Word>(bits + 64 - 1, polynomial)} << kShift,
        uint64_t{PowerOfX<Word>(bits - 1, polynomial)} << kShift};
}

struct Folds {
    Fold by_512;
    Fold by_128;
};

template <std::unsigned_integral Word>
constexpr Folds MakeFolds(Word polynomial) {
    return {MakeFold(512, polynomial), MakeFold(128, polynomial)};
}

#if defined(__x86_64__)

bool HasCarrylessMultiplication() {
    static const bool has =
        __builtin_cpu_supports("pclmul") != 0 && __builtin_cpu_supports("sse4.1") != 0;
    return has;
}

__attribute__((target("pclmul,sse4.1"))) __m128i Load(const char* bytes) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
}

__attribute__((target("pclmul,sse4.1"))) __m128i Step(__m128i lane, __m128i fold, __m128i next) {
    const __m128i first = _mm_clmulepi64_si128(lane, fold, 0x00);
    const __m128i second = _mm_clmulepi64_si128(lane, fold, 0x11);
    return _mm_xor_si128(_mm_xor_si128(first, second), next);
}

__attribute__((target("pclmul,sse4.1"))) __m128i Load(const Fold& fold) {
    return _mm_set_epi64x(
        static_cast<long long>(fold.second_half), static_cast<long long>(fold.first_half));
}

// Sixteen bytes that leave the same remainder as all whole 64-byte blocks of `bytes`, which it
// takes off: four lanes side by side, as one multiplication takes several cycles to end.
__attribute__((target("pclmul,sse4.1"))) std::array<char, 16> FoldBlocks(
    const Folds& folds, std::string_view& bytes, uint64_t crc) {
    const char* at = bytes.data();
    const size_t blocks = bytes.size() / 64;
    __m128i lane0 = _mm_xor_si128(Load(at), _mm_set_epi64x(0, static_cast<long long>(crc)));
    __m128i lane1 = Load(at + 16);
    __m128i lane2 = Load(at + 32);
    __m128i lane3 = Load(at + 48);
    const __m128i by_512 = Load(folds.by_512);
    for (size_t block = 1; block < blocks; ++block) {
        at += 64;
        lane0 = Step(lane0, by_512, Load(at));
        lane1 = Step(lane1, by_512, Load(at + 16));
        lane2 = Step(lane2, by_512, Load(at + 32));
        lane3 = Step(lane3, by_512, Load(at + 48));
    }
    const __m128i by_128 = Load(folds.by_128);
    lane1 = Step(lane0, by_128, lane1);
    lane2 = Step(lane1, by_128, lane2);
    lane3 = Step(lane2, by_128, lane3);
    bytes.remove_prefix(blocks * 64);
    std::array<char, 16> rest{};
    _mm_storeu_si128(reinterpret_cast<__m128i*>(rest.data()), lane3);
    return rest;
}

#else

bool HasCarrylessMultiplication() {
    return false;
}

std::array<char, 16> FoldBlocks(const Folds&, std::string_view&, uint64_t) {
    return {};
}

#endif

template <std::unsigned_integral Word>
Word Compute(const Tables<Word>& tables, const Folds& folds, std::string_view bytes, Word before) {
    Word crc = ~before;
    if (bytes.size() >= kFoldedBytesMin && HasCarrylessMultiplication()) {
        const std::array<char, 16> rest = FoldBlocks(folds, bytes, crc);
        crc = BySlices<Word>(tables, {rest.data(), rest.size()}, 0);
    }
    return ~BySlices<Word>(tables, bytes, crc);
}

template <std::unsigned_integral Word>
Word Combine(Word first, Word second, uint64_t second_bytes, Word polynomial) {
    // x^8 to the power of the bytes, so that no length overflows.
    Word result = Word{1} << (sizeof(Word) * 8 - 1);
    Word factor = PowerOfX<Word>(8, polynomial);
    for (uint64_t n = second_bytes; n != 0; n >>= 1U) {
        if ((n & 1U) != 0) {
            result = Multiply(result, factor, polynomial);
        }
        factor = Multiply(factor, factor, polynomial);
    }
    return Multiply(result, first, polynomial) ^ second;
}

constexpr Tables<uint32_t> kCastagnoliTables = MakeTables(kCastagnoli);
constexpr Tables<uint32_t> kCrc32Tables = MakeTables(kCrc32);
constexpr Tables<uint64_t> kNvmeTables = MakeTables(kNvme);
constexpr Folds kCastagnoliFolds = MakeFolds(kCastagnoli);
constexpr Folds kCrc32Folds = MakeFolds(kCrc32);
constexpr Folds kNvmeFolds = MakeFolds(kNvme);

template <std::unsigned_integral Word>
std::string BigEndianBase64(Word crc) {
    std::string bytes;
    for (size_t shift = sizeof(Word) * 8; shift > 0; shift -= 8) {
        bytes += static_cast<char>(crc >> (shift - 8) & 0xFFU);
    }
    return Base64Encode(bytes);
}

}  // namespace

uint32_t Crc32c(std::string_view bytes, uint32_t before) {
    return Compute(kCastagnoliTables, kCastagnoliFolds, bytes, before);
}

uint64_t Crc64Nvme(std::string_view bytes, uint64_t before) {
    return Compute(kNvmeTables, kNvmeFolds, bytes, before);
}

uint32_t Crc32Fast(std::string_view bytes, uint32_t before) {
    return Compute(kCrc32Tables, kCrc32Folds, bytes, before);
}

uint32_t CombineCrc32(uint32_t first, uint32_t second, uint64_t second_bytes) {
    return Combine(first, second, second_bytes, kCrc32);
}

uint32_t CombineCrc32c(uint32_t first, uint32_t second, uint64_t second_bytes) {
    return Combine(first, second, second_bytes, kCastagnoli);
}

uint64_t CombineCrc64Nvme(uint64_t first, uint64_t second, uint64_t second_bytes) {
    return Combine(first, second, second_bytes, kNvme);
}

std::string ChecksumBase64(uint32_t crc) {
    return BigEndianBase64(crc);
}

std::string ChecksumBase64(uint64_t crc) {
    return BigEndianBase64(crc);
}

}  // namespace hearth::codec
