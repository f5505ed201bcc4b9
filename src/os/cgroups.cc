#include "os/cgroups.h"

#include "base/log.h"
#include "os/file.h"
#include "os/mounts.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>
#include <thread>

namespace hearth::os {

namespace {

std::vector<std::string> Split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, separator);) {
        if (!part.empty()) {
            parts.push_back(part);
        }
    }
    return parts;
}

// The controllers we use; the others of a hierarchy are left alone.
constexpr std::array<const char*, 5> kUsed = {"cpu", "cpuacct", "memory", "pids", "freezer"};

bool IsUsed(const std::set<std::string>& controllers) {
    return std::any_of(
        kUsed.begin(), kUsed.end(), [&](const char* name) { return controllers.contains(name); });
}

// Makes the controllers we need available below `directory` (v2). Those that end up enabled.
std::set<std::string> EnableControllers(int directory) {
    for (const char* controller : {"cpu", "memory", "pids"}) {
        (void)WriteFile(directory, "cgroup.subtree_control", std::string("+") + controller).ok();
    }
    std::set<std::string> enabled;
    if (auto text = ReadFile(directory, "cgroup.subtree_control"); text.ok()) {
        std::string line = *text;
        if (!line.empty() && line.back() == '\n') {
            line.pop_back();
        }
        for (const std::string& name : Split(line, ' ')) {
            enabled.insert(name);
        }
    }
    return enabled;
}

std::set<std::string> AvailableControllers(int directory) {
    std::set<std::string> available;
    if (auto text = ReadFile(directory, "cgroup.controllers"); text.ok()) {
        std::string line = *text;
        if (!line.empty() && line.back() == '\n') {
            line.pop_back();
        }
        for (const std::string& name : Split(line, ' ')) {
            available.insert(name);
        }
    }
    return available;
}

// A v2 group with processes cannot hand controllers to groups below it. Moves ours (and, in a
// container whose whole group is ours, everybody) into a leaf beside the tree.
void MoveProcessesToLeaf(int directory) {
    if (auto made = MakeDirectory(directory, "hearth-programs"); !made.ok() && errno != EEXIST) {
        return;
    }
    auto processes = ReadFile(directory, "cgroup.procs");
    if (!processes.ok()) {
        return;
    }
    for (const std::string& pid : Split(*processes, '\n')) {
        (void)WriteFile(directory, "hearth-programs/cgroup.procs", pid).ok();
    }
}

Result<Fd> MakeAndOpen(int directory, const std::string& name) {
    if (::mkdirat(directory, name.c_str(), 0755) != 0 && errno != EEXIST) {
        return errors::System("mkdir " + name, errno);
    }
    return Open(directory, name, O_RDONLY | O_DIRECTORY);
}

std::vector<pid_t> Processes(int directory, const std::string& group) {
    std::vector<pid_t> pids;
    if (auto text = ReadFile(directory, group + "/cgroup.procs"); text.ok()) {
        for (const std::string& line : Split(*text, '\n')) {
            pids.push_back(static_cast<pid_t>(std::atol(line.c_str())));
        }
    }
    return pids;
}

}  // namespace

Result<Fd> FavorQuickMoves(const std::string& name) {
    const Fd context(static_cast<int>(::syscall(SYS_fsopen, "cgroup", FSOPEN_CLOEXEC)));
    if (!context.valid()) {
        return errors::System("fsopen cgroup", errno);
    }
    const auto configure = [&context](unsigned command, const char* key, const char* value) {
        return ::syscall(SYS_fsconfig, context.get(), command, key, value, 0) == 0;
    };
    if (!configure(FSCONFIG_SET_FLAG, "none", nullptr) ||
        !configure(FSCONFIG_SET_STRING, "name", name.c_str()) ||
        !configure(FSCONFIG_SET_FLAG, "favordynmods", nullptr) ||
        !configure(FSCONFIG_CMD_CREATE, nullptr, nullptr)) {
        return errors::System("a hierarchy with favordynmods", errno);
    }
    Fd mount(static_cast<int>(::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, 0)));
    if (!mount.valid()) {
        return errors::System("fsmount cgroup", errno);
    }
    return mount;
}

