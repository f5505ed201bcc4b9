#include "services/lambda/snapshot_templates.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace hearth::lambda {

using std::chrono::steady_clock;

std::string MemoryUseOf(const std::string& image) {
    return image + std::string(kMemoryUseSuffix);
}

void RemoveImage(const std::string& image) {
    ::unlink(image.c_str());
    ::unlink(MemoryUseOf(image).c_str());
}

SnapshotTemplates::SnapshotTemplates(sandbox::Sandbox& sandbox, uint64_t bytes_max)
    : sandbox_(sandbox), bytes_max_(bytes_max) {}

SnapshotTemplates::~SnapshotTemplates() = default;

Task<Result<SnapshotTemplates::TemplatePtr>> SnapshotTemplates::Get(
    std::string image, std::function<sandbox::EnvironmentSpec()> spec) {
    while (true) {
        std::shared_ptr<Entry>& place = entries_[image];
        if (place == nullptr) {
            place = std::make_shared<Entry>();
            const std::shared_ptr<Entry> entry = place;
            auto made = co_await Load(image, *entry, spec);
            entry->loading = false;
            const auto found = entries_.find(image);
            const bool still_wanted = found != entries_.end() && found->second == entry;
            if (made.ok() && still_wanted) {
                entry->made = *made;
                bytes_ += entry->bytes;
                MakeRoom(image);
            } else if (still_wanted) {
                entries_.erase(found);
            }
            entry->loaded.Set();
            co_return made;
        }
        const std::shared_ptr<Entry> entry = place;
        if (entry->loading) {
            co_await entry->loaded.Wait();
            // Whoever loaded it failed, perhaps: then it is ours to try.
            continue;
        }
        entry->used = ++clock_;
        co_return entry->made;
    }
}

Task<Result<SnapshotTemplates::TemplatePtr>> SnapshotTemplates::Load(
    const std::string& image, Entry& entry, const std::function<sandbox::EnvironmentSpec()>& spec) {
    entry.used = ++clock_;
    os::Fd file(::open(image.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat facts{};
    if (!file.valid() || ::fstat(file.get(), &facts) != 0) {
        co_return Error(
            Error::Kind::kConflict,
            "",
            fmt::format("the snapshot's image cannot be opened: {}", std::strerror(errno)),
            500);
    }
    entry.bytes = static_cast<uint64_t>(facts.st_size);
    const auto started = steady_clock::now();
    os::Fd memory_use(
        ::open(MemoryUseOf(image).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    HEARTH_CO_TRY(
        auto made,
        co_await sandbox_.MakeTemplate(
            spec(), {.image = std::move(file), .memory_use = std::move(memory_use)}));
    last_load_ = steady_clock::now() - started;
    co_return TemplatePtr(std::move(made));
}

void SnapshotTemplates::MakeRoom(const std::string& keep) {
    while (bytes_ > bytes_max_) {
        auto oldest = entries_.end();
        for (auto it = entries_.begin(); it != entries_.end(); ++it) {
            if (it->first != keep && !it->second->loading &&
                (oldest == entries_.end() || it->second->used < oldest->second->used)) {
                oldest = it;
            }
        }
        if (oldest == entries_.end()) {
            return;
        }
        bytes_ -= oldest->second->bytes;
        entries_.erase(oldest);
    }
}

void SnapshotTemplates::Drop(const std::string& image, const TemplatePtr& of_no_use) {
    const auto found = entries_.find(image);
    if (found != entries_.end() && found->second->made == of_no_use && of_no_use != nullptr) {
        Forget(image);
    }
}

void SnapshotTemplates::ForgetAll() {
    std::erase_if(entries_, [this](const auto& one) {
        if (one.second->loading) {
            return false;
        }
        bytes_ -= one.second->bytes;
        return true;
    });
}

void SnapshotTemplates::Forget(const std::string& image) {
    const auto found = entries_.find(image);
    if (found != entries_.end()) {
        if (!found->second->loading) {
            bytes_ -= found->second->bytes;
        }
        entries_.erase(found);
    }
}

}  // namespace hearth::lambda
