#include "storage/rocksdb/recent_writes.h"

#include <gtest/gtest.h>

namespace hearth::storage {
namespace {

optimistic::WriteSet Writes(const std::vector<std::string>& keys) {
    optimistic::WriteSet writes;
    for (const std::string& key : keys) {
        writes[key] = "value";
    }
    return writes;
}

bool PointChanged(const RecentWrites& recent, const std::string& key, uint64_t snapshot) {
    optimistic::ReadSet reads;
    reads.points.push_back(key);
    return recent.ChangedSince(reads, snapshot);
}

bool RangeChanged(
    const RecentWrites& recent,
    const std::string& begin,
    const std::string& end,
    uint64_t snapshot) {
    optimistic::ReadSet reads;
    reads.ranges.emplace_back(begin, end);
    return recent.ChangedSince(reads, snapshot);
}

TEST(RecentWrites, OnlyLaterBatchesConflict) {
    RecentWrites recent;
    recent.Add(Writes({"b", "d"}), 1);
    recent.Add(Writes({"b"}), 2);
    EXPECT_TRUE(PointChanged(recent, "b", 1));
    EXPECT_FALSE(PointChanged(recent, "b", 2));
    EXPECT_TRUE(PointChanged(recent, "d", 0));
    EXPECT_FALSE(PointChanged(recent, "d", 1));
    EXPECT_FALSE(PointChanged(recent, "c", 0));
    EXPECT_TRUE(RangeChanged(recent, "a", "c", 1));
    EXPECT_FALSE(RangeChanged(recent, "c", "d", 0));
    EXPECT_TRUE(RangeChanged(recent, "c", "dd", 0));
    EXPECT_FALSE(recent.ChangedSince({}, 0));
}

TEST(RecentWrites, WhatNobodyAsksForIsForgotten) {
    RecentWrites recent;
    recent.Add(Writes({"a", "b"}), 1);
    recent.Add(Writes({"a"}), 2);
    recent.Forget(1);
    EXPECT_EQ(recent.size(), 1u);
    EXPECT_TRUE(PointChanged(recent, "a", 1));
    recent.Forget(2);
    EXPECT_EQ(recent.size(), 0u);
    EXPECT_FALSE(PointChanged(recent, "a", 2));
    // Too old to be told: refused, never let through.
    EXPECT_TRUE(PointChanged(recent, "a", 1));
    EXPECT_TRUE(PointChanged(recent, "never written", 1));
}

TEST(RecentWrites, MemoryIsBoundedWhateverIsOpen) {
    RecentWrites recent;
    for (uint64_t batch = 1; batch <= RecentWrites::kKeysMax + 50; ++batch) {
        recent.Add(Writes({fmt::format("{:08}", batch)}), batch);
        recent.Forget(0);
    }
    EXPECT_EQ(recent.size(), RecentWrites::kKeysMax);
    EXPECT_TRUE(PointChanged(recent, "x", 49));
    EXPECT_FALSE(PointChanged(recent, "x", 50));
}

}  // namespace
}  // namespace hearth::storage
