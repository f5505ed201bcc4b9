#include "storage/objects/body_epochs.h"

#include "base/check.h"
#include "base/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace hearth::storage {
namespace {

constexpr char kOpenDirectory[] = "open";
constexpr int kIdBits = 12;
constexpr int kEpochBits = 12;
static_assert(BodyEpochs::kBodiesPerEpoch == uint64_t{1} << kIdBits);

std::optional<uint64_t> NumberOf(std::string_view name) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number, 16);
    if (error != std::errc() || end != name.data() + name.size()) {
        return std::nullopt;
    }
    return number;
}

Result<std::vector<uint64_t>> NumbersIn(BodyFiles& files, const std::string& path) {
    HEARTH_TRY(const std::vector<std::string> names, files.List(path));
    std::vector<uint64_t> numbers;
    for (const std::string& name : names) {
        if (const auto number = NumberOf(name)) {
            numbers.push_back(*number);
        }
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

uint64_t EpochOf(uint64_t id) {
    return id >> kIdBits;
}

std::string MarkOf(uint64_t epoch) {
    return fmt::format("{}/{:x}", kOpenDirectory, epoch);
}

}  // namespace

std::string BodyEpochs::ParentOf(uint64_t id) {
    return fmt::format("{:06x}", id >> (kIdBits + kEpochBits));
}

std::string BodyEpochs::DirectoryOf(uint64_t id) {
    return fmt::format("{}/{:03x}", ParentOf(id), EpochOf(id) & ((uint64_t{1} << kEpochBits) - 1));
}

std::string BodyEpochs::PathOf(uint64_t id) {
    return fmt::format("{}/{:03x}", DirectoryOf(id), id & (kBodiesPerEpoch - 1));
}

Result<std::unique_ptr<BodyEpochs>> BodyEpochs::Open(BodyFiles& files) {
    std::unique_ptr<BodyEpochs> epochs(new BodyEpochs(files));
    HEARTH_TRY(const bool is_new, files.MakeDirectory(kOpenDirectory));
    if (is_new) {
        HEARTH_RETURN_IF_ERROR(files.SyncDirectory("."));
    }
    HEARTH_TRY(epochs->left_open_, NumbersIn(files, kOpenDirectory));
    HEARTH_TRY(const std::vector<uint64_t> parents, NumbersIn(files, "."));
    if (!parents.empty()) {
        const uint64_t first = parents.back() << kEpochBits;
        HEARTH_TRY(
            const std::vector<uint64_t> children, NumbersIn(files, ParentOf(first << kIdBits)));
        epochs->newest_ = first + (children.empty() ? 0 : children.back());
    }
    if (!epochs->left_open_.empty()) {
        epochs->newest_ = std::max(epochs->newest_, epochs->left_open_.back());
    }
    return epochs;
}

BodyEpochs::~BodyEpochs() {
    CloseIfSettled(current_, true);
}

// Makes the next epoch the current one; the lock is let go meanwhile, and others wait.
Status BodyEpochs::Begin(std::unique_lock<std::mutex>& lock) {
    const uint64_t epoch = newest_ + 1;
    const uint64_t before = current_;
    beginning_ = true;
    lock.unlock();
    const auto make = [&]() -> Status {
        const uint64_t first_id = epoch << kIdBits;
        // The mark first: there is never a body in an epoch that nobody would look into.
        auto mark = files_.Make(MarkOf(epoch));
        if (!mark.ok()) {
            return std::move(mark).error();
        }
        HEARTH_RETURN_IF_ERROR(files_.SyncDirectory(kOpenDirectory));
        HEARTH_TRY(const bool new_parent, files_.MakeDirectory(ParentOf(first_id)));
        if (new_parent) {
            HEARTH_RETURN_IF_ERROR(files_.SyncDirectory("."));
        }
        HEARTH_TRY(const bool made, files_.MakeDirectory(DirectoryOf(first_id)));
        CHECK(made, "epoch {:x} of bodies is there already", epoch);
        return files_.SyncDirectory(ParentOf(first_id));
    };
    Status begun = make();
    lock.lock();
    beginning_ = false;
    // Also after an error: what of it is on the disk is not known.
    newest_ = epoch;
    if (begun.ok()) {
        current_ = epoch;
        epochs_[epoch];
        CloseIfSettled(before, false);
    }
    changed_.notify_all();
    return begun;
}

Result<uint64_t> BodyEpochs::NewId() {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [&] { return !beginning_; });
        if (current_ != 0 && epochs_[current_].issued < kBodiesPerEpoch) {
            break;
        }
        HEARTH_RETURN_IF_ERROR(Begin(lock));
    }
    Epoch& epoch = epochs_[current_];
    ++epoch.unsettled;
    return current_ << kIdBits | epoch.issued++;
}

Status BodyEpochs::SyncName(uint64_t id) {
    const uint64_t epoch = EpochOf(id);
    std::unique_lock lock(mutex_);
    Syncing& syncing = syncing_[epoch];
    ++syncing.users;
    const uint64_t mine = ++syncing.asked;
    Status status;
    while (true) {
        changed_.wait(lock, [&] { return !syncing.running || syncing.done >= mine; });
        if (syncing.done >= mine) {
            status = syncing.last;
            break;
        }
        syncing.running = true;
        const uint64_t covered = syncing.asked;
        lock.unlock();
        Status synced = files_.SyncDirectory(DirectoryOf(id));
        lock.lock();
        syncing.running = false;
        // An error is told to everybody it concerns and to those behind: the kernel reports a
        // failed write of a directory once.
        if (syncing.last.ok()) {
            syncing.last = std::move(synced);
        }
        syncing.done = covered;
        changed_.notify_all();
    }
    if (--syncing.users == 0) {
        syncing_.erase(epoch);
    }
    return status;
}

void BodyEpochs::Settle(uint64_t id) {
    const std::lock_guard lock(mutex_);
    const auto found = epochs_.find(EpochOf(id));
    if (found == epochs_.end()) {
        return;
    }
    CHECK(found->second.unsettled > 0);
    --found->second.unsettled;
    CloseIfSettled(found->first, false);
}

bool BodyEpochs::MayGo(uint64_t id) const {
    const std::lock_guard lock(mutex_);
    return EpochOf(id) < newest_ && !epochs_.contains(EpochOf(id));
}

// Removing a mark is one small call and not synced: one that comes back is looked into in vain.
void BodyEpochs::CloseIfSettled(uint64_t epoch, bool also_current) {
    const auto found = epochs_.find(epoch);
    if (found == epochs_.end() || found->second.unsettled > 0 ||
        (epoch == current_ && !also_current)) {
        return;
    }
    epochs_.erase(found);
    if (epoch == current_) {
        current_ = 0;
    }
    CloseLeftOpen(epoch);
}

void BodyEpochs::CloseLeftOpen(uint64_t epoch) {
    const auto removed = files_.Remove(MarkOf(epoch));
    if (!removed.ok()) {
        log::Warn("objects: epoch {:x} stays open: {}", epoch, removed.error().message());
    }
}

Result<std::vector<uint64_t>> BodyEpochs::IdsIn(BodyFiles& files, uint64_t epoch) const {
    HEARTH_TRY(std::vector<uint64_t> ids, NumbersIn(files, DirectoryOf(epoch << kIdBits)));
    std::erase_if(ids, [](uint64_t number) { return number >= kBodiesPerEpoch; });
    for (uint64_t& id : ids) {
        id |= epoch << kIdBits;
    }
    return ids;
}

}  // namespace hearth::storage
