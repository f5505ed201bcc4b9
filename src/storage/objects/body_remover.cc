#include "storage/objects/body_remover.h"

#include "base/log.h"
#include "storage/keys/key.h"

#include <algorithm>
#include <chrono>
#include <set>

namespace hearth::storage {
namespace {

constexpr size_t kBatchBodiesMax = 1'000;
constexpr size_t kClaimsPerTransaction = 500;
// After an error: the disk or the store may come back.
constexpr std::chrono::seconds kRetryAfter{30};

keys::Key Objects(std::string_view kind) {
    return keys::Key::AboveAccounts().Add("objects").Add(kind);
}

}  // namespace

std::string ClaimKey(uint64_t id) {
    return Objects("claim").Add(static_cast<int64_t>(id));
}

std::string TrashKey(uint64_t first_id) {
    return Objects("trash").Add(static_cast<int64_t>(first_id));
}

uint64_t FirstFileId(const std::vector<StoredBody>& bodies) {
    for (const StoredBody& body : bodies) {
        if (!body.is_inline()) {
            return body.id;
        }
    }
    return 0;
}

BodyRemover::BodyRemover(
    Kv& kv, const BodyPlaces& places, BodyEpochs& epochs, BodyPins& pins, rt::BlockingPool& pool)
    : kv_(kv), places_(places), epochs_(epochs), pins_(pins), pool_(pool) {
    pins_.OnUnpinned([this](uint64_t first_id) {
        const std::lock_guard lock(mutex_);
        const auto found = parked_.find(first_id);
        if (found != parked_.end()) {
            dropped_.push_back(std::move(found->second));
            parked_.erase(found);
            Wake();
        }
    });
}

void BodyRemover::Dropped(std::vector<StoredBody> bodies) {
    if (FirstFileId(bodies) == 0) {
        return;
    }
    const std::lock_guard lock(mutex_);
    dropped_.push_back(std::move(bodies));
    Wake();
}

void BodyRemover::Abandoned(uint64_t id, BodyTier tier) {
    const std::lock_guard lock(mutex_);
    abandoned_.push_back({id, tier});
    Wake();
}

// With the lock.
void BodyRemover::Wake() {
    if (wake_ != nullptr) {
        wake_->Set(true);
    }
}

void BodyRemover::Start() {
    tasks_.Spawn(Work());
}

Task<void> BodyRemover::Stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        Wake();
    }
    co_await tasks_.Join();
}

bool BodyRemover::Take(std::vector<Trash>& trash, std::vector<File>& abandoned) {
    const std::lock_guard lock(mutex_);
    size_t bodies = 0;
    while (!dropped_.empty() && bodies < kBatchBodiesMax) {
        bodies += dropped_.front().size();
        trash.push_back(std::move(dropped_.front()));
        dropped_.pop_front();
    }
    while (!abandoned_.empty() && abandoned.size() < kBatchBodiesMax) {
        abandoned.push_back(abandoned_.front());
        abandoned_.pop_front();
    }
    wake_ = std::make_shared<rt::Completion<bool>>();
    return !stopping_;
}

Task<void> BodyRemover::Work() {
    Status done = co_await EmptyTrash();
    for (const uint64_t epoch : epochs_.left_open()) {
        Status swept = co_await SweepEpoch(epoch);
        if (!swept.ok()) {
            log::Warn(
                "objects: what a dead process left is not removed yet: {}",
                swept.error().message());
        }
    }
    if (!done.ok()) {
        log::Warn("objects: what was deleted is not all removed: {}", done.error().message());
    }
    while (true) {
        std::vector<Trash> trash;
        std::vector<File> abandoned;
        if (!Take(trash, abandoned)) {
            co_return;
        }
        const std::shared_ptr<rt::Completion<bool>> wake = wake_;
        if (trash.empty() && abandoned.empty()) {
            co_await wake->Wait();
            continue;
        }
        Status removed = co_await RemoveTrash(std::move(trash));
        if (Status settled = co_await SettleAbandoned(std::move(abandoned)); !settled.ok()) {
            removed = std::move(settled);
        }
        if (!removed.ok()) {
            // What is left of it stands in the store, and in epochs that stay open.
            log::Warn("objects: room is not given back: {}", removed.error().message());
            co_await wake->WaitFor(kRetryAfter);
        }
    }
}

Task<Status> BodyRemover::EmptyTrash() {
    RangeRequest range = Objects("trash").Children();
    while (true) {
        range.limit = 64;
        HEARTH_CO_TRY(RangePage page, co_await kv_.Range(range));
        std::vector<Trash> trash;
        for (const KeyValue& item : page.items) {
            HEARTH_CO_TRY(Trash bodies, DecodeBodies(item.value));
            trash.push_back(std::move(bodies));
        }
        HEARTH_CO_RETURN_IF_ERROR(co_await RemoveTrash(std::move(trash)));
        if (!page.next) {
            co_return Status();
        }
        range.begin = *page.next;
    }
}

