#include "services/lambda/mapping_scale.h"

#include "services/lambda/mapping_limits.h"

#include <algorithm>
#include <chrono>

namespace hearth::lambda {
namespace {

constexpr int64_t kMinuteMs = 60'000;

}  // namespace

MappingScale::MappingScale(const MappingRecord& record)
    : start_(limits::kScaleStart),
      per_minute_(limits::kScalePerMinute),
      max_(record.concurrency_max.value_or(limits::kScaleMax)) {
    if (record.provisioned) {
        start_ = record.provisioned->min * limits::kBatchesPerPoller;
        max_ = record.provisioned->max * limits::kBatchesPerPoller;
        per_minute_ = limits::kProvisionedPerMinute;
    }
    start_ = std::min(start_, max_);
    base_ = start_;
}

int32_t MappingScale::Allowed(CloudClock::time_point now) const {
    if (!growing_since_ || now <= *growing_since_) {
        return base_;
    }
    // The clock may have been moved by years.
    const int64_t ms = std::min<int64_t>((now - *growing_since_).count(), 60 * kMinuteMs);
    return static_cast<int32_t>(std::min<int64_t>(max_, base_ + ms * per_minute_ / kMinuteMs));
}

void MappingScale::Saturated(CloudClock::time_point now) {
    if (!growing_since_ && !failing_) {
        growing_since_ = now;
    }
}

void MappingScale::Drained() {
    growing_since_.reset();
    if (!failing_) {
        base_ = start_;
    }
}

void MappingScale::Failed(CloudClock::time_point now) {
    base_ = std::max(1, Allowed(now) / 2);
    growing_since_.reset();
    failing_ = true;
}

void MappingScale::Succeeded() {
    failing_ = false;
}

std::optional<CloudClock::time_point> MappingScale::NextGrowth(CloudClock::time_point now) const {
    if (!growing_since_) {
        return std::nullopt;
    }
    const int32_t allowed = Allowed(now);
    if (allowed >= max_) {
        return std::nullopt;
    }
    const int64_t more = allowed + 1 - base_;
    return *growing_since_ +
           std::chrono::milliseconds((more * kMinuteMs + per_minute_ - 1) / per_minute_);
}

}  // namespace hearth::lambda
