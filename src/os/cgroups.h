#pragma once

#include "base/result.h"
#include "os/fd.h"

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

// Control groups, whatever the machine has: the unified hierarchy (v2), one per controller (v1),
// both at once (hybrid: limits from v1, freezing and killing from v2), or none.
//
// A tree is one named group with one group per environment in it, the same in every hierarchy. All
// is relative to directory descriptors, so the tree keeps working after the process has left the
// file system in which the hierarchies are mounted.
namespace hearth::os {

enum class CgroupLayout { kNone, kV1, kHybrid, kV2 };

std::string_view Name(CgroupLayout layout);

// One hierarchy of the machine, as found in /proc/self/{cgroup,mountinfo}.
struct CgroupHierarchy {
    bool v2 = false;
    // "memory", "pids" ... ; for v2 those that are enabled for our tree.
    std::set<std::string> controllers;
    // The tree's own group.
    Fd directory;

    bool Has(const std::string& controller) const { return controllers.contains(controller); }
};

struct CgroupLimits {
    int64_t memory_bytes = 0;  // 0: none
    int64_t pids = 0;
    // 1 .. 10'000; 100 is everybody's default.
    int64_t cpu_weight = 100;
    // Thousandths of one CPU; 0: none.
    int64_t cpu_quota_millis = 0;
};

// Makes moving processes between groups quick, on the whole machine, while the descriptor is open:
// a move otherwise waits 5 to 20 ms until every processor has passed a quiet point. The price is
// some nanoseconds for each fork and exit.
//
// It is a mount of an empty hierarchy of our own, attached nowhere, with the option favordynmods
// (Linux 6.0): the machine's own mounts stay as they are, and it goes when we go.
Result<Fd> FavorQuickMoves(const std::string& name);

class CgroupTree final {
  public:
    // Makes (or takes over) the group `name` in every hierarchy where this process may. Call while
    // the hierarchies are visible. Never fails: what cannot be had is absent.
    static CgroupTree Open(const std::string& name);

    CgroupTree(CgroupTree&&) = default;
    CgroupTree& operator=(CgroupTree&&) = default;

    CgroupLayout layout() const;

    bool Has(const std::string& controller) const { return Find(controller) != nullptr; }

    bool CanFreeze() const;

    // Groups, one per environment. Make is all or nothing.
    Status Make(const std::string& group);
    // Moves a process in. One thread, please: threads make it slow.
    Status Join(const std::string& group, pid_t pid);
    // cgroup.procs of the group in every hierarchy, open for writing: whoever holds them moves a
    // process in, itself by writing "0", also from where it could not open them.
    Result<std::vector<Fd>> OpenJoins(const std::string& group) const;
    Status Limit(const std::string& group, const CgroupLimits& limits);
    // Thaws, kills everything in it, and tries to remove it once. False: not empty yet, try again.
    Result<bool> KillAndRemove(const std::string& group);
    // Kills everything (v2 at once; v1 process by process).
    void Kill(const std::string& group);
    // After its processes are gone. False: not empty yet.
    bool Remove(const std::string& group);

    // The groups there are: what an earlier process left.
    std::vector<std::string> Groups() const;
    // KillAndRemove of each until all are gone or the time is over. False: something is left.
    bool Sweep(std::chrono::milliseconds patience);
    // Removes the tree's own groups, once empty.
    void RemoveTree();

    // For handing up: the freezer's control file, open for writing, and what to write.
    struct FreezerControl {
        Fd file;
        bool v2 = false;
    };

    std::optional<FreezerControl> OpenFreezer(const std::string& group) const;

    // The directory of the group in the hierarchy of `controller`.
    struct GroupDirectory {
        Fd directory;
        bool v2 = false;
    };

    std::optional<GroupDirectory> OpenDirectory(
        const std::string& group, const std::string& controller) const;
    // Lets `uid` write what belongs on a hot path: the memory peak's reset, the memory limits and
    // the processor quota.
    void Delegate(const std::string& group, uid_t uid, gid_t gid) const;

  private:
    explicit CgroupTree(std::string name) : name_(std::move(name)) {}

    const CgroupHierarchy* Find(const std::string& controller) const;
    const CgroupHierarchy* FindV2() const;
    void Freeze(const std::string& group, bool frozen) const;

    std::string name_;
    std::vector<CgroupHierarchy> hierarchies_;
    // Where the tree's groups are made, for RemoveTree.
    std::vector<Fd> parents_;
};

// As in "/proc/self/cgroup" and "/proc/self/mountinfo": where this process' own groups are mounted.
struct CgroupPlace {
    bool v2 = false;
    std::set<std::string> controllers;  // v1 only
    std::string mount_point;
    std::string own_directory;  // absolute; the group this process is in
};

std::vector<CgroupPlace> ParseCgroupPlaces(
    const std::string& proc_cgroup, const std::string& mountinfo);

}  // namespace hearth::os
