#include "storage/objects/body_hasher.h"

#include "codec/checksum/checksum.h"

#include <algorithm>
#include <cstring>

namespace hearth::storage {
namespace {

// So much stays in the processor's cache from one hash to the next.
constexpr size_t kPieceBytes = size_t{16} << 10;

template <size_t kBytes>
void Take(
    std::optional<codec::DigestStream>& stream, std::optional<std::array<uint8_t, kBytes>>& to) {
    if (stream) {
        const std::string digest = stream->Finish();
        to.emplace();
        std::memcpy(to->data(), digest.data(), kBytes);
    }
}

}  // namespace

BodyHasher::BodyHasher(const BodyHashes& hashes) {
    if (hashes.md5) {
        md5_.emplace(codec::DigestKind::kMd5);
    }
    if (hashes.sha1) {
        sha1_.emplace(codec::DigestKind::kSha1);
    }
    if (hashes.sha256) {
        sha256_.emplace(codec::DigestKind::kSha256);
    }
    if (hashes.crc32) {
        crc32_ = 0;
    }
    if (hashes.crc32c) {
        crc32c_ = 0;
    }
    if (hashes.crc64nvme) {
        crc64nvme_ = 0;
    }
}

void BodyHasher::Update(std::string_view bytes) {
    while (!bytes.empty()) {
        const std::string_view piece = bytes.substr(0, std::min(bytes.size(), kPieceBytes));
        bytes.remove_prefix(piece.size());
        if (md5_) {
            md5_->Update(piece);
        }
        if (sha1_) {
            sha1_->Update(piece);
        }
        if (sha256_) {
            sha256_->Update(piece);
        }
        if (crc32_) {
            crc32_ = codec::Crc32Fast(piece, *crc32_);
        }
        if (crc32c_) {
            crc32c_ = codec::Crc32c(piece, *crc32c_);
        }
        if (crc64nvme_) {
            crc64nvme_ = codec::Crc64Nvme(piece, *crc64nvme_);
        }
    }
}

BodyDigests BodyHasher::Finish() {
    BodyDigests digests;
    Take(md5_, digests.md5);
    Take(sha1_, digests.sha1);
    Take(sha256_, digests.sha256);
    digests.crc32 = crc32_;
    digests.crc32c = crc32c_;
    digests.crc64nvme = crc64nvme_;
    return digests;
}

}  // namespace hearth::storage
