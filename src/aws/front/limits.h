#pragma once

#include "aws/model/descriptor.h"
#include "base/error.h"

#include <cstdint>

namespace hearth::aws {

// The largest body of a request. `operation` is null where only the body names it (query).
//   Lambda   CreateFunction and UpdateFunctionCode 70,167,211 bytes (a zip of 50 MB in base64),
//            Invoke 6,291,456, PublishLayerVersion as CreateFunction; others 1 MiB.
//            Source: the service's own RequestEntityTooLargeException texts, 2025.
//   Logs     PutLogEvents 1,048,576 bytes of events: 8 MiB, because JSON may escape each byte.
//   S3       documents 8 MiB: DeleteObjects names 1,000 keys of 1,024 bytes, escaped or not, and
//            CompleteMultipartUpload 10,000 parts with their check sums. Payloads: kObjectBytesMax.
//   SQS      messages of 1 MiB: 8 MiB, because JSON and forms may escape each byte.
//   others   1 MiB.
uint64_t BodyBytesMax(const model::Service& service, const model::Operation* operation);

// What a larger one is answered.
Error BodyTooLarge(
    const model::Service& service, const model::Operation* operation, uint64_t bytes_max);

// One upload to S3, of an object or a part. Source: Amazon S3 User Guide, "Amazon S3 multipart
// upload limits", 2025: 5 GiB.
inline constexpr uint64_t kObjectBytesMax = 5ull * 1024 * 1024 * 1024;

// Requests without a service, and those of /_hearth/.
inline constexpr uint64_t kAdminBodyBytesMax = 1024 * 1024;

}  // namespace hearth::aws
