#pragma once

#include "base/result.h"
#include "os/fd.h"
#include "rt/blocking_pool.h"
#include "rt/task.h"
#include "services/lambda/invoker.h"

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace hearth::lambda {

// The bucket whose objects are directories of this machine (--hot-reload).
inline constexpr std::string_view kHotReloadBucket = "hot-reload";

// Functions that run straight from a directory of the machine: the bucket `hot-reload`.
//
// Guarantee: a file saved before a call is what that call runs. Each call looks at the names,
// times, sizes and inodes below the directory; their stamp is part of the revision that execution
// environments belong to, so an unchanged directory keeps its warm environments and a changed one
// starts anew, once.
//
// Everything is opened beneath the one directory that `hearth up --hot-reload DIR` named, and no
// symbolic link is followed on the way. Calls may come from any loop.
class HotReload final {
  public:
    // `root`: the absolute path of DIR, empty when there is none. `root_fd`: DIR opened by the
    // keeper, who may reach what this process cannot; -1: open it by path.
    HotReload(std::string root, int root_fd, rt::BlockingPool& blocking_pool);

    // What S3Key of a request asks for: the plain path of a directory below DIR, by its text.
    //   errors  InvalidParameterValueException
    Result<std::string> ReadPath(std::string_view path) const;

    // Whether it is a directory that functions can read.
    //   errors  InvalidParameterValueException
    Task<Status> Check(std::string directory) const;

    static bool IsHot(const FunctionVersion& function);
    static std::string CodeId(std::string_view directory);
    // Of a code id that CodeId made; empty for others.
    static std::string_view DirectoryOf(std::string_view code_id);

    struct Current {
        std::shared_ptr<const FunctionVersion> function;
        // Environments of other revisions are of no use any more.
        bool changed = false;
    };

    // `function` with the revision of its directory as it is now.
    Task<Result<Current>> Look(std::shared_ptr<const FunctionVersion> function);

  private:
    struct Seen {
        std::shared_ptr<const FunctionVersion> function;
    };

    Result<os::Fd> OpenDirectory(const std::string& directory) const;
    Result<std::string> Stamp(const std::string& directory) const;

    std::string root_;
    os::Fd root_fd_;
    rt::BlockingPool& blocking_pool_;
    std::mutex mutex_;
    // By the revision that the control plane gave; what the last look made of it.
    std::unordered_map<std::string, Seen> seen_;
};

}  // namespace hearth::lambda
