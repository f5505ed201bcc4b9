#include "services/s3/list_ranges.h"

#include "services/s3/s3_keys.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace hearth::s3 {
namespace {

constexpr char kEndOfKey = '\0';
constexpr char kAfterAll = static_cast<char>(0xff);
constexpr size_t kSequenceBytes = 8;

void AppendBound(std::string& out, std::string_view key) {
    for (const char c : key) {
        const uint8_t byte = static_cast<uint8_t>(c);
        out.push_back(byte == 0xff ? kAfterAll : static_cast<char>(byte + 1));
    }
}

class TableEntries final : public OrderedEntries {
  public:
    TableEntries(storage::Kv& kv, std::string table) : kv_(kv), table_(std::move(table)) {}

    Task<Result<EntryPage>> From(
        const ListPosition& position, const std::string& end, size_t limit) override {
        storage::RangeRequest request;
        request.begin = BoundInTable(table_, position);
        request.end = EndInTable(table_, end);
        request.limit = limit;
        EntryPage page;
        if (request.begin >= request.end) {
            page.at_end = true;
            co_return page;
        }
        HEARTH_CO_TRY(storage::RangePage range, co_await kv_.Range(std::move(request)));
        page.at_end = !range.next;
        page.entries.reserve(range.items.size());
        for (storage::KeyValue& item : range.items) {
            HEARTH_CO_TRY(KeyInTable at, SplitInTable(table_, item.key));
            page.entries.push_back(
                {std::move(at.key), std::string(at.rest), std::move(item.value)});
        }
        co_return page;
    }

  private:
    storage::Kv& kv_;
    const std::string table_;
};

class MergedVersions final : public OrderedEntries {
  public:
    MergedVersions(storage::Kv& kv, const BucketRecord& bucket)
        : current_(kv, keys::Table(bucket, "o")), older_(kv, keys::Table(bucket, "v")) {}

    Task<Result<EntryPage>> From(
        const ListPosition& position, const std::string& end, size_t limit) override {
        // "o" has one entry for each key and nothing within, so from a place inside a key on it is
        // asked from the key's beginning.
        HEARTH_CO_TRY(
            EntryPage current,
            co_await current_.From({position.key, std::string()}, end, limit + 1));
        for (ListEntry& entry : current.entries) {
            HEARTH_CO_TRY(const ObjectRecord record, ObjectRecord::Decode(entry.key, entry.value));
            entry.within = WithinOfSequence(record.sequence);
        }
        std::erase_if(current.entries, [&](const ListEntry& entry) {
            return ListPosition{entry.key, entry.within} < position;
        });
        HEARTH_CO_TRY(EntryPage older, co_await older_.From(position, end, limit));
        EntryPage page;
        auto a = current.entries.begin();
        auto b = older.entries.begin();
        while (page.entries.size() < limit) {
            const bool a_left = a != current.entries.end();
            const bool b_left = b != older.entries.end();
            // Where one of the two ended before its range did, nothing is known of what follows.
            if ((!a_left && !current.at_end) || (!b_left && !older.at_end)) {
                break;
            }
            if (!a_left && !b_left) {
                page.at_end = true;
                break;
            }
            const bool take_a =
                a_left && (!b_left || std::tie(a->key, a->within) < std::tie(b->key, b->within));
            page.entries.push_back(std::move(take_a ? *a++ : *b++));
        }
        co_return page;
    }

  private:
    TableEntries current_;
    TableEntries older_;
};

}  // namespace

std::string WithinOfSequence(int64_t sequence) {
    const uint64_t reversed = ~static_cast<uint64_t>(sequence);
    std::string bytes;
    for (size_t i = 0; i < kSequenceBytes; ++i) {
        bytes.push_back(static_cast<char>((reversed >> (56 - 8 * i)) & 0xff));
    }
    return bytes;
}

std::unique_ptr<OrderedEntries> CurrentEntries(storage::Kv& kv, const BucketRecord& bucket) {
    return std::make_unique<TableEntries>(kv, keys::Table(bucket, "o"));
}

std::unique_ptr<OrderedEntries> VersionEntries(storage::Kv& kv, const BucketRecord& bucket) {
    return std::make_unique<MergedVersions>(kv, bucket);
}

std::unique_ptr<OrderedEntries> UploadEntries(storage::Kv& kv, const BucketRecord& bucket) {
    return std::make_unique<TableEntries>(kv, keys::Table(bucket, "u"));
}

std::string BoundInTable(std::string_view table, const ListPosition& position) {
    std::string bound(table);
    AppendBound(bound, position.key);
    if (!position.within.empty()) {
        bound.push_back(kEndOfKey);
        bound += position.within;
    }
    return bound;
}

std::string EndInTable(std::string_view table, std::string_view end) {
    std::string bound(table);
    if (end.empty()) {
        bound.push_back(kAfterAll);
    } else {
        AppendBound(bound, end);
    }
    return bound;
}

Result<KeyInTable> SplitInTable(std::string_view table, std::string_view storage_key) {
    const size_t end = storage_key.find(kEndOfKey, table.size());
    if (!storage_key.starts_with(table) || end == std::string_view::npos) {
        return hearth::errors::Malformed("storage key: no object key");
    }
    KeyInTable split;
    split.key.reserve(end - table.size());
    for (const char c : storage_key.substr(table.size(), end - table.size())) {
        split.key.push_back(static_cast<char>(static_cast<uint8_t>(c) - 1));
    }
    split.rest = storage_key.substr(end + 1);
    return split;
}

}  // namespace hearth::s3
