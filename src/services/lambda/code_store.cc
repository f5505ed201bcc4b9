#include "services/lambda/code_store.h"

#include "base/log.h"
#include "codec/crypto/crypto.h"
#include "codec/zip/unpack.h"
#include "os/fd.h"
#include "rt/completion.h"
#include "rt/loops.h"
#include "services/lambda/errors.h"
#include "services/lambda/hot_reload.h"
#include "services/lambda/limits.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

namespace hearth::lambda {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporaryPrefix = ".unpacking-";
constexpr std::string_view kMergedPrefix = ".merged-";
// Other services keep blobs of their own in the same store.
constexpr std::string_view kIdPrefix = "lambda-";
constexpr std::string_view kBootIdName = ".boot-id";

void RemoveTree(const fs::path& path) {
    std::error_code error;
    fs::remove_all(path, error);
    if (error) {
        log::Warn("lambda: cannot remove {}: {}", path.string(), error.message());
    }
}

Status FlawError(codec::zip::Flaw flaw) {
    using codec::zip::Flaw;
    switch (flaw) {
        case Flaw::kNone:
            return Status();
        case Flaw::kEmpty:
            return errors::InvalidParameterValue("Uploaded file must be a non-empty zip");
        case Flaw::kTooLarge:
            return errors::InvalidParameterValue(fmt::format(
                "Unzipped size must be smaller than {} bytes", limits::kUnzippedBytesMax));
        case Flaw::kNotAZip:
        case Flaw::kHostile:
        case Flaw::kTooMany:
            break;
    }
    return errors::InvalidParameterValue(
        "Could not unzip uploaded file. Please check your file, then try to upload again.");
}

// Unpacks beside and renames, so that `target` is complete or not there. Returns the bytes of all
// files. Blocks.
Result<int64_t> UnpackTo(
    std::string_view zip, const std::string& temporary, const std::string& target) {
    if (mkdir(temporary.c_str(), 0755) != 0) {
        return hearth::errors::System("making " + temporary, errno);
    }
    // Functions run under other users; the umask must not hide their code from them.
    const os::Fd fd(open(temporary.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid() || fchmod(fd.get(), 0755) != 0) {
        const int error_number = errno;
        RemoveTree(temporary);
        return hearth::errors::System("opening " + temporary, error_number);
    }
    const auto outcome = codec::zip::Unpack(
        zip,
        fd.get(),
        {.bytes_max = limits::kUnzippedBytesMax, .entries_max = limits::kZipEntriesMax});
    Status status = outcome.ok() ? FlawError(outcome->flaw) : Status(outcome.error());
    if (status.ok() && rename(temporary.c_str(), target.c_str()) != 0) {
        // Somebody else was quicker with the same code.
        if (errno != EEXIST && errno != ENOTEMPTY) {
            status = hearth::errors::System("renaming " + temporary, errno);
        }
    }
    if (access(temporary.c_str(), F_OK) == 0) {
        RemoveTree(temporary);
    }
    HEARTH_RETURN_IF_ERROR(status);
    return static_cast<int64_t>(outcome->bytes);
}

// Adds to the tree `merged` what it does not have yet of `part`. A name that is there already hides
// the part's, unless both are directories; links are names like others and are never followed.
Status LinkMissing(const fs::path& part, const fs::path& merged) {
    std::error_code error;
    for (auto it = fs::recursive_directory_iterator(part, error); !error && it != fs::end(it);
         it.increment(error)) {
        const fs::path target = merged / it->path().lexically_relative(part);
        std::error_code ignored;
        const fs::file_type there = fs::symlink_status(target, ignored).type();
        const bool is_directory = it->symlink_status(ignored).type() == fs::file_type::directory;
        if (there != fs::file_type::not_found) {
            if (is_directory && there != fs::file_type::directory) {
                it.disable_recursion_pending();
            }
        } else if (is_directory) {
            if (mkdir(target.c_str(), 0755) != 0 || chmod(target.c_str(), 0755) != 0) {
                return hearth::errors::System("making " + target.string(), errno);
            }
        } else if (linkat(AT_FDCWD, it->path().c_str(), AT_FDCWD, target.c_str(), 0) != 0) {
            return hearth::errors::System("linking " + target.string(), errno);
        }
    }
    if (error) {
        return hearth::errors::Internal(
            fmt::format("reading {}: {}", part.string(), error.message()));
    }
    return Status();
}

// As UnpackTo, from trees that are there. Blocks.
Status MergeTo(
    const std::vector<std::shared_ptr<const CodeDirectory>>& parts,
    const std::string& temporary,
    const std::string& target) {
    if (mkdir(temporary.c_str(), 0755) != 0 || chmod(temporary.c_str(), 0755) != 0) {
        return hearth::errors::System("making " + temporary, errno);
    }
    Status status;
    for (auto part = parts.rbegin(); part != parts.rend() && status.ok(); ++part) {
        status = LinkMissing((*part)->path(), temporary);
    }
    if (status.ok() && rename(temporary.c_str(), target.c_str()) != 0) {
        status = hearth::errors::System("renaming " + temporary, errno);
    }
    if (!status.ok()) {
        RemoveTree(temporary);
    }
    return status;
}

}  // namespace

// Shared with the directories handed out, which may outlive a call but not the blocking pool.
struct CodeStore::State {
    struct Entry {
        bool unpacked = false;
        bool unpacking = false;
        // Nobody may get it any more; removed when the last holder lets go.
        bool dropped = false;
        std::weak_ptr<const CodeDirectory> held;
        std::vector<std::shared_ptr<rt::Completion<bool>>> waiting;
    };

