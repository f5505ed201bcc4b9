#include "aws/front/s3_document_checks.h"

#include "codec/base64/base64.h"
#include "codec/checksum/checksum.h"
#include "codec/crypto/digest_stream.h"

#include <fmt/format.h>

#include <array>
#include <optional>

namespace hearth::aws {
namespace {

constexpr std::string_view kChecksumPrefix = "x-amz-checksum-";
constexpr size_t kMd5Bytes = 16;

Error Invalid(std::string_view code, std::string message) {
    return Error(Error::Kind::kInvalid, std::string(code), std::move(message), 400);
}

std::string Digest(codec::DigestKind kind, std::string_view document) {
    codec::DigestStream digest(kind);
    digest.Update(document);
    return codec::Base64Encode(digest.Finish());
}

struct Algorithm {
    std::string_view name;    // of the header, behind the prefix
    std::string_view spoken;  // in messages
    std::string (*value)(std::string_view document);
};

constexpr std::array<Algorithm, 5> kAlgorithms = {{
    {"crc32",
     "CRC32",
     [](std::string_view document) { return codec::ChecksumBase64(codec::Crc32Fast(document)); }},
    {"crc32c",
     "CRC32C",
     [](std::string_view document) { return codec::ChecksumBase64(codec::Crc32c(document)); }},
    {"crc64nvme",
     "CRC64NVME",
     [](std::string_view document) { return codec::ChecksumBase64(codec::Crc64Nvme(document)); }},
    {"sha1",
     "SHA1",
     [](std::string_view document) { return Digest(codec::DigestKind::kSha1, document); }},
    {"sha256",
     "SHA256",
     [](std::string_view document) { return Digest(codec::DigestKind::kSha256, document); }},
}};

// Whether a header or trailer brought a check sum that counts. Errors: it is another one.
Result<bool> Check(std::string_view header, std::string_view value, std::string_view document) {
    if (!header.starts_with(kChecksumPrefix)) {
        return false;
    }
    for (const Algorithm& algorithm : kAlgorithms) {
        if (header.substr(kChecksumPrefix.size()) != algorithm.name) {
            continue;
        }
        const std::string actual = algorithm.value(document);
        if (value.size() != actual.size() || !codec::Base64Decode(value).ok()) {
            return Invalid(
                "InvalidRequest", fmt::format("Value for {} header is invalid.", header));
        }
        if (value != actual) {
            return Invalid(
                "BadDigest",
                fmt::format(
                    "The {} you specified did not match the calculated checksum.",
                    algorithm.spoken));
        }
        return true;
    }
    return false;
}

}  // namespace

Status CheckS3Document(
    const std::vector<std::pair<std::string, std::string>>& headers,
    const std::vector<std::pair<std::string, std::string>>& trailers,
    std::string_view document,
    bool required) {
    bool checked = false;
    for (const auto* list : {&headers, &trailers}) {
        for (const auto& [name, value] : *list) {
            if (name == "content-md5") {
                const auto expected = codec::Base64Decode(value);
                if (!expected.ok() || expected->size() != kMd5Bytes) {
                    return Invalid("InvalidDigest", "The Content-MD5 you specified was invalid.")
                        .WithField("Content-MD5", value);
                }
                const std::string actual = Digest(codec::DigestKind::kMd5, document);
                if (value != actual) {
                    return Invalid(
                               "BadDigest",
                               "The Content-MD5 you specified did not match what we received.")
                        .WithField("ExpectedDigest", value)
                        .WithField("CalculatedDigest", actual);
                }
                checked = true;
                continue;
            }
            HEARTH_TRY(const bool counts, Check(name, value, document));
            checked = checked || counts;
        }
    }
    if (required && !checked) {
        return Invalid("InvalidRequest", "Missing required header for this request: Content-MD5");
    }
    return Status();
}

}  // namespace hearth::aws
