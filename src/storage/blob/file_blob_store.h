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
class FileBlobStore : public BlobStore {};

struct FileBlobStoreOptions {
    // Off with relaxed durability: files then survive kill -9, not a power cut.
    bool sync = true;
};

// `directory` is made when missing and may be relative to the working directory. Temporary files of
// an earlier process are removed. `pool` must outlive the store.
Result<std::unique_ptr<FileBlobStore>> OpenFileBlobStore(
    std::string directory, rt::BlockingPool& pool, FileBlobStoreOptions options = {});

}  // namespace hearth::storage
