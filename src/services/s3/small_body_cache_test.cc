#include "services/s3/small_body_cache.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace hearth::s3 {
namespace {

SmallBodyCache::Bytes Text(size_t size) {
    return std::make_shared<const std::string>(size, 'x');
}

std::string Name(int number) {
    return "unique-" + std::to_string(number);
}

TEST(SmallBodyCache, FindsWhatWasInserted) {
    SmallBodyCache cache;
    EXPECT_EQ(cache.Find("a"), nullptr);
    cache.Insert("a", std::make_shared<const std::string>("bytes of a"));
    cache.Insert("", std::make_shared<const std::string>(""));
    ASSERT_NE(cache.Find("a"), nullptr);
    EXPECT_EQ(*cache.Find("a"), "bytes of a");
    ASSERT_NE(cache.Find(""), nullptr);
    EXPECT_EQ(cache.Find("b"), nullptr);
}

TEST(SmallBodyCache, KeepsToItsBytesAndPushesOutWhatWasUsedLongestAgo) {
    SmallBodyCache cache(size_t{8} * 10'000);
    // All of one shard, as their last bytes are alike.
    const auto name = [](int number) { return std::to_string(number) + "-"; };
    for (int number = 0; number < 5; ++number) {
        cache.Insert(name(number), Text(1'500));
    }
    ASSERT_NE(cache.Find(name(0)), nullptr);
    cache.Insert(name(5), Text(1'500));
    EXPECT_NE(cache.Find(name(0)), nullptr);
    EXPECT_EQ(cache.Find(name(1)), nullptr);
    EXPECT_NE(cache.Find(name(5)), nullptr);
}

TEST(SmallBodyCache, TakesNothingThatIsLargerThanItsShare) {
    SmallBodyCache cache(size_t{8} * 10'000);
    cache.Insert("large", Text(10'000));
    EXPECT_EQ(cache.Find("large"), nullptr);
}

TEST(SmallBodyCache, WhatWasFoundStaysWhenItIsPushedOut) {
    SmallBodyCache cache(size_t{8} * 1'000);
    cache.Insert("0-", Text(500));
    const SmallBodyCache::Bytes held = cache.Find("0-");
    cache.Insert("1-", Text(500));
    EXPECT_EQ(cache.Find("0-"), nullptr);
    EXPECT_EQ(*held, std::string(500, 'x'));
}

TEST(SmallBodyCache, ManyThreads) {
    SmallBodyCache cache(size_t{64} << 10);
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&cache] {
            for (int number = 0; number < 2'000; ++number) {
                const std::string unique = Name(number % 300);
                if (const auto found = cache.Find(unique)) {
                    ASSERT_EQ(found->size(), static_cast<size_t>(number % 300));
                } else {
                    cache.Insert(unique, Text(static_cast<size_t>(number % 300)));
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
}

}  // namespace
}  // namespace hearth::s3
