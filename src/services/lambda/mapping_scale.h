#pragma once

#include "base/clock.h"
#include "services/lambda/mapping_record.h"

#include <cstdint>
#include <optional>

namespace hearth::lambda {

// How many batches of one mapping may run at once. Five at first; while messages wait and all of
// them run, up to 300 more a minute; five again when the queue is empty. Each batch that fails as a
// whole halves them, down to one, and nothing grows until a batch succeeds: a function that fails
// because too much of it runs at once gets the room to end that.
// Provisioned mode begins at ten batches for each poller and grows faster. Pure.
// Source: Lambda Developer Guide, "Configuring scaling behavior for SQS event source mappings".
class MappingScale final {
  public:
    explicit MappingScale(const MappingRecord& record);

    int32_t Allowed(CloudClock::time_point now) const;

    // Messages wait, and as many batches run as may.
    void Saturated(CloudClock::time_point now);
    // Nothing waits.
    void Drained();
    // A batch failed as a whole, or did not.
    void Failed(CloudClock::time_point now);
    void Succeeded();

    // When one more will be allowed; nothing while it does not grow.
    std::optional<CloudClock::time_point> NextGrowth(CloudClock::time_point now) const;

  private:
    int32_t start_;
    int32_t per_minute_;
    int32_t max_;
    // What was allowed when growth began.
    int32_t base_;
    std::optional<CloudClock::time_point> growing_since_;
    bool failing_ = false;
};

}  // namespace hearth::lambda
