#include "services/s3/multipart_plan.h"

#include "codec/base64/base64.h"
#include "codec/checksum/checksum.h"
#include "codec/crypto/crypto.h"
#include "codec/crypto/digest_stream.h"
#include "services/s3/errors.h"
#include "services/s3/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace hearth::s3 {
namespace {

constexpr std::string_view kCrc32 = "CRC32";
constexpr std::string_view kCrc32c = "CRC32C";
constexpr std::string_view kCrc64Nvme = "CRC64NVME";
constexpr std::string_view kSha1 = "SHA1";
constexpr std::string_view kSha256 = "SHA256";

std::string Lower(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) {
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return lower;
}

size_t BytesOf(std::string_view algorithm) {
    if (algorithm == kCrc32 || algorithm == kCrc32c) {
        return 4;
    }
    if (algorithm == kCrc64Nvme) {
        return 8;
    }
    if (algorithm == kSha1) {
        return 20;
    }
    return algorithm == kSha256 ? 32 : 0;
}

uint64_t Number(std::string_view big_endian) {
    uint64_t number = 0;
    for (const char c : big_endian) {
        number = number << 8 | static_cast<uint8_t>(c);
    }
    return number;
}

std::string UnHex(std::string_view hex) {
    const auto digit = [](char c) { return c >= 'a' ? c - 'a' + 10 : c - '0'; };
    std::string bytes;
    for (size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
    }
    return bytes;
}

Error InvalidPart(const UploadRecord& upload, const ListedPart& listed) {
    return Error(
               Error::Kind::kInvalid,
               "InvalidPart",
               "One or more of the specified parts could not be found.  The part may not have been "
               "uploaded, or the specified entity tag may not match the part's entity tag.",
               400)
        .WithField("UploadId", upload.id)
        .WithField("PartNumber", std::to_string(listed.number))
        .WithField("ETag", listed.etag);
}

Error EntityTooSmall(const PartRecord& part) {
    return Error(
               Error::Kind::kInvalid,
               "EntityTooSmall",
               "Your proposed upload is smaller than the minimum allowed size",
               400)
        .WithField("ProposedSize", std::to_string(part.size))
        .WithField("MinSizeAllowed", std::to_string(kPartBytesMin))
        .WithField("PartNumber", std::to_string(part.number))
        .WithField("ETag", part.etag);
}

// Over the bytes of the parts' check sums, "-<parts>" behind it.
std::string Composite(std::string_view algorithm, const std::vector<std::string>& values) {
    std::string bytes;
    for (const std::string& value : values) {
        if (const auto decoded = codec::Base64Decode(value); decoded.ok()) {
            bytes += *decoded;
        }
    }
    std::string sum;
    if (algorithm == kCrc32) {
        sum = codec::ChecksumBase64(codec::Crc32Fast(bytes));
    } else if (algorithm == kCrc32c) {
        sum = codec::ChecksumBase64(codec::Crc32c(bytes));
    } else if (algorithm == kSha1) {
        codec::DigestStream digest(codec::DigestKind::kSha1);
        digest.Update(bytes);
        sum = codec::Base64Encode(digest.Finish());
    } else {
        sum = codec::Sha256Base64(bytes);
    }
    return fmt::format("{}-{}", sum, values.size());
}

// The check sum of the whole, from those of its pieces.
std::string FullObject(
    std::string_view algorithm,
    const std::vector<std::string>& values,
    const std::vector<uint64_t>& sizes) {
    uint64_t whole = 0;
    for (size_t i = 0; i < values.size(); ++i) {
        const auto decoded = codec::Base64Decode(values[i]);
        const uint64_t part = decoded.ok() ? Number(*decoded) : 0;
        if (algorithm == kCrc64Nvme) {
            whole = codec::CombineCrc64Nvme(whole, part, sizes[i]);
        } else if (algorithm == kCrc32) {
            whole = codec::CombineCrc32(
                static_cast<uint32_t>(whole), static_cast<uint32_t>(part), sizes[i]);
        } else {
            whole = codec::CombineCrc32c(
                static_cast<uint32_t>(whole), static_cast<uint32_t>(part), sizes[i]);
        }
    }
    return algorithm == kCrc64Nvme ? codec::ChecksumBase64(whole)
                                   : codec::ChecksumBase64(static_cast<uint32_t>(whole));
}

Status CheckListed(const UploadRecord& upload, const ListedPart& listed, const PartRecord& part) {
    if (part.etag != listed.etag) {
        return InvalidPart(upload, listed);
    }
    for (const auto& [algorithm, value] : listed.checksums) {
        const auto known = part.checksums.find(algorithm);
        if (known == part.checksums.end() || known->second != value) {
            return InvalidPart(upload, listed);
        }
    }
    const ObjectRecord& object = upload.object;
    if (upload.checksum_asked && object.checksum_type == checksum_type::kComposite &&
        !listed.checksums.contains(object.checksum_algorithm)) {
        return errors::InvalidRequest(fmt::format(
            "The upload was created using a {} checksum. The complete request must include the "
            "checksum for each part. It was missing for part {} in the request.",
            Lower(object.checksum_algorithm),
            listed.number));
    }
    return Status();
}

// The object's own check sum against what the client says it is.
Status CheckWhole(
    const UploadRecord& upload, const CompletionRequest& request, const CompletionPlan& plan) {
    if (request.checksum_type && upload.checksum_asked &&
        *request.checksum_type != upload.object.checksum_type) {
        return errors::InvalidRequest(fmt::format(
            "The upload was created using the {} checksum mode. The complete request must use the "
            "same checksum mode.",
            upload.object.checksum_type));
    }
    for (const auto& [algorithm, value] : request.checksums) {
        if (algorithm != plan.checksum_algorithm) {
            if (upload.checksum_asked) {
                return errors::ChecksumTypeMismatch(plan.checksum_algorithm, algorithm);
            }
            // AWS passes over the value where the upload did not ask for the algorithm.
            continue;
        }
        const std::string_view sent = value;
        const std::string_view without_count = sent.substr(0, sent.find('-'));
        const bool equal =
            sent == plan.checksum ||
            (plan.checksum_type == checksum_type::kComposite && sent == without_count &&
             std::string_view(plan.checksum).substr(0, plan.checksum.find('-')) == sent);
        if (!equal) {
            return errors::BadDigest(fmt::format(
                "The {} you specified did not match the calculated checksum.", algorithm));
        }
    }
    if (request.object_size) {
        if (*request.object_size < 0) {
            return errors::InvalidRequest(fmt::format(
                "Value for x-amz-mp-object-size header is less than zero: '{}'",
                *request.object_size));
        }
        if (static_cast<uint64_t>(*request.object_size) != plan.size) {
            return errors::InvalidRequest(fmt::format(
                "The provided 'x-amz-mp-object-size' header value {} does not match what was "
                "computed: {}",
                *request.object_size,
                plan.size));
        }
    }
    return Status();
}

}  // namespace

