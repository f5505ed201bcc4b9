#pragma once

#include "codec/crypto/digest_stream.h"
#include "storage/objects/object_bodies.h"

#include <optional>
#include <string_view>

namespace hearth::storage {

// The hashes that were asked for, over bytes that come in pieces. One thread at a time.
class BodyHasher final {
  public:
    explicit BodyHasher(const BodyHashes& hashes);

    void Update(std::string_view bytes);
    // Once.
    BodyDigests Finish();

  private:
    std::optional<codec::DigestStream> md5_;
    std::optional<codec::DigestStream> sha1_;
    std::optional<codec::DigestStream> sha256_;
    std::optional<uint32_t> crc32_;
    std::optional<uint32_t> crc32c_;
    std::optional<uint64_t> crc64nvme_;
};

}  // namespace hearth::storage
