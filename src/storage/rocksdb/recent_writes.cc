#include "storage/rocksdb/recent_writes.h"

namespace hearth::storage {

bool RecentWrites::ChangedSince(const optimistic::ReadSet& reads, uint64_t snapshot) const {
    if (reads.empty()) {
        return false;
    }
    if (snapshot < forgotten_) {
        return true;
    }
    for (const std::string& key : reads.points) {
        const auto found = last_batch_.find(key);
        if (found != last_batch_.end() && found->second > snapshot) {
            return true;
        }
    }
    for (const auto& [begin, end] : reads.ranges) {
        for (auto it = last_batch_.lower_bound(begin); it != last_batch_.end() && it->first < end;
             ++it) {
            if (it->second > snapshot) {
                return true;
            }
        }
    }
    return false;
}

void RecentWrites::Add(const optimistic::WriteSet& writes, uint64_t batch) {
    for (const auto& [key, value] : writes) {
        const auto [it, added] = last_batch_.try_emplace(key, batch);
        if (!added && it->second == batch) {
            continue;
        }
        it->second = batch;
        order_.emplace_back(batch, it);
    }
}

void RecentWrites::Forget(uint64_t oldest) {
    while (!order_.empty() && (order_.front().first <= oldest || order_.size() > kKeysMax)) {
        const auto [batch, key] = order_.front();
        order_.pop_front();
        forgotten_ = std::max(forgotten_, batch);
        // A later batch that wrote the key again has an entry of its own.
        if (key->second == batch) {
            last_batch_.erase(key);
        }
    }
}

}  // namespace hearth::storage
