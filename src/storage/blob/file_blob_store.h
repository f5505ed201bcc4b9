#pragma once

#include "rt/blocking_pool.h"
#include "storage/blob/blob_store.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace hearth::storage {

// Blobs as files below one directory, `blobs/` of the data directory. A file is written under a
// temporary name, synced, renamed and its directory synced, so a name that exists is whole.
class FileBlobStore : public BlobStore {
  public:
    // Whether some metadata still points to the blob. An error ends the sweep.
    using IsReferenced = std::function<Task<Result<bool>>(std::string_view id)>;

    // Deletes the blobs that nobody refers to and that are older than `min_age`: a Put whose
    // metadata was never committed (the process died between the two) leaves one. `min_age`
    // protects blobs whose metadata is just being committed. Returns how many went.
    virtual Task<Result<size_t>> Sweep(
        IsReferenced is_referenced, std::chrono::seconds min_age) = 0;
};

struct FileBlobStoreOptions {
    // Off with relaxed durability: files then survive kill -9, not a power cut.
    bool sync = true;
};

// `directory` is made when missing and may be relative to the working directory. Temporary files of
// an earlier process are removed. `pool` must outlive the store.
Result<std::unique_ptr<FileBlobStore>> OpenFileBlobStore(
    std::string directory, rt::BlockingPool& pool, FileBlobStoreOptions options = {});

}  // namespace hearth::storage