std::string_view Name(CgroupLayout layout) {
    switch (layout) {
        case CgroupLayout::kNone:
            return "none";
        case CgroupLayout::kV1:
            return "v1";
        case CgroupLayout::kHybrid:
            return "hybrid";
        case CgroupLayout::kV2:
            return "v2";
    }
    return "none";
}

std::vector<CgroupPlace> ParseCgroupPlaces(
    const std::string& proc_cgroup, const std::string& mountinfo) {
    struct Mounted {
        std::string root;
        std::string point;
        std::set<std::string> options;
        bool v2 = false;
    };

    std::vector<Mounted> mounts;
    for (const std::string& line : Split(mountinfo, '\n')) {
        const std::vector<std::string> words = Split(line, ' ');
        const auto dash = std::find(words.begin(), words.end(), "-");
        if (words.size() < 6 || words.end() - dash < 4) {
            continue;
        }
        const std::string& type = dash[1];
        if (type != "cgroup" && type != "cgroup2") {
            continue;
        }
        Mounted mounted;
        mounted.root = UnescapeMountPath(words[3]);
        mounted.point = UnescapeMountPath(words[4]);
        mounted.v2 = type == "cgroup2";
        for (const std::string& option : Split(dash[3], ',')) {
            mounted.options.insert(option);
        }
        mounts.push_back(std::move(mounted));
    }

    std::vector<CgroupPlace> places;
    for (const std::string& line : Split(proc_cgroup, '\n')) {
        const size_t first = line.find(':');
        const size_t second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) {
            continue;
        }
        CgroupPlace place;
        for (const std::string& name : Split(line.substr(first + 1, second - first - 1), ',')) {
            place.controllers.insert(name);
        }
        place.v2 = place.controllers.empty();
        const std::string path = line.substr(second + 1);
        // The last mount wins: it covers earlier ones at the same place.
        const Mounted* found = nullptr;
        for (const Mounted& mounted : mounts) {
            const bool same = place.v2
                                  ? mounted.v2
                                  : !mounted.v2 && std::all_of(
                                                       place.controllers.begin(),
                                                       place.controllers.end(),
                                                       [&](const std::string& name) {
                                                           return mounted.options.contains(name);
                                                       });
            if (same) {
                found = &mounted;
            }
        }
        if (found == nullptr) {
            continue;
        }
        place.mount_point = found->point;
        place.own_directory = found->point;
        // `path` is seen from the cgroup namespace, `root` is the part of the hierarchy mounted
        // here.
        const std::string root = found->root == "/" ? "" : found->root;
        if (path.starts_with(root + "/") && path != "/" && !path.contains("/..")) {
            place.own_directory += path.substr(root.size());
        }
        places.push_back(std::move(place));
    }
    return places;
}

