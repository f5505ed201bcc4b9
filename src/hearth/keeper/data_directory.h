#pragma once

#include "base/result.h"
#include "hearth/keeper/child_process.h"
#include "os/fd.h"

#include <string>
#include <string_view>

namespace hearth::keeper {

// Gives a directory and everything in it to `owner`, following no links. Its own entry changes
// last, so a pass that was cut short is seen by the owner that is still the old one. Failures are
// logged.
void GiveAway(int fd, Credentials owner);

// The directory that holds all state of one Hearth, and the right to use it.
//
// Two locks. One on the directory itself belongs to the keeper alone: held by somebody else,
// another Hearth runs on this data. One on the file `hearth.lock` is inherited by the cloud: after
// a killed keeper it says when the last writer is really gone, so a new start waits for it instead
// of failing. The keeper writes here as root into a directory that the cloud owns, so it follows no
// symbolic links.
class DataDirectory final {
  public:
    // Creates the directory if needed, takes both locks, and gives everything in it to `owner`.
    // Errors are lines for the user: in use, not Hearth's, not ours to open.
    static Result<DataDirectory> Open(const std::string& path, bool give_away, Credentials owner);

    const std::string& path() const { return path_; }

    // For the children: carries no lock.
    int fd() const { return children_fd_.get(); }

    // For the cloud to inherit.
    int lock_fd() const { return lock_file_.get(); }

    // Replaces a small file as a whole.
    Status WriteFile(const std::string& name, std::string_view text) const;
    void RemoveFile(const std::string& name) const;

  private:
    std::string path_;
    os::Fd keeper_lock_;
    os::Fd children_fd_;
    os::Fd lock_file_;
};

}  // namespace hearth::keeper