    State(rt::BlockingPool& pool, std::string directory_name)
        : blocking_pool(pool), directory(std::move(directory_name)) {}

    std::string PathOf(std::string_view id) const { return fmt::format("{}/{}", directory, id); }

    // Called with the mutex held, when the entry is unpacked.
    std::shared_ptr<const CodeDirectory> Hold(
        const std::shared_ptr<State>& self, Entry& entry, const std::string& id);
    void Released(const std::string& id);

    // Called with the mutex held: nobody may get it any more.
    void Forget(const std::string& id) {
        Entry& entry = entries[id];
        if (entry.unpacking || !entry.held.expired()) {
            entry.dropped = true;
            return;
        }
        entries.erase(id);
        RemoveLater(id);
    }

    void RemoveLater(const std::string& id) {
        blocking_pool.Post([path = PathOf(id)] { RemoveTree(path); });
    }

    rt::BlockingPool& blocking_pool;
    const std::string directory;
    std::mutex mutex;
    std::map<std::string, Entry> entries;
    // Of what each merged directory consists.
    std::map<std::string, std::vector<std::string>> merged;
};

class CodeStore::Held final : public CodeDirectory {
  public:
    Held(std::shared_ptr<State> state, std::string id)
        : state_(std::move(state)), id_(std::move(id)), path_(state_->PathOf(id_)) {}

    ~Held() override { state_->Released(id_); }

    const std::string& path() const override { return path_; }

  private:
    std::shared_ptr<State> state_;
    std::string id_;
    std::string path_;
};

// A directory of the machine, not ours to keep or remove.
class CodeStore::Live final : public CodeDirectory {
  public:
    explicit Live(std::string path) : path_(std::move(path)) {}

    const std::string& path() const override { return path_; }

