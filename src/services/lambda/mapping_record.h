#pragma once

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::lambda {

// Provisioned mode: event pollers that are there from the start.
struct ProvisionedPollers {
    int32_t min = 2;
    int32_t max = 200;

    bool operator==(const ProvisionedPollers&) const = default;
};

// One event source mapping as it is stored: from which queue to which function, and how.
struct MappingRecord {
    AccountId account;
    Region region;
    std::string id;  // a UUID

    std::string source_arn;
    bool fifo = false;
    // Of which function, and which version or alias of it (empty: $LATEST).
    std::string function_name;
    std::string qualifier;

    bool enabled = true;
    int32_t batch_size = 10;
    std::chrono::seconds batch_window{0};
    // Patterns as they were given; an event is passed on when one of them matches. Empty: all are.
    std::vector<std::string> filters;
    bool report_batch_item_failures = false;
    std::optional<int32_t> concurrency_max;

    std::optional<ProvisionedPollers> provisioned;
    // Shown again; Hearth has no CloudWatch metrics of mappings yet.
    std::optional<std::vector<std::string>> metrics;
    std::map<std::string, std::string> tags;
    WallClock::time_point modified;

    std::string Arn() const;
    // As the API shows it: with the qualifier when there is one.
    std::string FunctionArn() const;

    bool operator==(const MappingRecord&) const = default;
};

// Stored form; account, region and id are in the key.
std::string EncodeMapping(const MappingRecord& record);
Result<MappingRecord> DecodeMapping(
    std::string_view bytes, AccountId account, Region region, std::string id);

}  // namespace hearth::lambda
