#include "services/s3/object_lock.h"

#include "codec/timestamp/timestamp.h"
#include "services/s3/errors.h"

#include <chrono>

namespace hearth::s3 {
namespace {

constexpr std::string_view kModeHeader = "x-amz-object-lock-mode";
constexpr std::string_view kUntilHeader = "x-amz-object-lock-retain-until-date";
constexpr std::string_view kHoldHeader = "x-amz-object-lock-legal-hold";

WallClock::time_point OnWall(CloudClock::time_point time) {
    return WallClock::time_point(time.time_since_epoch());
}

bool IsOver(const Retention& retention, CloudClock::time_point now) {
    return retention.mode.empty() || UnixMs(retention.until) <= UnixMs(now);
}

Error Protected() {
    return errors::AccessDenied("Access Denied because object protected by object lock.");
}

// Years as people count them: the same day of the year, the 28th for a 29th of February.
WallClock::time_point AddYears(WallClock::time_point time, int32_t years) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    std::chrono::year_month_day date(std::chrono::sys_days(day.time_since_epoch()));
    date += std::chrono::years(years);
    if (!date.ok()) {
        date = date.year() / date.month() / std::chrono::last;
    }
    return WallClock::time_point(std::chrono::sys_days(date).time_since_epoch() + (time - day));
}

}  // namespace

Result<LockOfVersion> LockNewVersion(
    const LockRequest& request,
    bool object_lock,
    const std::optional<DefaultRetention>& by_default,
    CloudClock::time_point now) {
    LockOfVersion lock;
    if (request.mode || request.until || request.legal_hold) {
        if (!object_lock) {
            return errors::InvalidRequest("Bucket is missing Object Lock Configuration");
        }
        if (request.mode.has_value() != request.until.has_value()) {
            return errors::InvalidArgument(
                "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be "
                "supplied",
                request.mode ? kUntilHeader : kModeHeader,
                "null");
        }
        if (request.mode) {
            if (*request.mode != kGovernance && *request.mode != kCompliance) {
                return errors::InvalidArgument(
                    "Unknown wormMode directive.", kModeHeader, *request.mode);
            }
            if (UnixMs(*request.until) <= UnixMs(now)) {
                return errors::InvalidArgument(
                    "The retain until date must be in the future!",
                    kUntilHeader,
                    codec::FormatIso8601(*request.until, true));
            }
            lock.retention = {*request.mode, *request.until};
        }
        if (request.legal_hold) {
            if (*request.legal_hold != "ON" && *request.legal_hold != "OFF") {
                return errors::InvalidArgument(
                    "Legal Hold must be either of 'ON' or 'OFF'", kHoldHeader, *request.legal_hold);
            }
            lock.legal_hold = *request.legal_hold == "ON";
        }
    }
    if (lock.retention.mode.empty() && object_lock && by_default) {
        const WallClock::time_point today = OnWall(now);
        lock.retention.mode = by_default->mode;
        lock.retention.until = by_default->years > 0 ? AddYears(today, by_default->years)
                                                     : today + std::chrono::days(by_default->days);
    }
    return lock;
}

Status MayDeleteVersion(
    const Retention& retention, bool legal_hold, bool bypass, CloudClock::time_point now) {
    if (legal_hold) {
        return Protected();
    }
    if (IsOver(retention, now) || (retention.mode == kGovernance && bypass)) {
        return Status();
    }
    return Protected();
}

Status MayChangeRetention(
    const Retention& current, const Retention& wanted, bool bypass, CloudClock::time_point now) {
    if (!wanted.mode.empty() && UnixMs(wanted.until) <= UnixMs(now)) {
        return errors::InvalidArgument(
            "The retain until date must be in the future!",
            "RetainUntilDate",
            codec::FormatIso8601(wanted.until, true));
    }
    if (IsOver(current, now)) {
        return Status();
    }
    const bool weaker = wanted.mode.empty() || wanted.until < current.until ||
                        (current.mode == kCompliance && wanted.mode != kCompliance);
    // Even a longer governance retention does not follow a compliance one; a stricter mode of the
    // same length is no weakening.
    if (!weaker) {
        return Status();
    }
    if (current.mode == kGovernance && bypass) {
        return Status();
    }
    return Protected();
}

}  // namespace hearth::s3
