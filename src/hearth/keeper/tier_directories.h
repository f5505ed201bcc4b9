#pragma once

#include "base/result.h"
#include "hearth/keeper/child_process.h"
#include "os/fd.h"

#include <string>
#include <vector>

namespace hearth::keeper {

// The directories of `--tier NAME=DIR`, where the objects of S3's colder storage classes lie:
// "infrequent", "archive" and "deep". Opened here, because the cloud may not be able to reach them,
// and given to the cloud's user.
//
// A directory belongs to one data directory: a file in it (hearth.tier) says to which, and as what;
// the data directory's own list (hearth.tiers) says which tiers have a directory. So a start that
// forgets one, takes the wrong one, or finds the place where a disk should be mounted, is refused
// instead of losing objects. Of nine deep ones up to three may be missing or new and empty.
class TierDirectories final {
  public:
    TierDirectories() = default;

    // `options`: as they were given. `data`: the data directory, `data_fd` that open. Errors are
    // lines for the user.
    static Result<TierDirectories> Open(
        const std::vector<std::string>& options,
        const std::string& data,
        int data_fd,
        bool give_away,
        Credentials owner);

    // As options --tier-NAME-fd N, in order; --tier-lost NAME for one that is missing.
    void GiveTo(ChildSpec& spec) const;

  private:
    struct Directory {
        std::string path;
        // Not valid: missing.
        os::Fd fd;
        // To be written, because it is new; else empty.
        std::string new_mark;
    };

    struct Tier {
        std::string name;
        std::vector<Directory> directories;
    };

    static Result<Tier> Parse(const std::string& option);
    static Result<std::vector<Tier>> ParseAll(
        const std::vector<std::string>& options, const std::string& data);
    static Status OpenTier(Tier& tier, const std::string& id, bool known);
    Status Take(bool give_away, Credentials owner) const;

    std::vector<Tier> tiers_;
};

}  // namespace hearth::keeper