std::string CompletionRequest::PartsDigest() const {
    codec::Sha256Stream digest;
    for (const ListedPart& part : parts) {
        digest.Update(fmt::format("{}:{};", part.number, part.etag));
    }
    return codec::Hex(digest.Finish());
}

Result<CompletionPlan> PlanCompletion(
    const UploadRecord& upload,
    const std::vector<PartRecord>& parts,
    const CompletionRequest& request) {
    if (request.parts.empty() || request.parts.size() > kPartsMax) {
        return errors::MalformedXml();
    }
    for (size_t i = 1; i < request.parts.size(); ++i) {
        if (request.parts[i - 1].number >= request.parts[i].number) {
            return Error(
                       Error::Kind::kInvalid,
                       "InvalidPartOrder",
                       "The list of parts was not in ascending order. Parts must be ordered by "
                       "part number.",
                       400)
                .WithField("UploadId", upload.id);
        }
    }
    CompletionPlan plan;
    plan.checksum_algorithm = upload.object.checksum_algorithm;
    plan.checksum_type = upload.object.checksum_type;
    std::string md5s;
    std::vector<std::string> checksums;
    std::vector<uint64_t> sizes;
    bool all_have_checksums = !plan.checksum_algorithm.empty();
    // Told when all parts are known to be right.
    const PartRecord* too_small = nullptr;
    size_t at = 0;
    for (size_t i = 0; i < request.parts.size(); ++i) {
        const ListedPart& listed = request.parts[i];
        for (; at < parts.size() && parts[at].number < listed.number; ++at) {
            plan.unlisted.push_back(at);
        }
        if (at == parts.size() || parts[at].number != listed.number) {
            return InvalidPart(upload, listed);
        }
        const PartRecord& part = parts[at++];
        HEARTH_RETURN_IF_ERROR(CheckListed(upload, listed, part));
        if (part.size < kPartBytesMin && i + 1 < request.parts.size() && too_small == nullptr) {
            too_small = &part;
        }
        plan.size += part.size;
        md5s += UnHex(part.etag);
        const auto checksum = part.checksums.find(plan.checksum_algorithm);
        if (checksum == part.checksums.end()) {
            all_have_checksums = false;
        } else {
            checksums.push_back(checksum->second);
            sizes.push_back(part.size);
        }
    }
    for (; at < parts.size(); ++at) {
        plan.unlisted.push_back(at);
    }
    if (too_small != nullptr) {
        return EntityTooSmall(*too_small);
    }
    if (plan.size > kObjectBytesMax) {
        return errors::EntityTooLarge(plan.size);
    }
    plan.etag = fmt::format("{}-{}", codec::Md5Hex(md5s), request.parts.size());
    if (all_have_checksums) {
        plan.checksum = plan.checksum_type == checksum_type::kComposite
                            ? Composite(plan.checksum_algorithm, checksums)
                            : FullObject(plan.checksum_algorithm, checksums, sizes);
    } else {
        plan.checksum_algorithm.clear();
        plan.checksum_type.clear();
    }
    HEARTH_RETURN_IF_ERROR(CheckWhole(upload, request, plan));
    return plan;
}

