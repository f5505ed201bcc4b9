#pragma once

#include "base/result.h"
#include "os/fd.h"

#include <sys/types.h>

#include <string>
#include <vector>

// Starting the two programs the keeper owns. A child begins with exactly the descriptors it was
// given, in its own session, and dies with the keeper (PR_SET_PDEATHSIG, set after the last
// credential change).
namespace hearth::keeper {

// A program of this installation, opened while the keeper was privileged: the child may not be able
// to reach its path (a checkout below a private home directory).
class Program final {
  public:
    // Opens `name` in the directory of the running program. A file that `uid` could not execute is
    // copied into memory.
    static Result<Program> Open(const std::string& name, bool unprivileged);

    int fd() const { return fd_.get(); }

    const std::string& name() const { return name_; }

  private:
    std::string name_;
    os::Fd fd_;
};

struct Credentials {
    uid_t uid = 0;
    gid_t gid = 0;
};

// Everything about one start. Arguments that name descriptors come from Give.
class ChildSpec final {
  public:
    explicit ChildSpec(const Program& program) : program_(program), argv_{program.name()} {}

    ChildSpec& Arg(std::string argument) {
        argv_.push_back(std::move(argument));
        return *this;
    }

    ChildSpec& Arg(std::string option, std::string value) {
        argv_.push_back(std::move(option));
        argv_.push_back(std::move(value));
        return *this;
    }

    // Passes a copy of `fd` to the child with `option` naming its number there.
    ChildSpec& Give(std::string option, int fd);

    // Passes a copy that the child does not know of, such as a lock that ends with it.
    ChildSpec& Inherit(int fd) {
        descriptors_.push_back(fd);
        return *this;
    }

    // Drops to these for good: no groups, capabilities or ways to gain them.
    ChildSpec& DropTo(Credentials credentials) {
        credentials_ = credentials;
        drops_ = true;
        return *this;
    }

    // The child's working directory.
    ChildSpec& In(int directory_fd) {
        directory_fd_ = directory_fd;
        return *this;
    }

    const std::vector<std::string>& argv() const { return argv_; }

    Result<pid_t> Start() const;

  private:
    [[noreturn]] void BecomeChild(pid_t keeper_pid) const;

    const Program& program_;
    std::vector<std::string> argv_;
    std::vector<int> descriptors_;
    Credentials credentials_;
    bool drops_ = false;
    int directory_fd_ = -1;
};

}  // namespace hearth::keeper
