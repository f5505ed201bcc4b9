#include "hearth/keeper/tier_directories.h"

#include "base/log.h"
#include "hearth/keeper/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <utility>

namespace hearth::keeper {
namespace {

constexpr const char* kMark = "hearth.tier";
constexpr const char* kList = "hearth.tiers";
constexpr size_t kDeepDisks = 9;
constexpr size_t kDeepDisksLostMax = 3;
constexpr size_t kFileBytesMax = 4096;

Error UserError(const std::string& tier, const std::string& problem) {
    return errors::Malformed(fmt::format("--tier {}: {}", tier, problem));
}

// Empty where there is none.
Result<std::string> ReadSmallFile(int directory, const char* name) {
    const os::Fd file(::openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!file.valid()) {
        return errno == ENOENT ? Result<std::string>(std::string())
                               : Result<std::string>(errors::System(name, errno));
    }
    std::string text(kFileBytesMax, '\0');
    const ssize_t bytes = ::read(file.get(), text.data(), text.size());
    if (bytes < 0) {
        return errors::System(name, errno);
    }
    text.resize(static_cast<size_t>(bytes));
    return text;
}

// Whole or not at all, also after a cut of power.
Status WriteSmallFile(int directory, const std::string& name, std::string_view text) {
    const std::string made = name + ".new";
    ::unlinkat(directory, made.c_str(), 0);
    const os::Fd file(::openat(
        directory, made.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.valid() ||
        ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fsync(file.get()) != 0 ||
        ::renameat(directory, made.c_str(), directory, name.c_str()) != 0 ||
        ::fsync(directory) != 0) {
        return errors::System("writing " + name, errno);
    }
    return {};
}

bool IsInside(const std::filesystem::path& inner, const std::filesystem::path& outer) {
    return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first ==
           outer.end();
}

bool IsEmpty(const std::string& path) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
        if (entry.path().filename() != "lost+found") {
            return false;
        }
    }
    return !error;
}

bool HasFiles(const std::string& path) {
    std::error_code error;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path, error)) {
        if (entry.is_regular_file(error)) {
            return true;
        }
    }
    return false;
}

Result<std::string> RandomId() {
    std::array<uint8_t, 16> bytes = {};
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
        return errors::System("getrandom", errno);
    }
    std::string id;
    for (const uint8_t byte : bytes) {
        id += fmt::format("{:02x}", byte);
    }
    return id;
}

// The data directory's list: its own id, then a line for each tier with directories, "NAME COUNT".
struct TierList {
    std::string id;
    std::map<std::string, size_t> counts;

    static Result<TierList> Read(int data_fd) {
        HEARTH_TRY(const std::string text, ReadSmallFile(data_fd, kList));
        TierList list;
        size_t begin = 0;
        while (begin < text.size()) {
            const size_t end = std::min(text.find('\n', begin), text.size());
            const std::string line = text.substr(begin, end - begin);
            begin = end + 1;
            const size_t space = line.find(' ');
            if (list.id.empty()) {
                list.id = line;
            } else if (space != std::string::npos) {
                list.counts[line.substr(0, space)] =
                    std::strtoul(line.c_str() + space + 1, nullptr, 10);
            }
        }
        if (list.id.empty()) {
            HEARTH_TRY(list.id, RandomId());
        }
        return list;
    }

    Status Write(int data_fd) const {
        std::string text = id + "\n";
        for (const auto& [name, count] : counts) {
            text += fmt::format("{} {}\n", name, count);
        }
        return WriteSmallFile(data_fd, kList, text);
    }
};

}  // namespace

Result<TierDirectories::Tier> TierDirectories::Parse(const std::string& option) {
    const size_t equals = option.find('=');
    Tier tier;
    tier.name = option.substr(0, equals);
    if (equals == std::string::npos ||
        (tier.name != "infrequent" && tier.name != "archive" && tier.name != "deep")) {
        return UserError(
            option, "expected infrequent=DIR, archive=DIR, deep=DIR or deep=DIR1,...,DIR9");
    }
    std::string left = option.substr(equals + 1);
    while (true) {
        const size_t comma = left.find(',');
        Directory directory;
        directory.path = left.substr(0, comma);
        if (directory.path.empty()) {
            return UserError(tier.name, "a directory has no name");
        }
        tier.directories.push_back(std::move(directory));
        if (comma == std::string::npos) {
            break;
        }
        left.erase(0, comma + 1);
    }
    const size_t count = tier.directories.size();
    if (count != 1 && (tier.name != "deep" || count != kDeepDisks)) {
        return UserError(
            tier.name,
            tier.name == "deep" ? fmt::format("one directory or nine, not {}", count)
                                : std::string("one directory"));
    }
    return tier;
}

Result<std::vector<TierDirectories::Tier>> TierDirectories::ParseAll(
    const std::vector<std::string>& options, const std::string& data) {
    std::vector<Tier> tiers;
    std::error_code error;
    std::vector<std::pair<std::string, std::filesystem::path>> taken;
    taken.emplace_back("the data directory", std::filesystem::weakly_canonical(data, error));
    for (const std::string& option : options) {
        HEARTH_TRY(Tier tier, Parse(option));
        if (std::any_of(tiers.begin(), tiers.end(), [&](const Tier& other) {
                return other.name == tier.name;
            })) {
            return UserError(tier.name, "given twice");
        }
        for (const Directory& directory : tier.directories) {
            const auto path = std::filesystem::weakly_canonical(directory.path, error);
            for (const auto& [whose, other] : taken) {
                if (IsInside(path, other) || IsInside(other, path)) {
                    return UserError(
                        tier.name,
                        fmt::format("{} and {} are one inside the other", directory.path, whose));
                }
            }
            taken.emplace_back(directory.path, path);
        }
        tiers.push_back(std::move(tier));
    }
    return tiers;
}

