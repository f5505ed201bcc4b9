#pragma once

#include <array>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace hearth::s3 {

// The bytes of small objects that were read lately, as a client gets them: the store is not asked
// for them again and nothing is decrypted twice. A body never changes under the name that its
// record has for it (ObjectRecord::unique), so nothing here is ever out of date; what nobody asks
// for any more is pushed out. What was written with a customer's key does not come here. Any
// thread.
class SmallBodyCache final {
  public:
    // Of all bodies together, with what keeping one costs.
    static constexpr size_t kBytesMax = size_t{4} << 20;

    using Bytes = std::shared_ptr<const std::string>;

    explicit SmallBodyCache(size_t bytes_max = kBytesMax);

    // Null: read the body.
    Bytes Find(std::string_view unique);
    void Insert(std::string_view unique, Bytes bytes);

  private:
    // Most requests of two loops do not meet in one.
    static constexpr size_t kShards = 8;

    struct Body {
        std::string unique;
        Bytes bytes;
    };

    struct Shard {
        std::mutex mutex;
        // The one that was used last is the first.
        std::list<Body> bodies;
        std::unordered_map<std::string_view, std::list<Body>::iterator> by_unique;
        size_t bytes = 0;
    };

    static size_t Cost(const Body& body);

    Shard& ShardOf(std::string_view unique);

    const size_t shard_bytes_max_;
    std::array<Shard, kShards> shards_;
};

}  // namespace hearth::s3
