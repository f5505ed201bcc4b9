#pragma once

#include "base/result.h"
#include "rt/task.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Ordered keys with serialisable optimistic transactions. The contract is strict so that a
// distributed engine fits behind it later; storage/memory enforces all of it.
namespace hearth::storage {

inline constexpr size_t kKeyBytesMax = 2 * 1024;
inline constexpr size_t kValueBytesMax = 1'280 * 1024;
inline constexpr size_t kTransactionBytesMax = 8 * 1024 * 1024;
inline constexpr size_t kTransactionKeysMax = 1'000;
inline constexpr int kConflictRetriesMax = 64;
inline constexpr size_t kRangePageDefault = 256;

struct KeyValue {
    std::string key;
    std::string value;
};

// Keys in [begin, end). Reverse walks from the end down.
struct RangeRequest {
    std::string begin;
    std::string end;
    size_t limit = kRangePageDefault;
    size_t page_bytes_max = 4 * 1024 * 1024;
    bool reverse = false;
};

// One page, a snapshot of its own. `next`: where the following page begins (forward: the new
// `begin`; reverse: the new `end`); empty optional at the end of the range.
struct RangePage {
    std::vector<KeyValue> items;
    std::optional<std::string> next;
};

// What a transaction's body sees: its own writes over a consistent state. Reads are remembered and
// checked at commit.
class Transaction {
  public:
    virtual ~Transaction() = default;
    virtual Task<Result<std::optional<std::string>>> Get(std::string_view key) = 0;
    virtual Task<Result<RangePage>> Range(RangeRequest request) = 0;
    virtual void Put(std::string_view key, std::string value) = 0;
    virtual void Delete(std::string_view key) = 0;
};

class Kv {
  public:
    // Reads and writes through the transaction only; pure otherwise, because a conflict runs it
    // again. An error it returns ends the transaction without a write.
    using Body = std::function<Task<Status>(Transaction&)>;

    virtual ~Kv() = default;

    // Point read of committed state.
    virtual Task<Result<std::optional<std::string>>> Get(std::string_view key) = 0;
    virtual Task<Result<RangePage>> Range(RangeRequest request) = 0;

    // Runs `body` until it commits, at most kConflictRetriesMax times (then Error kConflict).
    // On success the writes are durable as the store's durability class says. Error kUnavailable
    // with code "Unknown" when the answer was lost: the writes may or may not be there. `body` must
    // stay alive until the Task ends: pass a named object or a lambda bound in the caller's frame;
    // lambdas that capture references to that frame are fine.
    virtual Task<Status> Transact(Body body) = 0;

    // A write without reads; one key in its own transaction.
    Task<Status> Put(std::string_view key, std::string value);
    Task<Status> Delete(std::string_view key);
};

}  // namespace hearth::storage
