#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "rt/task.h"
#include "services/lambda/async_decision.h"
#include "services/lambda/function_store.h"
#include "storage/kv.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::lambda {

// How events of a function, of one of its versions or of an alias are treated. Members that are not
// there follow AWS's defaults.
struct EventInvokeConfigRecord {
    std::string qualifier;  // "$LATEST", "7", or an alias
    std::optional<int32_t> retries_max;
    std::optional<int32_t> age_max_s;
    // ARNs; empty: none.
    std::string on_success;
    std::string on_failure;
    WallClock::time_point last_modified;

    AsyncRules Rules() const;
};

// Their records, filed under the function's life; the only file that knows these keys.
class EventInvokeConfigTransaction final {
  public:
    explicit EventInvokeConfigTransaction(storage::Transaction& transaction)
        : transaction_(transaction) {}

    // An empty `qualifier` is $LATEST.
    Task<Result<std::optional<EventInvokeConfigRecord>>> Find(
        const FunctionKey& key, const std::string& function_id, std::string_view qualifier);
    void Put(
        const FunctionKey& key,
        const std::string& function_id,
        const EventInvokeConfigRecord& record);
    // One that is not there is no error.
    void Delete(const FunctionKey& key, const std::string& function_id, std::string_view qualifier);
    // Up to `limit`, with qualifiers after `after`.
    Task<Result<std::vector<EventInvokeConfigRecord>>> List(
        const FunctionKey& key,
        const std::string& function_id,
        std::string_view after,
        size_t limit);

  private:
    storage::Transaction& transaction_;
};

// Point read of committed state. Empty when there is none.
Task<Result<std::optional<EventInvokeConfigRecord>>> FindEventInvokeConfig(
    storage::Kv& kv, FunctionKey key, std::string function_id, std::string qualifier);

}  // namespace hearth::lambda
