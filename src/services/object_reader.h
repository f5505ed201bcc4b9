#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "rt/task.h"

#include <cstdint>
#include <optional>
#include <string>

namespace hearth {

// Objects of S3 for other services: Lambda's code. Implemented by S3.
class ObjectReader {
  public:
    struct Name {
        std::string bucket;
        std::string key;
        // Empty optional: the current version.
        std::optional<std::string> version_id;
        // Where the reader is; the bucket has to be there, too.
        Region region;
    };

    virtual ~ObjectReader() = default;

    // All bytes, checked as every GET.
    //   errors  S3's, with its codes and messages: NoSuchBucket, NoSuchKey, NoSuchVersion,
    //           PermanentRedirect (another region), InvalidObjectState; EntityTooLarge for more
    //           than `bytes_max`
    // May be called from any loop.
    virtual Task<Result<std::string>> ReadObject(Name name, uint64_t bytes_max) = 0;
};

}  // namespace hearth
