#pragma once

#include "base/result.h"

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::storage {

// A directory of the disk as bodies use it: every step whose order counts after a cut of power goes
// through here, so that tests can record the steps, cut between them and let them fail. Paths are
// relative to the directory. All calls block; any thread.
//
// Errors: kDiskFull where there is no room, kBodyGone where the file is not there.
class BodyFiles {
  public:
    class File {
      public:
        virtual ~File() = default;
        virtual Status Write(uint64_t offset, std::string_view bytes) = 0;
        // Fills all of `parts`, one behind the other; kBodyDamaged where the file ends before.
        virtual Status Read(uint64_t offset, std::span<iovec> parts) = 0;
        // What was written is durable afterwards; the name is when its directory was synced, too.
        virtual Status Sync() = 0;
        // Hints; a failure of theirs does no harm, except that there is no room to reserve.
        virtual Status Reserve(uint64_t bytes) = 0;
        virtual void StartWriteBack(uint64_t offset, uint64_t bytes) = 0;
        virtual void WillReadAll() = 0;
        // Gives back what was reserved behind `bytes`.
        virtual Status EndAt(uint64_t bytes) = 0;
        virtual Result<uint64_t> Size() = 0;
    };

    virtual ~BodyFiles() = default;

    // A new file; an error when there is one.
    virtual Result<std::unique_ptr<File>> Make(const std::string& path) = 0;
    virtual Result<std::unique_ptr<File>> Open(const std::string& path) = 0;
    // Whether there was none yet.
    virtual Result<bool> MakeDirectory(const std::string& path) = 0;
    // Of one that is not there: nothing to do.
    virtual Status SyncDirectory(const std::string& path) = 0;
    // Whether there was one.
    virtual Result<bool> Remove(const std::string& path) = 0;
    // Whether it went; false when it is not empty.
    virtual Result<bool> RemoveDirectory(const std::string& path) = 0;
    // Names in it; none when it is not there.
    virtual Result<std::vector<std::string>> List(const std::string& path) = 0;
    virtual Result<uint64_t> FreeBytes() = 0;

    // Makes good what of a file's spare parts is lost; whether there was something to do. Where
    // there are none, nothing.
    virtual Result<bool> Mend(const std::string& /*path*/) { return false; }
};

// The real thing; `directory` is made when missing. Without `sync` nothing waits for the disk.
Result<std::unique_ptr<BodyFiles>> OpenBodyFiles(const std::string& directory, bool sync);

}  // namespace hearth::storage
