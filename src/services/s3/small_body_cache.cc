#include "services/s3/small_body_cache.h"

#include <utility>

namespace hearth::s3 {

SmallBodyCache::SmallBodyCache(size_t bytes_max) : shard_bytes_max_(bytes_max / kShards) {}

size_t SmallBodyCache::Cost(const Body& body) {
    // The list's node, the map's, and the two texts' own.
    constexpr size_t kOverheadBytes = 256;
    return kOverheadBytes + body.bytes->size();
}

SmallBodyCache::Shard& SmallBodyCache::ShardOf(std::string_view unique) {
    // Random bytes: one of them is as good as a hash.
    return shards_[unique.empty() ? 0 : static_cast<unsigned char>(unique.back()) % kShards];
}

SmallBodyCache::Bytes SmallBodyCache::Find(std::string_view unique) {
    Shard& shard = ShardOf(unique);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.by_unique.find(unique);
    if (found == shard.by_unique.end()) {
        return nullptr;
    }
    shard.bodies.splice(shard.bodies.begin(), shard.bodies, found->second);
    return found->second->bytes;
}

void SmallBodyCache::Insert(std::string_view unique, Bytes bytes) {
    Body body{.unique = std::string(unique), .bytes = std::move(bytes)};
    const size_t cost = Cost(body);
    Shard& shard = ShardOf(unique);
    const std::lock_guard lock(shard.mutex);
    if (cost > shard_bytes_max_ || shard.by_unique.contains(unique)) {
        return;
    }
    shard.bodies.push_front(std::move(body));
    shard.by_unique.emplace(shard.bodies.front().unique, shard.bodies.begin());
    shard.bytes += cost;
    while (shard.bytes > shard_bytes_max_) {
        const Body& oldest = shard.bodies.back();
        shard.bytes -= Cost(oldest);
        shard.by_unique.erase(oldest.unique);
        shard.bodies.pop_back();
    }
}

}  // namespace hearth::s3