Task<Status> BodyRemover::SweepEpoch(uint64_t epoch) {
    auto list = [&]() -> Result<std::vector<File>> {
        std::vector<File> files;
        for (const BodyTier tier : kBodyTiers) {
            if (tier != BodyTier::kStandard && !places_.IsApart(tier)) {
                continue;
            }
            HEARTH_TRY(const auto ids, epochs_.IdsIn(places_.Of(tier), epoch));
            for (const uint64_t id : ids) {
                files.push_back({id, tier});
            }
        }
        return files;
    };
    HEARTH_CO_TRY(const std::vector<File> files, co_await pool_.Run(list));
    std::vector<File> unclaimed;
    for (const File& file : files) {
        HEARTH_CO_TRY(const auto claim, co_await kv_.Get(ClaimKey(file.id)));
        if (!claim) {
            unclaimed.push_back(file);
        }
    }
    if (!unclaimed.empty()) {
        log::Info("objects: {} bodies that were never committed are removed", unclaimed.size());
        HEARTH_CO_RETURN_IF_ERROR(co_await RemoveFiles(std::move(unclaimed)));
    }
    auto close = [&] { epochs_.CloseLeftOpen(epoch); };
    co_await pool_.Run(close);
    co_return Status();
}

Task<Status> BodyRemover::RemoveTrash(std::vector<Trash> trash) {
    std::vector<File> files;
    std::vector<Trash> removing;
    for (Trash& bodies : trash) {
        const uint64_t first_id = FirstFileId(bodies);
        if (first_id == 0) {
            continue;
        }
        {
            // Held over both: the last reader's end then comes before or finds it parked.
            const std::lock_guard lock(mutex_);
            if (!pins_.BeginRemoving(first_id)) {
                parked_[first_id] = std::move(bodies);
                continue;
            }
        }
        for (const StoredBody& body : bodies) {
            if (!body.is_inline()) {
                files.push_back({body.id, body.tier});
            }
        }
        removing.push_back(std::move(bodies));
    }
    Status removed = co_await RemoveFiles(std::move(files));
    for (const Trash& bodies : removing) {
        pins_.EndRemoving(FirstFileId(bodies));
    }
    HEARTH_CO_RETURN_IF_ERROR(std::move(removed));
    for (const Trash& bodies : removing) {
        HEARTH_CO_RETURN_IF_ERROR(co_await ForgetTrash(bodies));
    }
    co_return Status();
}

Task<Status> BodyRemover::ForgetTrash(const Trash& trash) {
    for (size_t begin = 0; begin < trash.size(); begin += kClaimsPerTransaction) {
        const size_t end = std::min(trash.size(), begin + kClaimsPerTransaction);
        const bool is_last = end == trash.size();
        auto body = [&](Transaction& transaction) -> Task<Status> {
            for (size_t i = begin; i < end; ++i) {
                if (!trash[i].is_inline()) {
                    transaction.Delete(ClaimKey(trash[i].id));
                }
            }
            if (is_last) {
                transaction.Delete(TrashKey(FirstFileId(trash)));
            }
            co_return Status();
        };
        HEARTH_CO_RETURN_IF_ERROR(co_await kv_.Transact(body));
    }
    co_return Status();
}

Task<Status> BodyRemover::SettleAbandoned(std::vector<File> files) {
    std::vector<File> unclaimed;
    for (const File& file : files) {
        HEARTH_CO_TRY(const auto claim, co_await kv_.Get(ClaimKey(file.id)));
        if (claim) {
            log::Error("objects: body {:x} was committed and then given up; it stays", file.id);
        } else {
            unclaimed.push_back(file);
        }
    }
    HEARTH_CO_RETURN_IF_ERROR(co_await RemoveFiles(std::move(unclaimed)));
    auto settle = [&] {
        for (const File& file : files) {
            epochs_.Settle(file.id);
        }
    };
    co_await pool_.Run(settle);
    co_return Status();
}

Task<Status> BodyRemover::RemoveFiles(std::vector<File> files) {
    if (files.empty()) {
        co_return Status();
    }
    auto remove = [&]() -> Status {
        for (const BodyTier tier : kBodyTiers) {
            HEARTH_RETURN_IF_ERROR(RemoveFilesFrom(tier, files));
        }
        return Status();
    };
    co_return co_await pool_.Run(remove);
}

// Of the files, those in this tier.
Status BodyRemover::RemoveFilesFrom(BodyTier tier, const std::vector<File>& files) {
    BodyFiles& place = places_.Of(tier);
    std::map<std::string, uint64_t> directories;
    for (const File& file : files) {
        if (file.tier != tier) {
            continue;
        }
        HEARTH_TRY(const bool removed, place.Remove(BodyEpochs::PathOf(file.id)));
        if (removed) {
            directories.emplace(BodyEpochs::DirectoryOf(file.id), file.id);
        }
    }
    std::set<std::string> parents;
    for (const auto& [directory, id] : directories) {
        HEARTH_RETURN_IF_ERROR(place.SyncDirectory(directory));
        if (epochs_.MayGo(id)) {
            HEARTH_TRY(const bool gone, place.RemoveDirectory(directory));
            if (gone) {
                parents.insert(BodyEpochs::ParentOf(id));
            }
        }
    }
    for (const std::string& parent : parents) {
        HEARTH_RETURN_IF_ERROR(place.SyncDirectory(parent));
    }
    return Status();
}

}  // namespace hearth::storage
