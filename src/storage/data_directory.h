#pragma once

#include "base/result.h"
#include "os/fd.h"

#include <sys/types.h>

#include <chrono>
#include <string>

// The data directory: everything that a cloud keeps.
//   lock        held by one cloud at a time; its text is the holder's process id
//   version     the format of what is stored here
//   kv/         the store (storage/rocksdb)
//   blobs/      large values (storage/blob)
//   objects/    bodies of objects (storage/objects)
//   credentials, master.key, ...  files of other owners
namespace hearth::storage {

// The format that this program writes and the newest it reads.
inline constexpr int kDataFormatVersion = 1;

struct DataDirectoryOptions {
    // Whom the directory and what is made in it belong to; the caller's ids by default.
    uid_t uid = static_cast<uid_t>(-1);
    gid_t gid = static_cast<gid_t>(-1);
    // How long to wait for a holder that is no longer alive to be gone altogether: its children may
    // hold the lock a moment longer.
    std::chrono::milliseconds dead_holder_wait{3'000};
};

// An opened and locked data directory. The lock is given back when all copies of lock_fd() are
// closed: the keeper hands one to the cloud, so a new keeper waits until a dying cloud has let go
// of the data.
class DataDirectory final {
  public:
    // Makes the directory (and its parents) when missing, mode 0700, locks it, and checks the
    // format version. Errors are lines for people:
    //   kUnavailable  another hearth uses it, with its process id
    //   kInternal     newer format, not a directory, no permission
    static Result<DataDirectory> Open(const std::string& path, DataDirectoryOptions options = {});

    // Absolute, links resolved.
    const std::string& path() const { return path_; }

    // For fchdir and openat. Close-on-exec, as lock_fd.
    int fd() const { return directory_.get(); }

    int lock_fd() const { return lock_.get(); }

    // True when Open made it or found it empty.
    bool is_new() const { return is_new_; }

  private:
    DataDirectory() = default;

    std::string path_;
    os::Fd directory_;
    os::Fd lock_;
    bool is_new_ = false;
};

}  // namespace hearth::storage
