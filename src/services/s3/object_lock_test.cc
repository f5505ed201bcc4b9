#include "services/s3/object_lock.h"

#include "codec/timestamp/timestamp.h"

#include <gtest/gtest.h>

namespace hearth::s3 {
namespace {

WallClock::time_point Wall(const char* text) {
    return *codec::ParseIso8601(text);
}

CloudClock::time_point Cloud(const char* text) {
    return CloudClock::time_point(Wall(text).time_since_epoch());
}

const CloudClock::time_point kNow = Cloud("2026-02-28T12:00:00Z");

TEST(ObjectLock, TheBucketsRuleAppliesWhereTheRequestSaysNothing) {
    const DefaultRetention by_days{"GOVERNANCE", 10, 0};
    auto lock = LockNewVersion({}, true, by_days, kNow);
    ASSERT_TRUE(lock.ok());
    EXPECT_EQ(lock->retention.mode, "GOVERNANCE");
    EXPECT_EQ(lock->retention.until, Wall("2026-03-10T12:00:00Z"));
    // A leap day's anniversary is the last of February.
    lock = LockNewVersion(
        {}, true, DefaultRetention{"COMPLIANCE", 0, 1}, Cloud("2024-02-29T01:00:00Z"));
    EXPECT_EQ(lock->retention.until, Wall("2025-02-28T01:00:00Z"));
    EXPECT_TRUE(LockNewVersion({}, false, std::nullopt, kNow)->retention.mode.empty());
}

TEST(ObjectLock, RequestsAreChecked) {
    const auto code = [](const LockRequest& request, bool enabled) -> std::string {
        const auto lock = LockNewVersion(request, enabled, std::nullopt, kNow);
        return lock.ok() ? "" : lock.error().code();
    };
    const auto future = Wall("2026-03-10T00:00:00Z");
    EXPECT_EQ(code({"GOVERNANCE", future, std::nullopt}, true), "");
    EXPECT_EQ(code({"GOVERNANCE", future, std::nullopt}, false), "InvalidRequest");
    EXPECT_EQ(code({"GOVERNANCE", std::nullopt, std::nullopt}, true), "InvalidArgument");
    EXPECT_EQ(code({std::nullopt, future, std::nullopt}, true), "InvalidArgument");
    EXPECT_EQ(code({"governance", future, std::nullopt}, true), "InvalidArgument");
    EXPECT_EQ(
        code({"GOVERNANCE", Wall("2026-02-28T12:00:00Z"), std::nullopt}, true), "InvalidArgument");
    EXPECT_EQ(code({std::nullopt, std::nullopt, "on"}, true), "InvalidArgument");
    EXPECT_EQ(code({std::nullopt, std::nullopt, "ON"}, true), "");
}

TEST(ObjectLock, WhatIsProtectedStays) {
    const Retention governance{"GOVERNANCE", Wall("2026-03-10T00:00:00Z")};
    const Retention compliance{"COMPLIANCE", Wall("2026-03-10T00:00:00Z")};
    const auto after = Cloud("2026-03-10T00:00:00Z");
    EXPECT_FALSE(MayDeleteVersion(governance, false, false, kNow).ok());
    EXPECT_TRUE(MayDeleteVersion(governance, false, true, kNow).ok());
    EXPECT_FALSE(MayDeleteVersion(compliance, false, true, kNow).ok());
    EXPECT_TRUE(MayDeleteVersion(compliance, false, false, after).ok());
    // A legal hold has no end and no bypass.
    EXPECT_FALSE(MayDeleteVersion(governance, true, true, after).ok());
    EXPECT_TRUE(MayDeleteVersion({}, false, false, kNow).ok());
}

TEST(ObjectLock, RetentionIsOnlyWeakenedWithTheBypass) {
    const auto until = [](const char* mode, const char* day) {
        return Retention{mode, Wall((std::string(day) + "T00:00:00Z").c_str())};
    };
    const Retention governance = until("GOVERNANCE", "2026-03-10");
    const Retention compliance = until("COMPLIANCE", "2026-03-10");

    const struct {
        Retention from, to;
        bool bypass;
        bool allowed;
    } kCases[] = {
        {governance, until("GOVERNANCE", "2026-03-11"), false, true},
        {governance, until("GOVERNANCE", "2026-03-09"), false, false},
        {governance, until("GOVERNANCE", "2026-03-09"), true, true},
        {governance, {}, false, false},
        {governance, {}, true, true},
        {governance, until("COMPLIANCE", "2026-03-10"), false, true},
        {compliance, until("COMPLIANCE", "2026-03-11"), false, true},
        {compliance, until("COMPLIANCE", "2026-03-09"), true, false},
        {compliance, until("GOVERNANCE", "2026-04-09"), true, false},
        {compliance, {}, true, false},
        {{}, until("GOVERNANCE", "2026-03-09"), false, true},
    };

    for (const auto& c : kCases) {
        const auto status = MayChangeRetention(c.from, c.to, c.bypass, kNow);
        EXPECT_EQ(status.ok(), c.allowed) << c.from.mode << " to " << c.to.mode;
    }
    // A retention that has ended binds nobody.
    EXPECT_TRUE(
        MayChangeRetention(
            compliance, until("GOVERNANCE", "2026-06-01"), false, Cloud("2026-05-01T00:00:00Z"))
            .ok());
}

}  // namespace
}  // namespace hearth::s3