CgroupTree CgroupTree::Open(const std::string& name) {
    CgroupTree tree(name);
    const auto proc_cgroup = ReadFile(AT_FDCWD, "/proc/self/cgroup");
    const auto mountinfo = ReadFile(AT_FDCWD, "/proc/self/mountinfo", 4 << 20);
    if (!proc_cgroup.ok() || !mountinfo.ok()) {
        return tree;
    }
    std::vector<CgroupPlace> places = ParseCgroupPlaces(*proc_cgroup, *mountinfo);
    std::partition(places.begin(), places.end(), [](const CgroupPlace& place) { return place.v2; });
    for (const CgroupPlace& place : places) {
        if (!place.v2 && !IsUsed(place.controllers)) {
            continue;
        }
        // Each hierarchy is one more group to make, join and remove per environment.
        if (const CgroupHierarchy* unified = tree.FindV2();
            unified != nullptr && place.controllers == std::set<std::string>{"freezer"} &&
            ::faccessat(unified->directory.get(), "cgroup.freeze", F_OK, 0) == 0) {
            continue;
        }
        // First beside our own group, then at the top of what is mounted.
        for (const std::string& path : {place.own_directory, place.mount_point}) {
            auto parent = os::Open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
            if (!parent.ok()) {
                continue;
            }
            CgroupHierarchy hierarchy;
            hierarchy.v2 = place.v2;
            hierarchy.controllers = place.controllers;
            if (place.v2 && !AvailableControllers(parent->get()).empty()) {
                std::set<std::string> enabled = EnableControllers(parent->get());
                if (!enabled.contains("memory") &&
                    AvailableControllers(parent->get()).contains("memory")) {
                    MoveProcessesToLeaf(parent->get());
                    EnableControllers(parent->get());
                }
            }
            auto directory = MakeAndOpen(parent->get(), name);
            if (!directory.ok()) {
                continue;
            }
            if (place.v2) {
                hierarchy.controllers = EnableControllers(directory->get());
                // Always there in v2.
                hierarchy.controllers.insert("freezer");
                if (hierarchy.controllers.contains("cpu")) {
                    hierarchy.controllers.insert("cpuacct");
                }
            }
            hierarchy.directory = *std::move(directory);
            // One group stands for all environments; without this it would weigh as much as any one
            // process beside it.
            const auto cpus =
                static_cast<int64_t>(std::max(1U, std::thread::hardware_concurrency()));
            if (place.v2) {
                (void)WriteFile(
                    hierarchy.directory.get(),
                    "cpu.weight",
                    std::to_string(std::min<int64_t>(100 * cpus, 10'000)))
                    .ok();
            } else if (hierarchy.Has("cpu")) {
                (void)WriteFile(
                    hierarchy.directory.get(),
                    "cpu.shares",
                    std::to_string(std::min<int64_t>(1024 * cpus, 262'144)))
                    .ok();
            }
            tree.hierarchies_.push_back(std::move(hierarchy));
            tree.parents_.push_back(*std::move(parent));
            break;
        }
    }
    return tree;
}

CgroupLayout CgroupTree::layout() const {
    const CgroupHierarchy* memory = Find("memory");
    const bool has_v1 = std::any_of(
        hierarchies_.begin(), hierarchies_.end(), [](const auto& one) { return !one.v2; });
    if (has_v1) {
        return FindV2() != nullptr ? CgroupLayout::kHybrid : CgroupLayout::kV1;
    }
    return memory != nullptr || FindV2() != nullptr ? CgroupLayout::kV2 : CgroupLayout::kNone;
}

const CgroupHierarchy* CgroupTree::FindV2() const {
    for (const CgroupHierarchy& hierarchy : hierarchies_) {
        if (hierarchy.v2) {
            return &hierarchy;
        }
    }
    return nullptr;
}

const CgroupHierarchy* CgroupTree::Find(const std::string& controller) const {
    // The v2 freezer first: a process frozen there still dies of SIGKILL, in v1 only after a thaw.
    if (controller == "freezer") {
        if (const CgroupHierarchy* unified = FindV2()) {
            return unified;
        }
    }
    for (const CgroupHierarchy& hierarchy : hierarchies_) {
        if (hierarchy.Has(controller)) {
            return &hierarchy;
        }
    }
    return nullptr;
}

bool CgroupTree::CanFreeze() const {
    return Find("freezer") != nullptr;
}

Status CgroupTree::Make(const std::string& group) {
    for (const CgroupHierarchy& hierarchy : hierarchies_) {
        if (::mkdirat(hierarchy.directory.get(), group.c_str(), 0755) != 0 && errno != EEXIST) {
            const Error error = errors::System("mkdir of cgroup " + group, errno);
            Remove(group);
            return error;
        }
    }
    return {};
}

Status CgroupTree::Join(const std::string& group, pid_t pid) {
    const std::string text = std::to_string(pid);
    for (const CgroupHierarchy& hierarchy : hierarchies_) {
        HEARTH_RETURN_IF_ERROR(WriteFile(hierarchy.directory.get(), group + "/cgroup.procs", text));
    }
    return {};
}

Result<std::vector<Fd>> CgroupTree::OpenJoins(const std::string& group) const {
    std::vector<Fd> files;
    for (const CgroupHierarchy& hierarchy : hierarchies_) {
        HEARTH_TRY(Fd file, os::Open(hierarchy.directory.get(), group + "/cgroup.procs", O_WRONLY));
        files.push_back(std::move(file));
    }
    return files;
}

Status CgroupTree::Limit(const std::string& group, const CgroupLimits& limits) {
    const auto write =
        [&](const CgroupHierarchy& hierarchy, const std::string& file, const std::string& text) {
            return WriteFile(hierarchy.directory.get(), group + "/" + file, text);
        };
    if (const CgroupHierarchy* memory = Find("memory");
        memory != nullptr && limits.memory_bytes > 0) {
        const std::string bytes = std::to_string(limits.memory_bytes);
        if (memory->v2) {
            HEARTH_RETURN_IF_ERROR(write(*memory, "memory.max", bytes));
            // Absent without swap in the kernel.
            (void)write(*memory, "memory.swap.max", "0").ok();
            (void)write(*memory, "memory.oom.group", "0").ok();
        } else {
            HEARTH_RETURN_IF_ERROR(write(*memory, "memory.limit_in_bytes", bytes));
            (void)write(*memory, "memory.memsw.limit_in_bytes", bytes).ok();
        }
    }
    if (const CgroupHierarchy* pids = Find("pids"); pids != nullptr && limits.pids > 0) {
        HEARTH_RETURN_IF_ERROR(write(*pids, "pids.max", std::to_string(limits.pids)));
    }
    if (const CgroupHierarchy* cpu = Find("cpu"); cpu != nullptr) {
        const int64_t weight = std::clamp<int64_t>(limits.cpu_weight, 1, 10'000);
        if (cpu->v2) {
            HEARTH_RETURN_IF_ERROR(write(*cpu, "cpu.weight", std::to_string(weight)));
        } else {
            const int64_t shares = std::clamp<int64_t>(weight * 1024 / 100, 2, 262'144);
            HEARTH_RETURN_IF_ERROR(write(*cpu, "cpu.shares", std::to_string(shares)));
        }
        if (limits.cpu_quota_millis > 0) {
            constexpr int64_t kPeriodUs = 20'000;
            const int64_t quota_us =
                std::max<int64_t>(1'000, limits.cpu_quota_millis * kPeriodUs / 1'000);
            if (cpu->v2) {
                HEARTH_RETURN_IF_ERROR(
                    write(*cpu, "cpu.max", fmt::format("{} {}", quota_us, kPeriodUs)));
            } else {
                HEARTH_RETURN_IF_ERROR(write(*cpu, "cpu.cfs_period_us", std::to_string(kPeriodUs)));
                HEARTH_RETURN_IF_ERROR(write(*cpu, "cpu.cfs_quota_us", std::to_string(quota_us)));
            }
        }
    }
    return {};
}

void CgroupTree::Freeze(const std::string& group, bool frozen) const {
    for (const CgroupHierarchy& hierarchy : hierarchies_) {
        if (hierarchy.v2) {
            (void)WriteFile(hierarchy.directory.get(), group + "/cgroup.freeze", frozen ? "1" : "0")
                .ok();
        } else if (hierarchy.Has("freezer")) {
            (void)WriteFile(
                hierarchy.directory.get(), group + "/freezer.state", frozen ? "FROZEN" : "THAWED")
                .ok();
        }
    }
}

void CgroupTree::Kill(const std::string& group) {
    // Memory and freezer hierarchies hold the same processes; a fork bomb needs several rounds,
    // which the pids limit keeps short.
    if (const CgroupHierarchy* unified = FindV2();
        unified != nullptr &&
        WriteFile(unified->directory.get(), group + "/cgroup.kill", "1").ok()) {
        Freeze(group, false);
        return;
    }
    Freeze(group, false);
    for (const CgroupHierarchy& hierarchy : hierarchies_) {
        for (const pid_t pid : Processes(hierarchy.directory.get(), group)) {
            ::kill(pid, SIGKILL);
        }
    }
}

bool CgroupTree::Remove(const std::string& group) {
    bool gone = true;
    for (const CgroupHierarchy& hierarchy : hierarchies_) {
        if (::unlinkat(hierarchy.directory.get(), group.c_str(), AT_REMOVEDIR) != 0 &&
            errno != ENOENT) {
            gone = false;
        }
    }
    return gone;
}

Result<bool> CgroupTree::KillAndRemove(const std::string& group) {
    Kill(group);
    return Remove(group);
}

std::vector<std::string> CgroupTree::Groups() const {
    std::set<std::string> groups;
    for (const CgroupHierarchy& hierarchy : hierarchies_) {
        auto names = ListDirectory(hierarchy.directory.get(), ".");
        if (!names.ok()) {
            continue;
        }
        for (const std::string& name : *names) {
            struct stat status{};
            if (::fstatat(hierarchy.directory.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) ==
                    0 &&
                S_ISDIR(status.st_mode)) {
                groups.insert(name);
            }
        }
    }
    return {groups.begin(), groups.end()};
}

bool CgroupTree::Sweep(std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    for (std::chrono::milliseconds pause{1};;
         pause = std::min(pause * 2, std::chrono::milliseconds(50))) {
        bool left = false;
        for (const std::string& group : Groups()) {
            const auto removed = KillAndRemove(group);
            left |= !removed.ok() || !*removed;
        }
        if (!left) {
            return true;
        }
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        // The kernel reaps what was killed; nothing tells us when.
        std::this_thread::sleep_for(pause);
    }
}

void CgroupTree::RemoveTree() {
    for (size_t i = 0; i < parents_.size(); ++i) {
        ::unlinkat(parents_[i].get(), name_.c_str(), AT_REMOVEDIR);
    }
    hierarchies_.clear();
    parents_.clear();
}

std::optional<CgroupTree::FreezerControl> CgroupTree::OpenFreezer(const std::string& group) const {
    const CgroupHierarchy* freezer = Find("freezer");
    if (freezer == nullptr) {
        return std::nullopt;
    }
    const std::string file = freezer->v2 ? "/cgroup.freeze" : "/freezer.state";
    auto fd = os::Open(freezer->directory.get(), group + file, O_WRONLY);
    if (!fd.ok()) {
        return std::nullopt;
    }
    return FreezerControl{*std::move(fd), freezer->v2};
}

std::optional<CgroupTree::GroupDirectory> CgroupTree::OpenDirectory(
    const std::string& group, const std::string& controller) const {
    const CgroupHierarchy* hierarchy = Find(controller);
    if (hierarchy == nullptr) {
        return std::nullopt;
    }
    auto fd = os::Open(hierarchy->directory.get(), group, O_RDONLY | O_DIRECTORY);
    if (!fd.ok()) {
        return std::nullopt;
    }
    return GroupDirectory{*std::move(fd), hierarchy->v2};
}

void CgroupTree::Delegate(const std::string& group, uid_t uid, gid_t gid) const {
    const auto give = [&](const CgroupHierarchy* hierarchy, std::string_view file) {
        if (hierarchy != nullptr) {
            const std::string path = fmt::format("{}/{}", group, file);
            (void)::fchownat(
                hierarchy->directory.get(), path.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW);
        }
    };
    for (const char* file :
         {"memory.max_usage_in_bytes", "cgroup.event_control", "memory.peak", "memory.high"}) {
        give(Find("memory"), file);
    }
    for (const char* file : {"cpu.max", "cpu.cfs_period_us", "cpu.cfs_quota_us"}) {
        give(Find("cpu"), file);
    }
}

}  // namespace hearth::os
