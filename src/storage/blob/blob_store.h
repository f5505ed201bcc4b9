#pragma once

#include "base/result.h"
#include "rt/task.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace hearth::storage {

// Large values as files named by id below the data directory; synced (file and directory) before
// Put returns, so metadata may be committed after; never changed in place.
class BlobStore {
  public:
    virtual ~BlobStore() = default;

    // Writes `bytes` under `id` ([A-Za-z0-9_-]{1,128}); an existing id is left as it is (same
    // content by contract). Runs on the blocking pool.
    virtual Task<Status> Put(std::string_view id, std::string bytes) = 0;
    // Error kNotFound when there is none.
    virtual Task<Result<std::string>> Read(std::string_view id, uint64_t bytes_max) = 0;
    virtual Task<Status> Delete(std::string_view id) = 0;
    // Path of the file relative to the data directory (the cloud's working directory).
    virtual std::string PathOf(std::string_view id) const = 0;

    // Whether some metadata still points to the blob; true for ids of other owners. An error ends
    // the sweep.
    using IsReferenced = std::function<Task<Result<bool>>(std::string_view id)>;

    // Deletes the blobs that nobody refers to and that are older than `min_age`: a Put whose
    // metadata was never committed (the process died between the two) leaves one. `min_age`
    // protects blobs whose metadata is just being committed. Returns how many went. Stores without
    // crashes have nothing to sweep.
    virtual Task<Result<size_t>> Sweep(
        IsReferenced /*is_referenced*/, std::chrono::seconds /*min_age*/) {
        co_return size_t{0};
    }
};

}  // namespace hearth::storage
