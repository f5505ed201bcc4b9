#pragma once

#include "storage/optimistic/transaction_buffer.h"

#include <cstdint>
#include <deque>
#include <map>
#include <string>

namespace hearth::storage {

// Which keys were written by which batch, as far back as some open transaction may have to know.
// Used by the committer thread alone.
class RecentWrites final {
  public:
    // True when something in `reads` was written by a batch after `snapshot`, or when that can no
    // longer be told.
    bool ChangedSince(const optimistic::ReadSet& reads, uint64_t snapshot) const;

    // `batch` never decreases from call to call.
    void Add(const optimistic::WriteSet& writes, uint64_t batch);

    // Nobody asks about snapshots below `oldest` any more. Beyond kKeysMax the oldest are forgotten
    // all the same; a transaction that needed them meets a conflict and runs again.
    void Forget(uint64_t oldest);

    size_t size() const { return last_batch_.size(); }

    static constexpr size_t kKeysMax = 100'000;

  private:
    using LastBatch = std::map<std::string, uint64_t, std::less<>>;

    // Per key, the last batch that wrote it.
    LastBatch last_batch_;
    // Writes in the order of batches.
    std::deque<std::pair<uint64_t, LastBatch::iterator>> order_;
    // Writes of batches up to this one are forgotten.
    uint64_t forgotten_ = 0;
};

}  // namespace hearth::storage
