#pragma once

#include "aws/front/context.h"
#include "base/result.h"
#include "storage/objects/object_bodies.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Content-MD5 and x-amz-checksum-*: what a client promises about a body, and what is answered. The
// hashes come from the body's one pass (storage/objects). Pure.
// Source: S3 User Guide, "Checking object integrity".
namespace hearth::s3 {

enum class ChecksumAlgorithm : uint8_t { kCrc32, kCrc32c, kCrc64Nvme, kSha1, kSha256 };

inline constexpr std::array kChecksumAlgorithms = {
    ChecksumAlgorithm::kCrc32,
    ChecksumAlgorithm::kCrc32c,
    ChecksumAlgorithm::kCrc64Nvme,
    ChecksumAlgorithm::kSha1,
    ChecksumAlgorithm::kSha256};

// "CRC64NVME": in models, records and messages.
std::string_view ChecksumName(ChecksumAlgorithm algorithm);
// "x-amz-checksum-crc64nvme"
std::string_view ChecksumHeader(ChecksumAlgorithm algorithm);
// Of any letter case; empty for what Hearth does not have.
std::optional<ChecksumAlgorithm> ParseChecksumName(std::string_view name);

// What the body of an upload was promised to be.
struct UploadChecks {
    std::optional<std::string> content_md5;  // 16 bytes
    // The algorithm of the object's check sum: the client's choice, or CRC64NVME.
    ChecksumAlgorithm algorithm = ChecksumAlgorithm::kCrc64Nvme;
    // The client chose it: it stands in a header, will stand in a trailer, or was asked for.
    bool chosen = false;
    // In base64, from the header; a trailer's comes after the body.
    std::optional<std::string> expected;
    bool in_trailer = false;
    // Another one to compute, promised by nobody: what a multipart object's own is made of.
    std::optional<ChecksumAlgorithm> also;

    storage::BodyHashes Hashes() const;
};

// From the request's headers. Errors: InvalidDigest, InvalidRequest; NotImplemented for algorithms
// that Hearth does not have.
Result<UploadChecks> ReadUploadChecks(const aws::RequestContext& context);

using Trailers = std::vector<std::pair<std::string, std::string>>;

// After the body. The value of the check sum, in base64. Errors: BadDigest, InvalidRequest.
Result<std::string> CheckUpload(
    const UploadChecks& checks, const storage::BodyDigests& digests, const Trailers& trailers);

// The value of a digest that was asked for, in base64.
std::string ChecksumValue(ChecksumAlgorithm algorithm, const storage::BodyDigests& digests);

// Sets a hash by its algorithm.
void AskFor(storage::BodyHashes& hashes, ChecksumAlgorithm algorithm);

// Fills checksum_crc32 ... and checksum_type of an output.
template <class Output>
void ShowChecksum(
    Output& output, std::string_view algorithm, std::string_view type, const std::string& value) {
    const std::optional<ChecksumAlgorithm> parsed = ParseChecksumName(algorithm);
    if (!parsed || value.empty()) {
        return;
    }
    switch (*parsed) {
        case ChecksumAlgorithm::kCrc32:
            output.checksum_crc32 = value;
            break;
        case ChecksumAlgorithm::kCrc32c:
            output.checksum_crc32_c = value;
            break;
        case ChecksumAlgorithm::kCrc64Nvme:
            output.checksum_crc64_nvme = value;
            break;
        case ChecksumAlgorithm::kSha1:
            output.checksum_sha1 = value;
            break;
        case ChecksumAlgorithm::kSha256:
            output.checksum_sha256 = value;
            break;
    }
    if constexpr (requires { output.checksum_type; }) {
        output.checksum_type = std::string(type);
    }
}

}  // namespace hearth::s3
