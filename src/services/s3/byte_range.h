#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The Range header of GET and HEAD. Pure. Source: RFC 9110 section 14; S3 API Reference, GetObject:
// one range only, anything else is passed over and the whole object is answered.
namespace hearth::s3 {

struct ByteRange {
    uint64_t offset = 0;
    uint64_t length = 0;
};

// Empty: no range that counts; answer everything. Errors: InvalidRange when nothing of it is there.
Result<std::optional<ByteRange>> ParseRange(std::string_view header, uint64_t size);

// x-amz-copy-source-range: "bytes=first-last", both given and within. Errors: InvalidArgument.
Result<ByteRange> ParseCopySourceRange(std::string_view header, uint64_t size);

// "bytes 0-9/100"
std::string ContentRange(const ByteRange& range, uint64_t size);

}  // namespace hearth::s3
