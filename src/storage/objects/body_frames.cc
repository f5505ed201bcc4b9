#include "storage/objects/body_frames.h"

#include "base/check.h"
#include "codec/checksum/checksum.h"
#include "storage/objects/object_bodies.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace hearth::storage {
namespace {

constexpr std::string_view kMagic = "HOBJ";
constexpr uint8_t kForm = 1;
constexpr size_t kCheckSumBytes = 4;
constexpr uint64_t kEndIndexBit = uint64_t{1} << 63;

template <class Number>
void PutNumber(char* at, Number number) {
    for (size_t i = 0; i < sizeof(Number); ++i) {
        at[i] = static_cast<char>(number >> (8 * i));
    }
}

template <class Number>
Number GetNumber(const char* at) {
    Number number = 0;
    for (size_t i = 0; i < sizeof(Number); ++i) {
        number |= static_cast<Number>(Number{static_cast<uint8_t>(at[i])} << (8 * i));
    }
    return number;
}

}  // namespace

Error BodyDamaged(uint64_t id, std::string_view what) {
    return Error(
        Error::Kind::kInternal,
        kBodyDamaged,
        fmt::format("body {:x} is damaged: {}", id, what),
        500);
}

std::string BodyHead::Encode() const {
    CHECK(sealed_key.size() == (encryption == BodyEncryption::kNone ? 0 : kSealedKeyBytes));
    std::string bytes(16, '\0');
    bytes.replace(0, kMagic.size(), kMagic);
    bytes[4] = static_cast<char>(kForm);
    bytes[5] = static_cast<char>(encryption);
    PutNumber(bytes.data() + 8, id);
    bytes += sealed_key;
    char sum[kCheckSumBytes];
    PutNumber(sum, codec::Crc32c(bytes));
    bytes.append(sum, sizeof(sum));
    return bytes;
}

Result<BodyHead> BodyHead::Decode(std::string_view bytes) {
    BodyHead head;
    if (bytes.size() < 16 + kCheckSumBytes || !bytes.starts_with(kMagic) ||
        static_cast<uint8_t>(bytes[4]) != kForm ||
        static_cast<uint8_t>(bytes[5]) > static_cast<uint8_t>(BodyEncryption::kCustomer)) {
        return BodyDamaged(0, "it does not begin like one");
    }
    head.encryption = static_cast<BodyEncryption>(bytes[5]);
    head.id = GetNumber<uint64_t>(bytes.data() + 8);
    if (bytes.size() != HeadBytes(head.encryption) ||
        codec::Crc32c(bytes.substr(0, bytes.size() - kCheckSumBytes)) !=
            GetNumber<uint32_t>(bytes.data() + bytes.size() - kCheckSumBytes)) {
        return BodyDamaged(head.id, "its head was changed");
    }
    head.sealed_key = bytes.substr(16, bytes.size() - 16 - kCheckSumBytes);
    return head;
}

// What is authenticated with a frame and not stored.
struct FrameCodec::Facts {
    Facts(uint64_t id, uint64_t index, uint64_t size) {
        PutNumber(bytes.data(), id);
        PutNumber(bytes.data() + 8, index);
        PutNumber(bytes.data() + 16, size);
        PutNumber(nonce.data(), uint32_t{0});
        PutNumber(nonce.data() + 4, index);
    }

    std::string_view text() const { return {bytes.data(), bytes.size()}; }

    std::string_view nonce_text() const { return {nonce.data(), nonce.size()}; }

    std::array<char, 24> bytes;
    std::array<char, 12> nonce;
};

FrameCodec::FrameCodec(BodyEncryption encryption, uint64_t id, const BodyKey* key)
    : encryption_(encryption), id_(id) {
    if (encryption != BodyEncryption::kNone && key != nullptr) {
        gcm_.emplace(*key);
    }
}

void FrameCodec::SealWith(const Facts& facts, std::string_view plain, char* stored) {
    char* tail = stored + plain.size();
    if (encryption_ == BodyEncryption::kNone) {
        std::copy(plain.begin(), plain.end(), stored);
    } else {
        CHECK(gcm_.has_value());
        gcm_->Seal(facts.nonce_text(), facts.text(), plain, stored, tail);
        tail += codec::kGcmTagBytes;
    }
    const std::string_view summed(stored, static_cast<size_t>(tail - stored));
    PutNumber(tail, codec::Crc32c(summed, codec::Crc32c(facts.text())));
}

Status FrameCodec::CheckWith(
    const Facts& facts, std::string_view stored, std::string_view tail) const {
    CHECK(tail.size() == FrameTailBytes(encryption_));
    const std::string_view tag = tail.substr(0, tail.size() - kCheckSumBytes);
    const uint32_t sum = codec::Crc32c(tag, codec::Crc32c(stored, codec::Crc32c(facts.text())));
    if (sum != GetNumber<uint32_t>(tail.data() + tag.size())) {
        return BodyDamaged(id_, "a check sum does not match");
    }
    return Status();
}

Status FrameCodec::OpenWith(
    const Facts& facts, std::string_view stored, std::string_view tail, char* plain) {
    if (encryption_ == BodyEncryption::kNone) {
        HEARTH_RETURN_IF_ERROR(CheckWith(facts, stored, tail));
        if (plain != stored.data() && !stored.empty()) {
            std::copy(stored.begin(), stored.end(), plain);
        }
        return Status();
    }
    // The tag tells more than the check sum, which is for those who have no key.
    CHECK(gcm_.has_value() && tail.size() == FrameTailBytes(encryption_));
    const std::string_view tag = tail.substr(0, codec::kGcmTagBytes);
    if (!gcm_->Open(facts.nonce_text(), facts.text(), stored, tag, plain)) {
        return BodyDamaged(id_, "a frame is not what was written");
    }
    return Status();
}

void FrameCodec::Seal(uint64_t index, std::string_view plain, char* stored) {
    SealWith(Facts(id_, index, plain.size()), plain, stored);
}

void FrameCodec::SealEnd(uint64_t length, char* stored) {
    SealWith(Facts(id_, FrameCount(length) | kEndIndexBit, length), {}, stored);
}

Status FrameCodec::Open(
    uint64_t index, std::string_view stored, std::string_view tail, char* plain) {
    return OpenWith(Facts(id_, index, stored.size()), stored, tail, plain);
}

Status FrameCodec::OpenEnd(uint64_t length, std::string_view tail) {
    return OpenWith(Facts(id_, FrameCount(length) | kEndIndexBit, length), {}, tail, nullptr);
}

Status FrameCodec::Check(uint64_t index, std::string_view stored, std::string_view tail) const {
    return CheckWith(Facts(id_, index, stored.size()), stored, tail);
}

Status FrameCodec::CheckEnd(uint64_t length, std::string_view tail) const {
    return CheckWith(Facts(id_, FrameCount(length) | kEndIndexBit, length), {}, tail);
}

}  // namespace hearth::storage
