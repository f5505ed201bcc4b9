#pragma once

#include "base/result.h"
#include "services/logs/records.h"
#include "storage/keys/key.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// What is kept of a group's subscription filters. Layout: docs/internals/storage-keys.md, "logs".
namespace hearth::logs {

struct SubscriptionFilter {
    std::string name;
    std::string pattern;
    std::string destination_arn;
    // "ByLogStream" or "Random"; of no meaning for functions.
    std::string distribution;
    int64_t created_ms = 0;
    bool apply_on_transformed = false;
};

// In order of name; at most kSubscriptionFiltersMax. All of a group in one record, which is read
// with each batch of events.
using SubscriptionFilters = std::vector<SubscriptionFilter>;

storage::keys::Key SubscriptionsKey(const GroupName& group, std::string_view group_id);
std::string EncodeSubscriptions(const SubscriptionFilters& filters);
Result<SubscriptionFilters> DecodeSubscriptions(std::string_view value);

}  // namespace hearth::logs
