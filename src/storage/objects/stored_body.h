#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::storage {

// How the bytes of a body lie on the disk.
enum class BodyEncryption : uint8_t {
    // As they are, with a check sum per frame (`--encrypt-at-rest off`).
    kNone = 0,
    // AES-256-GCM under a key of the body's own, sealed by the data directory's master key.
    kManaged = 1,
    // The same, sealed by a key that the customer sends with each request and we do not keep.
    kCustomer = 2,
};

// Where the bytes lie.
enum class BodyTier : uint8_t {
    kStandard = 0,
    kInfrequent = 1,
    kArchive = 2,
    kDeep = 3,
};

// What an object's record keeps of a body: enough to find, read, move and remove it. An object has
// one, or one for each part it was uploaded in, read one behind the other.
//
// A body is never changed: an overwrite makes another one. Its id is never used again.
struct StoredBody {
    uint64_t id = 0;
    // Of the object's bytes; what lies on the disk is a little longer.
    uint64_t length = 0;
    BodyEncryption encryption = BodyEncryption::kNone;
    BodyTier tier = BodyTier::kStandard;
    // With kCustomer: a salt and the salted HMAC of the customer's key, to tell a wrong key.
    std::string customer_key_check;
    // What the disk has is compressed and so long; archives are.
    std::optional<uint64_t> packed_length;

    // A small body has no file: these are its bytes, sealed in the same way. They are no part of
    // Encode; the owner keeps them as a value of their own and puts them back before Open.
    std::string inline_bytes;

    bool is_inline() const { return (id >> 63) != 0; }

    // Of what is in frames.
    uint64_t framed_length() const { return packed_length.value_or(length); }

    // At most kEncodedBytesMax, 11 to 31 without a customer's key.
    std::string Encode() const;
    // The one body that `bytes` are. Error Malformed.
    static Result<StoredBody> Decode(std::string_view bytes);

    friend bool operator==(const StoredBody&, const StoredBody&) = default;
};

inline constexpr size_t kStoredBodyEncodedBytesMax = 80;

// The first of a list, which is taken from the front of `bytes`.
Result<StoredBody> TakeBody(std::string_view& bytes);
// Lists, such as the parts of an object: each body behind its length.
std::string EncodeBodies(const std::vector<StoredBody>& bodies);
Result<std::vector<StoredBody>> DecodeBodies(std::string_view bytes);

}  // namespace hearth::storage