Encryption EncryptionOf(const storage::StoredBody& body) {
    switch (body.encryption) {
        case storage::BodyEncryption::kNone:
            return Encryption::kNone;
        case storage::BodyEncryption::kManaged:
            return Encryption::kS3;
        case storage::BodyEncryption::kCustomer:
            return Encryption::kCustomer;
    }
    return Encryption::kNone;
}

std::string_view DefaultChecksumType(std::string_view algorithm) {
    return algorithm == kCrc64Nvme ? checksum_type::kFullObject : checksum_type::kComposite;
}

Status CheckChecksumType(std::string_view algorithm, std::string_view type) {
    if (BytesOf(algorithm) == 0) {
        return errors::InvalidRequest(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid "
            "types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]");
    }
    const bool full = type == checksum_type::kFullObject;
    const bool fits = full ? algorithm.starts_with("CRC")
                           : type == checksum_type::kComposite && algorithm != kCrc64Nvme;
    if (!fits) {
        return errors::InvalidRequest(fmt::format(
            "The {} checksum type cannot be used with the {} checksum algorithm.",
            type,
            Lower(algorithm)));
    }
    return Status();
}

bool IsChecksumOf(std::string_view algorithm, std::string_view value) {
    const auto bytes = codec::Base64Decode(value);
    return bytes.ok() && BytesOf(algorithm) != 0 && bytes->size() == BytesOf(algorithm);
}

namespace errors {

Error NoSuchUpload(std::string_view upload_id) {
    return Error(
               Error::Kind::kNotFound,
               "NoSuchUpload",
               "The specified upload does not exist. The upload ID may be invalid, or the upload "
               "may have been aborted or completed.",
               404)
        .WithField("UploadId", std::string(upload_id));
}

Error InvalidPartNumberArgument(int32_t number) {
    return InvalidArgument(
        "Part number must be an integer between 1 and 10000, inclusive",
        "partNumber",
        std::to_string(number));
}

Error ChecksumTypeMismatch(std::string_view expected, std::string_view actual) {
    return InvalidRequest(fmt::format(
        "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
        Lower(expected),
        Lower(actual)));
}

}  // namespace errors
}  // namespace hearth::s3
