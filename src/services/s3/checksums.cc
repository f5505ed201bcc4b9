#include "services/s3/checksums.h"

#include "codec/base64/base64.h"
#include "codec/checksum/checksum.h"
#include "codec/crypto/crypto.h"
#include "services/s3/errors.h"

#include <fmt/format.h>

#include <algorithm>

namespace hearth::s3 {
namespace {

constexpr std::string_view kHeaderPrefix = "x-amz-checksum-";

std::string Lower(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return lower;
}

size_t Bytes(ChecksumAlgorithm algorithm) {
    switch (algorithm) {
        case ChecksumAlgorithm::kCrc32:
        case ChecksumAlgorithm::kCrc32c:
            return 4;
        case ChecksumAlgorithm::kCrc64Nvme:
            return 8;
        case ChecksumAlgorithm::kSha1:
            return 20;
        case ChecksumAlgorithm::kSha256:
            return 32;
    }
    return 0;
}

// Algorithms that S3 has and Hearth has not.
bool IsForeign(std::string_view name) {
    const std::string lower = Lower(name);
    return lower == "sha512" || lower == "md5" || lower == "xxhash64" || lower == "xxhash3" ||
           lower == "xxhash128";
}

Error NoSuchAlgorithm(std::string_view name) {
    return errors::NotImplemented(
        fmt::format("Hearth does not have the checksum algorithm {}.", name));
}

Error InvalidValue(ChecksumAlgorithm algorithm) {
    return errors::InvalidRequest(
        fmt::format("Value for {} header is invalid.", ChecksumHeader(algorithm)));
}

Status CheckForm(ChecksumAlgorithm algorithm, std::string_view value) {
    const auto decoded = codec::Base64Decode(value);
    if (!decoded.ok() || decoded->size() != Bytes(algorithm)) {
        return InvalidValue(algorithm);
    }
    return Status();
}

// The algorithm named by "x-amz-checksum-crc32"; empty for other headers.
Result<std::optional<ChecksumAlgorithm>> AlgorithmOfHeader(std::string_view header) {
    std::optional<ChecksumAlgorithm> none;
    if (!header.starts_with(kHeaderPrefix)) {
        return none;
    }
    const std::string_view name = header.substr(kHeaderPrefix.size());
    if (name == "algorithm" || name == "type" || name == "mode") {
        return none;
    }
    if (const auto algorithm = ParseChecksumName(name)) {
        return algorithm;
    }
    if (IsForeign(name)) {
        return NoSuchAlgorithm(name);
    }
    return none;
}

}  // namespace

std::string_view ChecksumName(ChecksumAlgorithm algorithm) {
    switch (algorithm) {
        case ChecksumAlgorithm::kCrc32:
            return "CRC32";
        case ChecksumAlgorithm::kCrc32c:
            return "CRC32C";
        case ChecksumAlgorithm::kCrc64Nvme:
            return "CRC64NVME";
        case ChecksumAlgorithm::kSha1:
            return "SHA1";
        case ChecksumAlgorithm::kSha256:
            return "SHA256";
    }
    return "";
}

std::string_view ChecksumHeader(ChecksumAlgorithm algorithm) {
    switch (algorithm) {
        case ChecksumAlgorithm::kCrc32:
            return "x-amz-checksum-crc32";
        case ChecksumAlgorithm::kCrc32c:
            return "x-amz-checksum-crc32c";
        case ChecksumAlgorithm::kCrc64Nvme:
            return "x-amz-checksum-crc64nvme";
        case ChecksumAlgorithm::kSha1:
            return "x-amz-checksum-sha1";
        case ChecksumAlgorithm::kSha256:
            return "x-amz-checksum-sha256";
    }
    return "";
}

std::optional<ChecksumAlgorithm> ParseChecksumName(std::string_view name) {
    const std::string lower = Lower(name);
    for (const ChecksumAlgorithm algorithm : kChecksumAlgorithms) {
        if (lower == Lower(ChecksumName(algorithm))) {
            return algorithm;
        }
    }
    return std::nullopt;
}

void AskFor(storage::BodyHashes& hashes, ChecksumAlgorithm algorithm) {
    switch (algorithm) {
        case ChecksumAlgorithm::kCrc32:
            hashes.crc32 = true;
            break;
        case ChecksumAlgorithm::kCrc32c:
            hashes.crc32c = true;
            break;
        case ChecksumAlgorithm::kCrc64Nvme:
            hashes.crc64nvme = true;
            break;
        case ChecksumAlgorithm::kSha1:
            hashes.sha1 = true;
            break;
        case ChecksumAlgorithm::kSha256:
            hashes.sha256 = true;
            break;
    }
}

storage::BodyHashes UploadChecks::Hashes() const {
    storage::BodyHashes hashes;
    hashes.md5 = true;
    AskFor(hashes, algorithm);
    if (also) {
        AskFor(hashes, *also);
    }
    return hashes;
}

Result<UploadChecks> ReadUploadChecks(const aws::RequestContext& context) {
    UploadChecks checks;
    if (const std::string* md5 = context.Header("content-md5")) {
        auto decoded = codec::Base64Decode(*md5);
        if (!decoded.ok() || decoded->size() != 16) {
            return errors::InvalidDigest(*md5);
        }
        checks.content_md5 = *std::move(decoded);
    }
    const auto choose = [&checks](ChecksumAlgorithm algorithm) -> Status {
        if (checks.chosen) {
            return errors::InvalidRequest(
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not "
                "allowed.");
        }
        checks.chosen = true;
        checks.algorithm = algorithm;
        return Status();
    };
    for (const auto& [name, value] : context.headers) {
        HEARTH_TRY(const auto algorithm, AlgorithmOfHeader(name));
        if (algorithm) {
            HEARTH_RETURN_IF_ERROR(choose(*algorithm));
            HEARTH_RETURN_IF_ERROR(CheckForm(*algorithm, value));
            checks.expected = value;
        }
    }
    if (const std::string* trailer = context.Header("x-amz-trailer")) {
        HEARTH_TRY(const auto algorithm, AlgorithmOfHeader(Lower(*trailer)));
        if (algorithm) {
            HEARTH_RETURN_IF_ERROR(choose(*algorithm));
            checks.in_trailer = true;
        }
    }
    if (const std::string* asked = context.Header("x-amz-sdk-checksum-algorithm")) {
        const auto algorithm = ParseChecksumName(*asked);
        if (!algorithm) {
            if (IsForeign(*asked)) {
                return NoSuchAlgorithm(*asked);
            }
            return errors::InvalidRequest(
                "Value for x-amz-sdk-checksum-algorithm header is invalid.");
        }
        if (checks.chosen && checks.algorithm != *algorithm) {
            return errors::InvalidRequest(
                "Value for x-amz-sdk-checksum-algorithm header is invalid.");
        }
        if (!checks.chosen) {
            return errors::InvalidRequest(
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
                "x-amz-trailer headers were found.");
        }
    }
    return checks;
}

std::string ChecksumValue(ChecksumAlgorithm algorithm, const storage::BodyDigests& digests) {
    switch (algorithm) {
        case ChecksumAlgorithm::kCrc32:
            return digests.crc32 ? codec::ChecksumBase64(*digests.crc32) : "";
        case ChecksumAlgorithm::kCrc32c:
            return digests.crc32c ? codec::ChecksumBase64(*digests.crc32c) : "";
        case ChecksumAlgorithm::kCrc64Nvme:
            return digests.crc64nvme ? codec::ChecksumBase64(*digests.crc64nvme) : "";
        case ChecksumAlgorithm::kSha1:
            return digests.sha1 ? codec::Base64(*digests.sha1) : "";
        case ChecksumAlgorithm::kSha256:
            return digests.sha256 ? codec::Base64(*digests.sha256) : "";
    }
    return "";
}

Result<std::string> CheckUpload(
    const UploadChecks& checks, const storage::BodyDigests& digests, const Trailers& trailers) {
    if (checks.content_md5 && digests.md5) {
        const std::string_view actual = codec::AsText(*digests.md5);
        if (actual != *checks.content_md5) {
            return errors::BadDigestMd5(
                codec::Base64Encode(*checks.content_md5), codec::Base64Encode(actual));
        }
    }
    std::optional<std::string> expected = checks.expected;
    if (checks.in_trailer) {
        const std::string_view header = ChecksumHeader(checks.algorithm);
        for (const auto& [name, value] : trailers) {
            if (name == header) {
                HEARTH_RETURN_IF_ERROR(CheckForm(checks.algorithm, value));
                expected = value;
            }
        }
        if (!expected) {
            return Error(
                Error::Kind::kInvalid,
                "MalformedTrailerError",
                "The request contained trailing data that was not well-formed or did not conform "
                "to our published schema.",
                400);
        }
    }
    std::string actual = ChecksumValue(checks.algorithm, digests);
    if (expected && *expected != actual) {
        return errors::BadDigest(fmt::format(
            "The {} you specified did not match the calculated checksum.",
            ChecksumName(checks.algorithm)));
    }
    return actual;
}

}  // namespace hearth::s3
