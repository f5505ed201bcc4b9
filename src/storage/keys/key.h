#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "storage/kv.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Storage keys are tuples of strings and integers whose bytes sort like the tuples: first by the
// first component, then by the second, with a shorter tuple before the longer ones that it begins.
//
// Every key starts with account and region, so one tenant's data is one contiguous range; what
// stands above accounts (access key -> account, clocks, timers) is made with Key::AboveAccounts().
//   Key(account, region).Add("lambda").Add("fn").Add(name)
// Format: docs/internals/storage-keys.md; key_test.cc pins the bytes.
namespace hearth::storage::keys {

class Key final {
  public:
    Key(const AccountId& account, const Region& region);

    // For data that belongs to no account; sorts before all accounts.
    static Key AboveAccounts();
    // Everything of one account, in all regions.
    static Key OfAccount(const AccountId& account);

    Key& Add(std::string_view text) &;
    Key& Add(int64_t number) &;
    Key&& Add(std::string_view text) &&;
    Key&& Add(int64_t number) &&;

    const std::string& bytes() const { return bytes_; }

    operator std::string_view() const { return bytes_; }

    operator std::string() const& { return bytes_; }

    operator std::string() && { return std::move(bytes_); }

    // All keys that have more components than this one and begin with it.
    RangeRequest Children() const;
    // Of those, the ones whose next component is a string that begins with `prefix`.
    RangeRequest ChildrenWithPrefix(std::string_view prefix) const;
    // Of those, the ones whose next component is a string greater than (not equal to) `text`, and
    // all below those; for paging by name.
    RangeRequest ChildrenAfter(std::string_view text) const;
    // Of those, the ones whose next component is an integer in [first, last).
    RangeRequest ChildrenBetween(int64_t first, int64_t last) const;

    friend bool operator==(const Key&, const Key&) = default;

  private:
    Key() = default;

    std::string bytes_;
};

// Reads components back, in order. Errors (Malformed) mean the key was not made by Key or the
// reader asks for another type than was written.
class KeyReader final {
  public:
    // `bytes` must outlive the reader.
    explicit KeyReader(std::string_view bytes);

    Result<std::string> String();
    Result<int64_t> Integer();
    // Passes over `count` components of any type; account and region are two.
    Status Skip(size_t count);

    bool AtEnd() const { return rest_.empty(); }

  private:
    std::string_view rest_;
};

}  // namespace hearth::storage::keys
