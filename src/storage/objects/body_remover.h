#pragma once

#include "rt/blocking_pool.h"
#include "rt/completion.h"
#include "rt/task_group.h"
#include "storage/kv.h"
#include "storage/objects/body_epochs.h"
#include "storage/objects/body_files.h"
#include "storage/objects/body_pins.h"
#include "storage/objects/body_places.h"
#include "storage/objects/stored_body.h"

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace hearth::storage {

// Keys: docs/internals/storage-keys.md, "objects".
std::string ClaimKey(uint64_t id);
std::string TrashKey(uint64_t first_id);
// Of the bodies with files, the first one's; 0 when none has one.
uint64_t FirstFileId(const std::vector<StoredBody>& bodies);

// Gives back the room of bodies that nobody claims: those in the trash (dropped by a transaction),
// those that were finished and not kept, and at the start those in epochs that were left open.
//
// Order: files go and their directories are synced, then the claims, then the trash's entry. Cut
// anywhere it begins again.
class BodyRemover final {
  public:
    BodyRemover(
        Kv& kv,
        const BodyPlaces& places,
        BodyEpochs& epochs,
        BodyPins& pins,
        rt::BlockingPool& pool);

    // Any thread. The transaction with the trash's entry was committed.
    void Dropped(std::vector<StoredBody> bodies);
    // Any thread. A finished body whose owner went away: it goes if no record claims it.
    void Abandoned(uint64_t id, BodyTier tier);

    // Both on one loop.
    void Start();
    Task<void> Stop();

  private:
    using Trash = std::vector<StoredBody>;

    Task<void> Work();
    Task<Status> EmptyTrash();
    Task<Status> SweepEpoch(uint64_t epoch);
    Task<Status> RemoveTrash(std::vector<Trash> trash);
    Task<Status> ForgetTrash(const Trash& trash);

    struct File {
        uint64_t id;
        BodyTier tier;
    };

    Task<Status> SettleAbandoned(std::vector<File> files);
    Task<Status> RemoveFiles(std::vector<File> files);
    Status RemoveFilesFrom(BodyTier tier, const std::vector<File>& files);
    bool Take(std::vector<Trash>& trash, std::vector<File>& abandoned);
    void Wake();

    Kv& kv_;
    const BodyPlaces& places_;
    BodyEpochs& epochs_;
    BodyPins& pins_;
    rt::BlockingPool& pool_;

    std::mutex mutex_;
    std::deque<Trash> dropped_;
    std::deque<File> abandoned_;
    // Read by somebody; by the first id.
    std::map<uint64_t, Trash> parked_;
    std::shared_ptr<rt::Completion<bool>> wake_;
    bool stopping_ = false;

    rt::TaskGroup tasks_;
};

}  // namespace hearth::storage
