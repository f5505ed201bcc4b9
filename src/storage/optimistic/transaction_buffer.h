#pragma once

#include "storage/kv.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What both engines share: a transaction remembers what it read and gathers what it writes; reads
// see its own writes over the engine's snapshot. The engine then checks the read set against what
// was committed since that snapshot, and applies the write set.
namespace hearth::storage::optimistic {

// An empty optional deletes.
using WriteSet = std::map<std::string, std::optional<std::string>, std::less<>>;

struct ReadSet {
    std::vector<std::string> points;
    // [begin, end)
    std::vector<std::pair<std::string, std::string>> ranges;

    bool empty() const { return points.empty() && ranges.empty(); }
};

// The limits of the contract, checked by every engine.
Status CheckKey(std::string_view key);
Status CheckRange(const RangeRequest& request);

// The engine's state at one moment; what it returns stays the same for a transaction's life.
class Snapshot {
  public:
    virtual ~Snapshot() = default;
    virtual Task<Result<std::optional<std::string>>> Read(std::string_view key) = 0;
    // One page; `items` may be fewer than the limit although `next` is set.
    virtual Task<Result<RangePage>> ReadRange(const RangeRequest& request) = 0;
};

class TransactionBuffer final : public Transaction {
  public:
    // `snapshot` must outlive the buffer.
    explicit TransactionBuffer(Snapshot& snapshot) : snapshot_(snapshot) {}

    Task<Result<std::optional<std::string>>> Get(std::string_view key) override;
    Task<Result<RangePage>> Range(RangeRequest request) override;
    void Put(std::string_view key, std::string value) override;
    void Delete(std::string_view key) override;

    // The first broken limit (key, value, bytes or count of keys), which fails the commit: Put and
    // Delete cannot say so themselves.
    Status CheckLimits() const;

    const ReadSet& reads() const { return reads_; }

    WriteSet& writes() { return writes_; }

    const WriteSet& writes() const { return writes_; }

  private:
    Task<Result<RangePage>> ReadMerged(const RangeRequest& request);
    void Write(std::string_view key, std::optional<std::string> value);

    Snapshot& snapshot_;
    ReadSet reads_;
    WriteSet writes_;
    size_t write_bytes_ = 0;
    std::optional<Error> broken_limit_;
};

// Puts one item into `page` and tells whether the page is full.
//   `key` is where the walk stands; on a full page the caller sets `next`.
class PageBuilder final {
  public:
    explicit PageBuilder(const RangeRequest& request) : request_(request) {}

    bool Full() const {
        return page_.items.size() >= request_.limit || bytes_ >= request_.page_bytes_max;
    }

    void Add(std::string key, std::string value) {
        bytes_ += key.size() + value.size();
        page_.items.push_back({std::move(key), std::move(value)});
    }

    bool empty() const { return page_.items.empty(); }

    // Where the next page begins after the last item added.
    std::string NextAfterLast() const;

    RangePage Take(std::optional<std::string> next) {
        page_.next = std::move(next);
        return std::move(page_);
    }

  private:
    const RangeRequest& request_;
    RangePage page_;
    size_t bytes_ = 0;
};

// The commit did not happen because something it read was changed; nobody above Transact sees it
// unless retries ran out.
Error ConflictError();
// The answer was lost: the writes may be there or not.
Error UnknownError(const std::string& why);

}  // namespace hearth::storage::optimistic