// Opens the directories of one tier and judges what is in them. Nothing is written.
Status TierDirectories::OpenTier(Tier& tier, const std::string& id, bool known) {
    const size_t count = tier.directories.size();
    const bool may_be_lost = known && count == kDeepDisks;
    size_t missing = 0;
    std::string missing_paths;
    for (size_t i = 0; i < count; ++i) {
        Directory& directory = tier.directories[i];
        const std::string& path = directory.path;
        directory.fd = os::Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!directory.fd.valid()) {
            if (!may_be_lost || (errno != ENOENT && errno != EIO)) {
                return UserError(
                    tier.name,
                    fmt::format(
                        "{}: {} (the directory must be there)", path, std::strerror(errno)));
            }
            ++missing;
            missing_paths += " " + path;
            continue;
        }
        const int fd = directory.fd.get();
        if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
            return UserError(tier.name, path + ": another Hearth uses it");
        }
        const std::string mark = fmt::format("{} {} {}/{}\n", id, tier.name, i + 1, count);
        HEARTH_TRY(const std::string found, ReadSmallFile(fd, kMark));
        if (found == mark) {
            continue;
        }
        if (!found.empty()) {
            return UserError(
                tier.name,
                path + ": belongs to another data directory, or to another place in this one");
        }
        if (!IsEmpty(path)) {
            return UserError(tier.name, path + ": is not empty and was not made by Hearth");
        }
        if (known && !may_be_lost) {
            return UserError(
                tier.name,
                path + ": is empty, but objects of this tier were put there (is the disk there?)");
        }
        if (known) {
            ++missing;
            missing_paths += " " + path;
        }
        directory.new_mark = mark;
    }
    if (missing > kDeepDisksLostMax) {
        return UserError(
            tier.name,
            fmt::format(
                "{} of {} directories are missing or empty, and only {} may be:{}",
                missing,
                count,
                kDeepDisksLostMax,
                missing_paths));
    }
    if (missing > 0) {
        log::Warn(
            "--tier {}: {} of {} directories are missing or new; objects are read and written with "
            "the others, and `hearth s3 scrub` fills new ones:{}",
            tier.name,
            missing,
            count,
            missing_paths);
    }
    if (tier.name == "deep" && count == 1) {
        log::Warn(
            "--tier deep: in one directory objects are compressed, but lost with its disk; nine "
            "directories survive the loss of any three");
    }
    return {};
}

Result<TierDirectories> TierDirectories::Open(
    const std::vector<std::string>& options,
    const std::string& data,
    int data_fd,
    bool give_away,
    Credentials owner) {
    TierDirectories opened;
    HEARTH_TRY(opened.tiers_, ParseAll(options, data));
    HEARTH_TRY(TierList list, TierList::Read(data_fd));
    const TierList before = list;
    for (Tier& tier : opened.tiers_) {
        const auto known = list.counts.find(tier.name);
        const size_t count = tier.directories.size();
        if (known != list.counts.end() && known->second != count) {
            return UserError(
                tier.name,
                fmt::format("its objects lie in {} directories, not in {}", known->second, count));
        }
        if (known == list.counts.end() && HasFiles(data + "/objects/" + tier.name)) {
            return UserError(
                tier.name,
                "objects of this tier lie in the data directory already; a directory of its own is "
                "chosen before");
        }
        HEARTH_RETURN_IF_ERROR(OpenTier(tier, list.id, known != list.counts.end()));
        list.counts[tier.name] = count;
    }
    for (const auto& [name, count] : list.counts) {
        if (std::none_of(opened.tiers_.begin(), opened.tiers_.end(), [&](const Tier& tier) {
                return tier.name == name;
            })) {
            return UserError(
                name,
                "objects of this data directory lie in directories of their own: give the option "
                "again");
        }
    }
    if (!options.empty()) {
        // The id is kept before anything is marked with it, and the counts when everything is.
        HEARTH_RETURN_IF_ERROR(before.Write(data_fd));
        HEARTH_RETURN_IF_ERROR(opened.Take(give_away, owner));
        HEARTH_RETURN_IF_ERROR(list.Write(data_fd));
    }
    return opened;
}

// Everything was found right.
Status TierDirectories::Take(bool give_away, Credentials owner) const {
    for (const Tier& tier : tiers_) {
        for (const Directory& directory : tier.directories) {
            const int fd = directory.fd.get();
            if (!directory.new_mark.empty()) {
                HEARTH_RETURN_IF_ERROR(WriteSmallFile(fd, kMark, directory.new_mark));
            }
            struct stat info = {};
            if (give_away && directory.fd.valid() && ::fstat(fd, &info) == 0 &&
                (info.st_uid != owner.uid || info.st_gid != owner.gid)) {
                GiveAway(fd, owner);
            }
        }
    }
    return {};
}

void TierDirectories::GiveTo(ChildSpec& spec) const {
    for (const Tier& tier : tiers_) {
        for (const Directory& directory : tier.directories) {
            if (directory.fd.valid()) {
                spec.Give("--tier-" + tier.name + "-fd", directory.fd.get());
            } else {
                spec.Arg("--tier-lost", tier.name);
            }
        }
    }
}

}  // namespace hearth::keeper
