#pragma once

#include "aws/model/descriptor.h"
#include "aws/protocol/protocol.h"

// The check sums that come with a body which is read as a whole (configurations, lists of keys):
// Content-MD5 and x-amz-checksum-*. Bodies that flow are checked by who pulls them.
namespace hearth::aws::protocol {

// What a request says about its body is true, and where S3 insists on a check sum there is one.
// Headers that are members of the input speak of something else (of the whole object in
// CompleteMultipartUpload) and are left to the service. Algorithms that Hearth does not have are
// passed over.
//   errors  BadDigest, InvalidDigest, InvalidRequest
Status CheckBodyIntegrity(const model::Operation& operation, const RequestParts& request);

// What trailers said of the whole of `body`, which came before them.
//   trailers  names in lower case
//   errors    BadDigest, InvalidDigest, InvalidRequest
Status CheckTrailers(const Headers& trailers, std::string_view body);

}  // namespace hearth::aws::protocol
