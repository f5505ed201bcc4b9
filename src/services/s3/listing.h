#pragma once

#include "base/result.h"
#include "rt/task.h"

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

// How S3's four listings by key walk: objects, versions and uploads, with a prefix, a delimiter and
// pages. What is walked is an ordered range of entries (OrderedEntries), so that the rules stand
// here once and know nothing of storage.
//
// Guarantees: pages of any size, put together, are the whole list, each key or common prefix once;
// a page says "truncated" exactly when something follows. A common prefix costs one seek, however
// many keys lie below it.
namespace hearth::s3 {

// A place between entries, in bytewise order: everything at (key, within) or after it follows. It
// need not be an entry, nor even a key that could exist.
struct ListPosition {
    std::string key;
    // Where several entries have one key (versions, uploads): bytes that order them.
    std::string within;

    friend auto operator<=>(const ListPosition&, const ListPosition&) = default;
};

struct ListEntry {
    std::string key;
    std::string within;
    // As stored; decoded by whoever asked, and only for what is listed.
    std::string value;
};

struct EntryPage {
    std::vector<ListEntry> entries;
    // Nothing follows before the end that was asked for.
    bool at_end = false;
};

class OrderedEntries {
  public:
    virtual ~OrderedEntries() = default;

    // Entries from `position` on with keys below `end` (empty: to the end of all), in order.
    // Between one and `limit` of them, unless nothing follows.
    virtual Task<Result<EntryPage>> From(
        const ListPosition& position, const std::string& end, size_t limit) = 0;
};

struct ListQuery {
    std::string prefix;
    // Any text; empty: no common prefixes.
    std::string delimiter;
    size_t entries_max = 1'000;
    // From AfterMarker, or the beginning.
    ListPosition from;
};

struct Listing {
    std::vector<ListEntry> entries;
    std::vector<std::string> common_prefixes;
    // Something follows. Never when entries_max is 0, as on AWS.
    bool truncated = false;
    // What was listed last: the marker of the following page. A common prefix has no `within`.
    std::string last_key;
    std::string last_within;
};

Task<Result<Listing>> List(OrderedEntries& entries, ListQuery query);

// Where a list goes on after `marker`: after the key, or, when the marker is itself a common prefix
// (as the NextMarker of a page that ended with one), after all that it stands for. A marker inside
// a common prefix leaves that prefix in the list, because keys of it follow.
ListPosition AfterMarker(
    std::string_view marker, std::string_view prefix, std::string_view delimiter);

// Within one key: after the entry (key, within), the key's later entries included.
ListPosition AfterEntry(std::string_view key, std::string_view within);

// The common prefix that stands for `key`; empty: the key is listed itself.
std::string_view CommonPrefixOf(
    std::string_view key, std::string_view prefix, std::string_view delimiter);

// A bound above every key that begins with `prefix`; keys are UTF-8 and never contain its last
// byte. Empty for an empty prefix: no bound.
std::string EndOfPrefix(std::string_view prefix);

// ListObjectsV2's tokens: opaque to clients, and nothing more than a marker, so that one that
// somebody made up shows nothing that StartAfter would not.
std::string EncodeContinuationToken(std::string_view marker);
//   errors  Malformed
Result<std::string> DecodeContinuationToken(std::string_view token);

}  // namespace hearth::s3
