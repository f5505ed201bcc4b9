#pragma once

#include "base/result.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth::aws {

// Compares a document (the XML of DeleteObjects, of a bucket's configuration) with what its client
// promised: Content-MD5 and x-amz-checksum-*, in a header or in a trailer. Bodies that flow are
// checked by their operation, which hashes them in its own pass.
//   headers, trailers  names in lower case
//   required           the operation wants one of them
//   errors             BadDigest, InvalidDigest, InvalidRequest
// Source: S3 User Guide, "Checking object integrity".
Status CheckS3Document(
    const std::vector<std::pair<std::string, std::string>>& headers,
    const std::vector<std::pair<std::string, std::string>>& trailers,
    std::string_view document,
    bool required);

}  // namespace hearth::aws
