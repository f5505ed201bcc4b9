#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "rt/task.h"
#include "rt/task_group.h"
#include "services/s3/records.h"
#include "storage/kv.h"
#include "storage/objects/object_bodies.h"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

namespace hearth::s3 {

// Takes away the parts of multipart uploads and of the objects they became. There may be 10,000,
// more than one transaction writes; so the transaction that makes them unreachable (it deletes the
// upload's or the object's record) leaves one small note, and the parts go afterwards, some hundred
// at a time, with their bodies.
// Guarantee: after a crash in between, the next start goes on from the notes; nothing else is
// searched. Safe on any loop.
// Notes: (above accounts, "s3", "dropped-parts", bucket id, parts id); an empty parts id means all
// uploads and parts of a bucket that was deleted.
class PartRemoval final {
  public:
    PartRemoval(storage::Kv& kv, storage::ObjectBodies& bodies) : kv_(kv), bodies_(bodies) {}

    // In the transaction that takes their record away: one key.
    void Drop(
        storage::Transaction& transaction, const BucketRecord& bucket, std::string_view parts_id);
    // In the transaction that deletes a bucket, whose uploads in progress go with it.
    void DropAll(storage::Transaction& transaction, const BucketRecord& bucket);

    // Parts that are about to be made and noted with Drop, so that they go unless they become an
    // object's (Keep, in the transaction that makes them that). Called before; with it this process
    // never takes the note for one that an earlier process left.
    void Hold(std::string parts_id);
    void Keep(
        storage::Transaction& transaction, const BucketRecord& bucket, std::string_view parts_id);

    // After that transaction's commit: gives the room back and removes the note. A failure is
    // logged; the next start tries again.
    Task<void> Remove(BucketRecord bucket, std::string parts_id);

    Task<void> RemoveAll(BucketRecord bucket) { return Remove(std::move(bucket), std::string()); }

    // Goes on with what an earlier process left, in the background of this loop.
    Task<Status> Start();
    Task<void> Stop();

  private:
    Task<Status> RemoveTable(storage::RangeRequest range);
    Task<Status> RemoveParts(const BucketRecord& bucket, storage::RangeRequest range);
    Task<Status> RemoveNoted(const BucketRecord& bucket, const std::string& parts_id);
    Task<void> GoOn();
    Task<void> GoThroughNotes();
    bool IsHeld(const std::string& parts_id);

    storage::Kv& kv_;
    storage::ObjectBodies& bodies_;
    rt::TaskGroup background_;
    std::atomic<bool> stopping_ = false;
    // Held for moments. Ids of this process, until GoOn has been through the notes.
    std::mutex mutex_;
    std::set<std::string> held_;
    bool been_through_ = false;
};

}  // namespace hearth::s3
