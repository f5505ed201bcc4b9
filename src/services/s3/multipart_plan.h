#pragma once

#include "base/result.h"
#include "services/s3/records.h"
#include "services/s3/upload_store.h"
#include "storage/objects/stored_body.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What CompleteMultipartUpload decides, apart from storage: which parts become the object, and what
// its ETag and check sum are.
// Source: S3 API Reference, CompleteMultipartUpload; S3 User Guide, "Checking object integrity".
namespace hearth::s3 {

inline constexpr uint64_t kPartBytesMin = 5 * 1024 * 1024;

namespace checksum_type {
inline constexpr std::string_view kFullObject = "FULL_OBJECT";
inline constexpr std::string_view kComposite = "COMPOSITE";
}  // namespace checksum_type

// One part as the client lists it.
struct ListedPart {
    int32_t number = 0;
    std::string etag;  // without quotes
    // By algorithm, as sent.
    std::map<std::string, std::string> checksums;
};

struct CompletionRequest {
    std::vector<ListedPart> parts;
    // Of the whole object, by algorithm: from x-amz-checksum-*.
    std::map<std::string, std::string> checksums;
    std::optional<std::string> checksum_type;
    std::optional<int64_t> object_size;

    // Names the list of parts: equal for equal lists.
    std::string PartsDigest() const;
};

struct CompletionPlan {
    uint64_t size = 0;
    std::string etag;
    // Empty where the parts have none in common.
    std::string checksum_algorithm;
    std::string checksum_type;
    std::string checksum;
    // Uploaded and not listed; indexes into the parts that were given.
    std::vector<size_t> unlisted;
};

// `parts`: all that were uploaded, in order of number.
//   errors  InvalidPartOrder, InvalidPart, EntityTooSmall, InvalidRequest, BadDigest, MalformedXML
Result<CompletionPlan> PlanCompletion(
    const UploadRecord& upload,
    const std::vector<PartRecord>& parts,
    const CompletionRequest& request);

Encryption EncryptionOf(const storage::StoredBody& body);

// The algorithm's type when the client names none: COMPOSITE, but FULL_OBJECT for CRC64NVME.
std::string_view DefaultChecksumType(std::string_view algorithm);
// Errors: InvalidRequest where the two do not go together or are not known.
Status CheckChecksumType(std::string_view algorithm, std::string_view type);

// The value of a check sum header: Base64 of as many bytes as the algorithm has. COMPOSITE ones end
// with "-<parts>".
bool IsChecksumOf(std::string_view algorithm, std::string_view value);

namespace errors {
Error NoSuchUpload(std::string_view upload_id);
Error InvalidPartNumberArgument(int32_t number);
Error ChecksumTypeMismatch(std::string_view expected, std::string_view actual);
}  // namespace errors

}  // namespace hearth::s3
