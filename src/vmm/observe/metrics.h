#pragma once

#include "base/result.h"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

// Counters of the monitor, written as one line of JSON per flush, with Firecracker's groups and
// names. A counter is written as what it grew by since the last flush; a stored value as it is.
namespace hearth::vmm {

// Touched by any thread.
class Counter final {
  public:
    void Add(std::uint64_t amount = 1) { value_.fetch_add(amount, std::memory_order_relaxed); }

    void Store(std::uint64_t value) { value_.store(value, std::memory_order_relaxed); }

    std::uint64_t Load() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

namespace metrics {

// The counter of a group and a name ("block_rootfs", "read_bytes"); made when asked for first, and
// there until the process ends. Takes a lock: ask once, keep the reference. What devices of one
// kind count in groups of their own ("block_rootfs", "net_eth0") also adds up in the kind's
// ("block", "net").
//   stored  written as it is (a time, a level), not as a difference.
Counter& Get(std::string_view group, std::string_view name, bool stored = false);

// Opens the file or named pipe; a second time is an error.
Status Configure(const std::string& path);
bool configured();

// Writes one line. Fine without a file: then nothing happens. What a full pipe does not take of a
// line goes out before the next one; meanwhile lines are left out whole, and nothing that was
// counted is lost.
Status Flush();

// The line as the next Flush would write it, without its end.
std::string Line();

}  // namespace metrics
}  // namespace hearth::vmm
