#include "services/s3/lifecycle_rules.h"

#include "codec/timestamp/timestamp.h"

#include <gtest/gtest.h>

#include <chrono>

namespace hearth::s3 {
namespace {

using std::chrono::days;

constexpr uint64_t kLarge = 1'000'000;

CloudClock::time_point At(const char* text) {
    return CloudClock::time_point(codec::ParseIso8601(text)->time_since_epoch());
}

LifecycleRule Expires(std::string id, int32_t after_days, std::string prefix = "") {
    LifecycleRule rule;
    rule.id = std::move(id);
    rule.prefix = std::move(prefix);
    rule.expiration = LifecycleTime{after_days, std::nullopt};
    return rule;
}

LifecycleRule Moves(int32_t after_days, std::string storage_class) {
    LifecycleRule rule;
    rule.id = "move-" + storage_class;
    rule.transitions.push_back({{after_days, std::nullopt}, std::move(storage_class)});
    return rule;
}

LifecycleObject Object(std::string_view key, uint64_t size = kLarge) {
    LifecycleObject object;
    object.key = key;
    object.size = size;
    object.modified = At("2026-01-15T10:30:00Z");
    return object;
}

TEST(LifecycleRules, DaysAreRoundedUpToTheNextMidnight) {
    // The example of the user guide: created 1/15 at 10:30, three days: 1/19 at midnight.
    EXPECT_EQ(LifecycleMidnight(At("2026-01-15T10:30:00Z"), 3), At("2026-01-19T00:00:00Z"));
    EXPECT_EQ(LifecycleMidnight(At("2026-01-15T00:00:00Z"), 1), At("2026-01-16T00:00:00Z"));
    EXPECT_EQ(LifecycleMidnight(At("2026-01-15T00:00:01Z"), 1), At("2026-01-17T00:00:00Z"));
}

TEST(LifecycleRules, ExpiresWhenDueAndNotBefore) {
    const LifecycleRules rules({Expires("r", 3)}, false);
    const LifecycleObject object = Object("a");
    EXPECT_EQ(rules.Decide(object, At("2026-01-18T23:59:59Z")).action, LifecycleAction::kNothing);
    const auto decision = rules.Decide(object, At("2026-01-19T00:00:00Z"));
    EXPECT_EQ(decision.action, LifecycleAction::kExpire);
    EXPECT_EQ(decision.rule_id, "r");
    EXPECT_EQ(rules.NextDue(object, At("2026-01-16T00:00:00Z")), At("2026-01-19T00:00:00Z"));
    EXPECT_EQ(rules.NextDue(object, At("2026-01-19T00:00:00Z")), std::nullopt);
}

TEST(LifecycleRules, DisabledRulesAndOtherPrefixesDoNothing) {
    LifecycleRule disabled = Expires("off", 1);
    disabled.enabled = false;
    const LifecycleRules rules({disabled, Expires("logs", 1, "logs/")}, false);
    const auto later = At("2027-01-01T00:00:00Z");
    EXPECT_EQ(rules.Decide(Object("a"), later).action, LifecycleAction::kNothing);
    EXPECT_EQ(rules.Decide(Object("logs/a"), later).action, LifecycleAction::kExpire);
}

TEST(LifecycleRules, FiltersByTagsAndSizeMustAllHold) {
    LifecycleRule rule = Expires("r", 1);
    rule.tags = {{"kind", "tmp"}, {"team", "x"}};
    rule.size_greater_than = 100;
    rule.size_less_than = 200;
    const LifecycleRules rules({rule}, false);
    const auto later = At("2027-01-01T00:00:00Z");
    const std::map<std::string, std::string> both = {{"kind", "tmp"}, {"team", "x"}};
    const std::map<std::string, std::string> one = {{"kind", "tmp"}};

    const struct {
        uint64_t size;
        const std::map<std::string, std::string>* tags;
        bool expires;
    } kCases[] = {
        {150, &both, true},
        {150, &one, false},
        {150, nullptr, false},
        {100, &both, false},  // greater, not equal
        {101, &both, true},
        {199, &both, true},
        {200, &both, false},
    };

    for (const auto& c : kCases) {
        LifecycleObject object = Object("a", c.size);
        object.tags = c.tags;
        EXPECT_EQ(rules.Decide(object, later).action == LifecycleAction::kExpire, c.expires)
            << c.size;
    }
}

TEST(LifecycleRules, SmallObjectsMoveOnlyWhenAskedTo) {
    const auto later = At("2027-01-01T00:00:00Z");
    const LifecycleObject small = Object("a", 128 * 1024 - 1);
    const LifecycleObject enough = Object("a", 128 * 1024);
    const auto moves = [&](const LifecycleRules& rules, const LifecycleObject& object) {
        return rules.Decide(object, later).action == LifecycleAction::kTransition;
    };
    EXPECT_FALSE(moves(LifecycleRules({Moves(30, "STANDARD_IA")}, false), small));
    EXPECT_TRUE(moves(LifecycleRules({Moves(30, "STANDARD_IA")}, false), enough));
    EXPECT_FALSE(moves(LifecycleRules({Moves(30, "GLACIER")}, false), small));
    // varies_by_storage_class: the archive classes take everything, the others do not.
    EXPECT_TRUE(moves(LifecycleRules({Moves(30, "GLACIER")}, true), small));
    EXPECT_TRUE(moves(LifecycleRules({Moves(30, "DEEP_ARCHIVE")}, true), small));
    EXPECT_FALSE(moves(LifecycleRules({Moves(30, "GLACIER_IR")}, true), small));
    // A filter by size says what is wanted.
    LifecycleRule sized = Moves(30, "STANDARD_IA");
    sized.size_greater_than = 10;
    EXPECT_TRUE(moves(LifecycleRules({sized}, false), small));
}

TEST(LifecycleRules, ObjectsOnlyMoveDown) {
    const auto later = At("2027-01-01T00:00:00Z");

    const struct {
        const char* from;
        const char* to;
        bool moves;
    } kCases[] = {
        {"STANDARD", "STANDARD_IA", true},
        {"STANDARD_IA", "INTELLIGENT_TIERING", true},
        {"INTELLIGENT_TIERING", "STANDARD_IA", false},
        {"INTELLIGENT_TIERING", "ONEZONE_IA", true},
        {"ONEZONE_IA", "GLACIER_IR", false},
        {"ONEZONE_IA", "GLACIER", true},
        {"GLACIER_IR", "GLACIER", true},
        {"GLACIER", "GLACIER_IR", false},
        {"GLACIER", "DEEP_ARCHIVE", true},
        {"DEEP_ARCHIVE", "GLACIER", false},
        {"GLACIER", "GLACIER", false},
    };

    for (const auto& c : kCases) {
        LifecycleObject object = Object("a");
        object.storage_class = c.from;
        const LifecycleRules rules({Moves(30, c.to)}, false);
        EXPECT_EQ(rules.Decide(object, later).action == LifecycleAction::kTransition, c.moves)
            << c.from << " " << c.to;
    }
}

TEST(LifecycleRules, DeletionComesBeforeMovingAndTheCheaperClassBeforeTheDearer) {
    const LifecycleRules moving({Moves(10, "STANDARD_IA"), Moves(5, "GLACIER")}, false);
    EXPECT_EQ(moving.Decide(Object("a"), At("2027-01-01T00:00:00Z")).storage_class, "GLACIER");
    const LifecycleRules both({Moves(10, "GLACIER"), Expires("e", 10)}, false);
    EXPECT_EQ(
        both.Decide(Object("a"), At("2027-01-01T00:00:00Z")).action, LifecycleAction::kExpire);
}

TEST(LifecycleRules, NoncurrentVersionsCountFromWhenTheyWereReplaced) {
    LifecycleRule rule;
    rule.id = "n";
    rule.noncurrent_expiration_days = 30;
    rule.noncurrent_expiration_newer_versions = 2;
    const LifecycleRules rules({rule}, false);
    LifecycleObject object = Object("a");
    object.is_current = false;
    object.noncurrent_since = At("2026-03-01T12:00:00Z");
    object.newer_noncurrent = 2;
    EXPECT_EQ(rules.Decide(object, At("2026-03-31T12:00:00Z")).action, LifecycleAction::kNothing);
    EXPECT_EQ(
        rules.Decide(object, At("2026-04-01T00:00:00Z")).action,
        LifecycleAction::kRemoveNoncurrent);
    // The two newest are kept for ever.
    object.newer_noncurrent = 1;
    EXPECT_EQ(rules.Decide(object, At("2027-04-01T00:00:00Z")).action, LifecycleAction::kNothing);
    EXPECT_TRUE(rules.looks_at_noncurrent());
}

TEST(LifecycleRules, MarkersWithNothingBehindThemGo) {
    LifecycleRule rule;
    rule.id = "m";
    rule.expired_delete_marker = true;
    const LifecycleRules rules({rule}, false);
    LifecycleObject marker = Object("a");
    marker.delete_marker = true;
    const auto later = At("2026-02-01T00:00:00Z");
    EXPECT_EQ(rules.Decide(marker, later).action, LifecycleAction::kNothing);
    marker.only_version = true;
    EXPECT_EQ(rules.Decide(marker, later).action, LifecycleAction::kRemoveMarker);
    // Expiration in days cleans up, too, but no rule with tags does.
    EXPECT_EQ(
        LifecycleRules({Expires("e", 10)}, false).Decide(marker, later).action,
        LifecycleAction::kRemoveMarker);
    LifecycleRule tagged = Expires("t", 10);
    tagged.tags = {{"a", "b"}};
    EXPECT_EQ(
        LifecycleRules({tagged}, false).Decide(marker, later).action, LifecycleAction::kNothing);
}

TEST(LifecycleRules, TellsTheFirstExpiryInTheHeader) {
    const LifecycleRules rules({Expires("late", 30), Expires("first rule", 3)}, false);
    const auto expiry = rules.ExpiryOf(Object("a"));
    ASSERT_TRUE(expiry);
    EXPECT_EQ(
        ExpirationHeader(*expiry),
        "expiry-date=\"Mon, 19 Jan 2026 00:00:00 GMT\", rule-id=\"first%20rule\"");
    LifecycleRule dated = Expires("d", 0);
    dated.expiration = LifecycleTime{std::nullopt, At("2030-01-01T00:00:00Z")};
    EXPECT_EQ(LifecycleRules({dated}, false).ExpiryOf(Object("a"))->at, At("2030-01-01T00:00:00Z"));
}

TEST(LifecycleRules, UploadsAreAborted) {
    LifecycleRule rule;
    rule.id = "u";
    rule.prefix = "up/";
    rule.abort_multipart_days = 7;
    const LifecycleRules rules({rule}, false);
    EXPECT_FALSE(rules.AbortAt("a", At("2026-01-15T10:30:00Z")));
    EXPECT_EQ(rules.AbortAt("up/a", At("2026-01-15T10:30:00Z"))->at, At("2026-01-23T00:00:00Z"));
    EXPECT_TRUE(rules.looks_at_uploads());
}

TEST(LifecycleRules, TiersFollowFromTheLastAccess) {
    const auto touched = At("2026-01-01T00:00:00Z");
    TieringRule rule;
    rule.archive_days = 100;
    rule.deep_archive_days = 200;
    const auto tier = [&](int32_t after, const TieringRule* asked, uint64_t size = kLarge) {
        return TierOf(size, touched, asked, touched + days(after));
    };
    EXPECT_EQ(tier(29, nullptr), "");
    EXPECT_EQ(tier(30, nullptr), "INFREQUENT");
    EXPECT_EQ(tier(89, nullptr), "INFREQUENT");
    EXPECT_EQ(tier(90, nullptr), "ARCHIVE_INSTANT");
    EXPECT_EQ(tier(700, nullptr), "ARCHIVE_INSTANT");
    EXPECT_EQ(tier(99, &rule), "ARCHIVE_INSTANT");
    EXPECT_EQ(tier(100, &rule), "ARCHIVE");
    EXPECT_EQ(tier(200, &rule), "DEEP_ARCHIVE");
    EXPECT_EQ(tier(700, &rule, 128 * 1024 - 1), "");
    EXPECT_LT(TierRank("ARCHIVE_INSTANT"), TierRank("ARCHIVE"));
}

}  // namespace
}  // namespace hearth::s3