  private:
    std::string path_;
};

std::shared_ptr<const CodeDirectory> CodeStore::State::Hold(
    const std::shared_ptr<State>& self, Entry& entry, const std::string& id) {
    auto held = entry.held.lock();
    if (!held) {
        held = std::make_shared<const Held>(self, id);
        entry.held = held;
    }
    return held;
}

void CodeStore::State::Released(const std::string& id) {
    const std::lock_guard lock(mutex);
    const auto it = entries.find(id);
    // Another holder may have come between the last release and this call.
    if (it != entries.end() && it->second.dropped && it->second.held.expired()) {
        entries.erase(it);
        RemoveLater(id);
    }
}

CodeStore::CodeStore(
    storage::BlobStore& blobs,
    rt::BlockingPool& blocking_pool,
    Random& random,
    std::string directory)
    : blobs_(blobs),
      blocking_pool_(blocking_pool),
      random_(random),
      state_(std::make_shared<State>(blocking_pool, std::move(directory))) {}

CodeStore::~CodeStore() = default;

Result<std::vector<std::string>> CodeStore::Prepare(std::string_view boot_id) {
    const fs::path root = state_->directory;
    const fs::path boot_id_path = root / kBootIdName;
    std::string filled_under;
    {
        std::ifstream in(boot_id_path);
        std::getline(in, filled_under);
    }
    std::error_code error;
    if (filled_under != boot_id && fs::exists(root, error)) {
        const fs::path old = fmt::format("{}-old-{}", state_->directory, random_.Hex(8));
        fs::rename(root, old, error);
        if (error) {
            return hearth::errors::Internal(
                fmt::format("cannot put away {}: {}", root.string(), error.message()));
        }
    }
    // Also what an earlier start put away and did not get to remove.
    const std::string old_prefix = root.filename().string() + "-old-";
    const fs::path parent = root.has_parent_path() ? root.parent_path() : fs::path(".");
    for (const auto& item : fs::directory_iterator(parent, error)) {
        if (item.path().filename().string().starts_with(old_prefix)) {
            blocking_pool_.Post([path = item.path()] { RemoveTree(path); });
        }
    }
    if (mkdir(root.c_str(), 0755) != 0 && errno != EEXIST) {
        return hearth::errors::System("making " + root.string(), errno);
    }
    chmod(root.c_str(), 0755);
    if (filled_under != boot_id) {
        std::ofstream out(boot_id_path);
        out << boot_id << '\n';
        out.flush();
        if (!out) {
            return hearth::errors::Internal("cannot write " + boot_id_path.string());
        }
    }
    std::vector<std::string> ids;
    for (const auto& item : fs::directory_iterator(root, error)) {
        std::string name = item.path().filename().string();
        if (name.starts_with(kTemporaryPrefix) || name.starts_with(kMergedPrefix)) {
            blocking_pool_.Post([path = item.path()] { RemoveTree(path); });
        } else if (name != kBootIdName) {
            ids.push_back(std::move(name));
        }
    }
    if (error) {
        return hearth::errors::Internal(
            fmt::format("cannot read {}: {}", root.string(), error.message()));
    }
    return ids;
}

Task<Result<CodeStore::Added>> CodeStore::Add(const std::string& zip) {
    const std::string id = fmt::format("{}{}", kIdPrefix, random_.Hex(16));
    const std::string temporary = NewTemporary();
    HEARTH_CO_TRY(const int64_t unzipped_bytes, co_await blocking_pool_.Run([&] {
        return UnpackTo(zip, temporary, state_->PathOf(id));
    }));
    const Status kept = co_await blobs_.Put(id, zip);
    if (!kept.ok()) {
        state_->RemoveLater(id);
        co_return kept.error();
    }
    const std::lock_guard lock(state_->mutex);
    state_->entries[id].unpacked = true;
    co_return Added{id, unzipped_bytes};
}

Task<Status> CodeStore::Sweep(std::vector<std::string> unpacked, IsKnown is_known) {
    constexpr size_t kBetweenYields = 64;
    size_t looked = 0;
    for (std::string& id : unpacked) {
        HEARTH_CO_TRY(const bool known, co_await is_known(id));
        if (!known) {
            co_await Drop(std::move(id));
        }
        if (++looked % kBetweenYields == 0) {
            co_await rt::Yield();
        }
    }
    const storage::BlobStore::IsReferenced is_referenced =
        [&](std::string_view id) -> Task<Result<bool>> {
        if (++looked % kBetweenYields == 0) {
            co_await rt::Yield();
        }
        if (!id.starts_with(kIdPrefix)) {
            co_return true;
        }
        co_return co_await is_known(id);
    };
    // Younger ones may be on their way into a record.
    HEARTH_CO_TRY(const size_t swept, co_await blobs_.Sweep(is_referenced, std::chrono::hours(1)));
    if (swept > 0) {
        log::Info("lambda: removed {} uploads that no function came of", swept);
    }
    co_return Status();
}

Task<Result<int64_t>> CodeStore::Check(const std::string& zip) {
    HEARTH_CO_TRY(const auto outcome, co_await blocking_pool_.Run([&] {
        return codec::zip::Unpack(
            zip,
            -1,
            {.bytes_max = limits::kUnzippedBytesMax, .entries_max = limits::kZipEntriesMax});
    }));
    HEARTH_CO_RETURN_IF_ERROR(FlawError(outcome.flaw));
    co_return static_cast<int64_t>(outcome.bytes);
}

Task<Result<std::string>> CodeStore::ReadZip(const std::string& id) {
    co_return co_await blobs_.Read(id, limits::kUnzippedBytesMax);
}

Task<void> CodeStore::Drop(std::string id) {
    const Status deleted = co_await blobs_.Delete(id);
    if (!deleted.ok()) {
        // The sweep of the next start finds it again.
        log::Warn("lambda: cannot delete code {}: {}", id, deleted.error().message());
    }
    const std::lock_guard lock(state_->mutex);
    state_->Forget(id);
    std::erase_if(state_->merged, [&](const auto& one) {
        const bool part = std::ranges::find(one.second, id) != one.second.end();
        if (part) {
            state_->Forget(one.first);
        }
        return part;
    });
}

Task<Result<std::shared_ptr<const CodeDirectory>>> CodeStore::Open(std::string code_id) {
    if (const std::string_view directory = HotReload::DirectoryOf(code_id); !directory.empty()) {
        co_return std::make_shared<const Live>(std::string(directory));
    }
    const std::string path = state_->PathOf(code_id);
    const Fill unpack = [&]() -> Task<Status> {
        HEARTH_CO_TRY(const std::string zip, co_await ReadZip(code_id));
        const std::string temporary = NewTemporary();
        const auto unpacked =
            co_await blocking_pool_.Run([&] { return UnpackTo(zip, temporary, path); });
        co_return unpacked.ok() ? Status() : Status(unpacked.error());
    };
    co_return co_await OpenEntry(code_id, unpack);
}

Task<Result<std::shared_ptr<const CodeDirectory>>> CodeStore::OpenMerged(
    std::vector<std::string> code_ids) {
    std::string name;
    std::vector<std::shared_ptr<const CodeDirectory>> parts;
    for (const std::string& id : code_ids) {
        HEARTH_CO_TRY(auto part, co_await Open(id));
        parts.push_back(std::move(part));
        name += id + "\n";
    }
    const std::string merged_id =
        fmt::format("{}{}", kMergedPrefix, codec::Sha256Hex(name).substr(0, 32));
    const Fill merge = [&]() -> Task<Status> {
        const std::string temporary = NewTemporary();
        co_return co_await blocking_pool_.Run(
            [&] { return MergeTo(parts, temporary, state_->PathOf(merged_id)); });
    };
    HEARTH_CO_TRY(auto merged, co_await OpenEntry(merged_id, merge));
    {
        const std::lock_guard lock(state_->mutex);
        state_->merged[merged_id] = std::move(code_ids);
    }
    co_return merged;
}

std::string CodeStore::NewTemporary() {
    return state_->PathOf(fmt::format("{}{}", kTemporaryPrefix, random_.Hex(8)));
}

Task<Result<std::shared_ptr<const CodeDirectory>>> CodeStore::OpenEntry(
    const std::string& id, const Fill& fill) {
    const std::shared_ptr<State> state = state_;

    // Ends with the first caller that fills it, whichever way that ends: with the coroutine's end
    // too.
    struct Filling {
        std::shared_ptr<State> state;
        const std::string& id;
        bool done = false;

        ~Filling() {
            const std::lock_guard lock(state->mutex);
            State::Entry& entry = state->entries[id];
            entry.unpacking = false;
            entry.unpacked = done;
            for (const auto& waiting : std::exchange(entry.waiting, {})) {
                waiting->Set(done);
            }
            if (!done) {
                state->entries.erase(id);
            }
        }
    };

    for (;;) {
        std::shared_ptr<rt::Completion<bool>> completion;
        {
            const std::lock_guard lock(state->mutex);
            State::Entry& entry = state->entries[id];
            if (entry.unpacked) {
                co_return state->Hold(state, entry, id);
            }
            if (!entry.unpacking) {
                entry.unpacking = true;
            } else {
                completion = std::make_shared<rt::Completion<bool>>();
                entry.waiting.push_back(completion);
            }
        }
        if (!completion) {
            break;
        }
        // Whoever fills it may fail for a reason of its own; then this caller tries itself.
        co_await completion->Wait();
    }
    Filling filling{state, id};
    const std::string path = state->PathOf(id);
    const bool there =
        co_await blocking_pool_.Run([&path] { return access(path.c_str(), F_OK) == 0; });
    if (!there) {
        HEARTH_CO_RETURN_IF_ERROR(co_await fill());
    }
    filling.done = true;
    const std::lock_guard lock(state->mutex);
    co_return state->Hold(state, state->entries[id], id);
}

}  // namespace hearth::lambda
