#include "aws/protocol/rest_xml_integrity.h"

#include "aws/protocol/rest_xml_errors.h"
#include "codec/base64/base64.h"
#include "codec/checksum/checksum.h"
#include "codec/crypto/digest_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace hearth::aws::protocol {
namespace {

using model::Location;
using model::Operation;

std::string Digest(codec::DigestKind kind, std::string_view bytes) {
    codec::DigestStream stream(kind);
    stream.Update(bytes);
    return codec::Base64Encode(stream.Finish());
}

struct Algorithm {
    std::string_view header;
    std::string_view name;
    size_t bytes;
    std::string (*compute)(std::string_view body);
};

constexpr std::array<Algorithm, 5> kAlgorithms = {{
    {"x-amz-checksum-crc32",
     "CRC32",
     4,
     [](std::string_view body) { return codec::ChecksumBase64(codec::Crc32Fast(body)); }},
    {"x-amz-checksum-crc32c",
     "CRC32C",
     4,
     [](std::string_view body) { return codec::ChecksumBase64(codec::Crc32c(body)); }},
    {"x-amz-checksum-crc64nvme",
     "CRC64NVME",
     8,
     [](std::string_view body) { return codec::ChecksumBase64(codec::Crc64Nvme(body)); }},
    {"x-amz-checksum-sha1",
     "SHA1",
     20,
     [](std::string_view body) { return Digest(codec::DigestKind::kSha1, body); }},
    {"x-amz-checksum-sha256",
     "SHA256",
     32,
     [](std::string_view body) { return Digest(codec::DigestKind::kSha256, body); }},
}};

constexpr size_t kMd5Bytes = 16;

// The model marks more operations; S3 itself insists for these, where a damaged body would delete
// or lock what nobody meant.
constexpr std::array<std::string_view, 6> kInsisting = {
    "DeleteObjects",
    "PutBucketCors",
    "PutBucketLifecycleConfiguration",
    "PutObjectLegalHold",
    "PutObjectLockConfiguration",
    "PutObjectRetention"};

bool IsMember(const Operation& operation, std::string_view header) {
    return std::ranges::any_of(operation.input->members, [&](const model::Member& member) {
        return member.location == Location::kHeader && member.wire_name == header;
    });
}

Status CheckMd5(std::string_view expected, std::string_view body) {
    const auto decoded = codec::Base64Decode(expected);
    if (!decoded.ok() || decoded->size() != kMd5Bytes) {
        return Error(
                   Error::Kind::kInvalid,
                   "InvalidDigest",
                   "The Content-MD5 you specified was invalid.",
                   400)
            .WithField("Content-MD5", std::string(expected));
    }
    std::string calculated = Digest(codec::DigestKind::kMd5, body);
    if (calculated != expected) {
        return Error(
                   Error::Kind::kInvalid,
                   "BadDigest",
                   "The Content-MD5 you specified did not match what we received.",
                   400)
            .WithField("ExpectedDigest", std::string(expected))
            .WithField("CalculatedDigest", std::move(calculated));
    }
    return {};
}

Status CheckSum(const Algorithm& algorithm, std::string_view expected, std::string_view body) {
    const auto decoded = codec::Base64Decode(expected);
    if (!decoded.ok() || decoded->size() != algorithm.bytes) {
        return errors::InvalidRequest(
            fmt::format("Value for {} header is invalid.", algorithm.header));
    }
    if (algorithm.compute(body) != expected) {
        return Error(
            Error::Kind::kInvalid,
            "BadDigest",
            fmt::format(
                "The {} you specified did not match the calculated checksum.", algorithm.name),
            400);
    }
    return {};
}

// Whether a header or trailer promises something of the body. Errors: the promise is not kept.
Result<bool> Check(std::string_view name, std::string_view value, std::string_view body) {
    if (name == "content-md5") {
        HEARTH_RETURN_IF_ERROR(CheckMd5(value, body));
        return true;
    }
    const auto* const algorithm = std::ranges::find(kAlgorithms, name, &Algorithm::header);
    if (algorithm == kAlgorithms.end()) {
        return name.starts_with("x-amz-checksum-");
    }
    HEARTH_RETURN_IF_ERROR(CheckSum(*algorithm, value, body));
    return true;
}

}  // namespace

Status CheckBodyIntegrity(const Operation& operation, const RequestParts& request) {
    bool checked = false;
    for (const auto& [name, value] : request.headers) {
        // Trailers are compared by who read the body, when they are there.
        if (name == "x-amz-trailer") {
            checked = true;
        } else if (name == "content-md5" || !IsMember(operation, name)) {
            HEARTH_TRY(const bool counts, Check(name, value, request.body));
            checked = checked || counts;
        }
    }
    if (!checked && operation.checksum_required &&
        std::ranges::find(kInsisting, operation.name) != kInsisting.end()) {
        return errors::InvalidRequest(
            "Missing required header for this request: Content-MD5 OR x-amz-checksum-*");
    }
    return {};
}

Status CheckTrailers(const Headers& trailers, std::string_view body) {
    for (const auto& [name, value] : trailers) {
        HEARTH_RETURN_IF_ERROR(Check(name, value, body));
    }
    return {};
}

}  // namespace hearth::aws::protocol
