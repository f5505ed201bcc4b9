#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "services/s3/records.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Object lock: what protects a version from being removed or weakened. Pure decisions.
// Source: S3 User Guide, "Locking objects with Object Lock"; times are the cloud's.
namespace hearth::s3 {

inline constexpr std::string_view kGovernance = "GOVERNANCE";
inline constexpr std::string_view kCompliance = "COMPLIANCE";
inline constexpr std::string_view kBypassGovernanceHeader = "x-amz-bypass-governance-retention";

// A bucket's rule for new versions; one of days and years is set.
struct DefaultRetention {
    std::string mode;
    int32_t days = 0;
    int32_t years = 0;
};

// What PutObject, CopyObject and CreateMultipartUpload say in their headers.
struct LockRequest {
    std::optional<std::string> mode;             // x-amz-object-lock-mode
    std::optional<WallClock::time_point> until;  // ...-retain-until-date
    std::optional<std::string> legal_hold;       // ...-legal-hold
};

// What a new version gets.
struct LockOfVersion {
    Retention retention;
    bool legal_hold = false;
};

//   object_lock  of the bucket; `by_default`: its rule
//   errors       InvalidRequest "Bucket is missing Object Lock Configuration"; InvalidArgument for
//                half of a retention, an unknown mode, or a date that is past
Result<LockOfVersion> LockNewVersion(
    const LockRequest& request,
    bool object_lock,
    const std::optional<DefaultRetention>& by_default,
    CloudClock::time_point now);

// Whether this version (no delete marker) may be removed for good.
//   bypass  the header says so and the caller may
//   errors  AccessDenied "Access Denied because object protected by object lock."
Status MayDeleteVersion(
    const Retention& retention, bool legal_hold, bool bypass, CloudClock::time_point now);

// Whether `wanted` may replace `current`: compliance is only ever extended, governance is weakened
// with the bypass alone. An empty mode in `wanted` takes the retention away.
//   errors  AccessDenied; InvalidArgument for a date that is past
Status MayChangeRetention(
    const Retention& current, const Retention& wanted, bool bypass, CloudClock::time_point now);

inline bool SaysBypass(const std::string* header) {
    return header != nullptr && (*header == "true" || *header == "True" || *header == "TRUE");
}

}  // namespace hearth::s3
