#include "vmm/virtio/rate_limiter.h"

#include "testing/fake_clock.h"

#include <gtest/gtest.h>
#include <poll.h>

namespace hearth::vmm::virtio {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using testing::FakeMonotonicClock;
using Token = RateLimiter::Token;

bool IsReadable(int fd, int timeout_ms) {
    pollfd poll_fd = {.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&poll_fd, 1, timeout_ms) == 1;
}

class RateLimiterTest : public ::testing::Test {
  protected:
    TokenBucket Bucket(std::uint64_t size, std::uint64_t burst, std::uint64_t refill_ms) {
        return *TokenBucket::Create(
            {.size = size, .one_time_burst = burst, .refill_time_ms = refill_ms}, clock_->Now());
    }

    std::shared_ptr<FakeMonotonicClock> clock_ = std::make_shared<FakeMonotonicClock>();
};

TEST_F(RateLimiterTest, ZeroSizeOrTimeDoesNotLimit) {
    EXPECT_FALSE(TokenBucket::Create({.size = 0, .refill_time_ms = 5}, clock_->Now()));
    EXPECT_FALSE(TokenBucket::Create({.size = 5, .refill_time_ms = 0}, clock_->Now()));
    // A refill time whose nanoseconds do not fit 64 bits.
    EXPECT_FALSE(TokenBucket::Create(
        {.size = 5, .refill_time_ms = ~std::uint64_t{0} / 1'000'000 + 1}, clock_->Now()));
    auto limiter = RateLimiter::Create({}, clock_);
    ASSERT_TRUE(limiter.ok());
    EXPECT_TRUE(limiter->Consume(~std::uint64_t{0}, Token::kBytes));
    EXPECT_TRUE(limiter->Consume(~std::uint64_t{0}, Token::kOps));
    EXPECT_FALSE(limiter->blocked());
}

TEST_F(RateLimiterTest, BurstIsUsedFirstAndNeverComesBack) {
    TokenBucket bucket = Bucket(10, 5, 1000);
    EXPECT_TRUE(bucket.Reduce(4, clock_->Now()).allowed);
    EXPECT_EQ(bucket.budget(), 10U);
    EXPECT_EQ(bucket.one_time_burst(), 1U);
    // One of the burst, two of the budget.
    EXPECT_TRUE(bucket.Reduce(3, clock_->Now()).allowed);
    EXPECT_EQ(bucket.budget(), 8U);
    EXPECT_EQ(bucket.one_time_burst(), 0U);
    clock_->Advance(std::chrono::hours(1));
    EXPECT_TRUE(bucket.Reduce(10, clock_->Now()).allowed);
    EXPECT_FALSE(bucket.Reduce(1, clock_->Now()).allowed);
    EXPECT_EQ(bucket.one_time_burst(), 0U);
}

TEST_F(RateLimiterTest, RefillsEvenlyAndKeepsFractions) {
    TokenBucket bucket = Bucket(1000, 0, 1000);
    EXPECT_TRUE(bucket.Reduce(1000, clock_->Now()).allowed);
    // A token a millisecond: 0.6 of one is none, but is not lost.
    clock_->Advance(nanoseconds(600'000));
    EXPECT_FALSE(bucket.Reduce(1, clock_->Now()).allowed);
    clock_->Advance(nanoseconds(600'000));
    EXPECT_TRUE(bucket.Reduce(1, clock_->Now()).allowed);
    EXPECT_FALSE(bucket.Reduce(1, clock_->Now()).allowed);
    clock_->Advance(nanoseconds(800'000));
    EXPECT_TRUE(bucket.Reduce(1, clock_->Now()).allowed);
    // Refilled only when it runs dry, up to its size.
    clock_->Advance(std::chrono::hours(1));
    EXPECT_FALSE(bucket.Reduce(1001, clock_->Now()).over == 0);
}

TEST_F(RateLimiterTest, NoRateGivesMoreThanItsShare) {
    // Sizes and times without common divisors, asked at odd moments.
    for (const auto& [size, refill_ms] :
         {std::pair<std::uint64_t, std::uint64_t>{7, 13}, {1'000'003, 999}, {3, 100'003}}) {
        TokenBucket bucket = Bucket(size, 0, refill_ms);
        const auto start = clock_->Now();
        std::uint64_t taken = 0;
        for (int step = 0; step < 5000; ++step) {
            clock_->Advance(nanoseconds(137'777));
            while (bucket.Reduce(1 + size / 10, clock_->Now()).allowed) {
                taken += 1 + size / 10;
            }
        }
        const auto elapsed = static_cast<std::uint64_t>((clock_->Now() - start).count());
        const double share = static_cast<double>(size) + static_cast<double>(size) *
                                                             static_cast<double>(elapsed) /
                                                             (static_cast<double>(refill_ms) * 1e6);
        EXPECT_LE(static_cast<double>(taken), share);
        EXPECT_GE(static_cast<double>(taken), share - 1.2 * static_cast<double>(size));
    }
}

TEST_F(RateLimiterTest, TooLargeARequestPassesAndBlocksInProportion) {
    TokenBucket bucket = Bucket(100, 0, 1000);
    EXPECT_TRUE(bucket.Reduce(60, clock_->Now()).allowed);
    const TokenBucket::Reduction reduction = bucket.Reduce(240, clock_->Now());
    EXPECT_TRUE(reduction.allowed);
    EXPECT_DOUBLE_EQ(reduction.over, 2.0);
    EXPECT_EQ(bucket.budget(), 0U);
}

TEST_F(RateLimiterTest, ReplenishGoesToTheBurstWhileThereIsOne) {
    TokenBucket bucket = Bucket(100, 10, 1000);
    EXPECT_TRUE(bucket.Reduce(4, clock_->Now()).allowed);
    bucket.Replenish(100);
    EXPECT_EQ(bucket.one_time_burst(), 10U);
    EXPECT_TRUE(bucket.Reduce(60, clock_->Now()).allowed);
    bucket.Replenish(1000);
    EXPECT_EQ(bucket.one_time_burst(), 0U);
    EXPECT_EQ(bucket.budget(), 100U);
}

TEST_F(RateLimiterTest, BlocksForATenthOfASecondAndForBothBuckets) {
    auto limiter = RateLimiter::Create(
        {.bandwidth = TokenBucketOptions{.size = 1000, .refill_time_ms = 1000},
         .ops = TokenBucketOptions{.size = 2, .refill_time_ms = 1000}},
        clock_);
    ASSERT_TRUE(limiter.ok());
    EXPECT_TRUE(limiter->ConsumeOperation(10));
    EXPECT_TRUE(limiter->ConsumeOperation(10));
    EXPECT_FALSE(limiter->blocked());
    EXPECT_FALSE(limiter->ConsumeOperation(10));
    EXPECT_TRUE(limiter->blocked());
    // One empty bucket stops the other, too.
    EXPECT_FALSE(limiter->Consume(1, Token::kBytes));
    EXPECT_FALSE(limiter->Unblock());
    ASSERT_TRUE(IsReadable(limiter->timer(), 10'000));
    EXPECT_TRUE(limiter->Unblock());
    EXPECT_FALSE(limiter->blocked());
    clock_->Advance(milliseconds(500));
    EXPECT_TRUE(limiter->ConsumeOperation(10));
    EXPECT_EQ(limiter->bandwidth()->budget(), 970U);
}

TEST_F(RateLimiterTest, AnOperationTakesBothOrNeither) {
    auto limiter = RateLimiter::Create(
        {.bandwidth = TokenBucketOptions{.size = 10, .refill_time_ms = 1000},
         .ops = TokenBucketOptions{.size = 5, .refill_time_ms = 1000}},
        clock_);
    ASSERT_TRUE(limiter.ok());
    EXPECT_TRUE(limiter->ConsumeOperation(8));
    EXPECT_FALSE(limiter->ConsumeOperation(8));
    EXPECT_EQ(limiter->ops()->budget(), 4U);
}

TEST_F(RateLimiterTest, UpdatesReplaceKeepAndDisable) {
    auto limiter = RateLimiter::Create(
        {.bandwidth = TokenBucketOptions{.size = 10, .refill_time_ms = 1000},
         .ops = TokenBucketOptions{.size = 5, .refill_time_ms = 1000}},
        clock_);
    ASSERT_TRUE(limiter.ok());
    EXPECT_TRUE(limiter->ConsumeOperation(8));
    limiter->Update({.ops = BucketUpdate::From(TokenBucketOptions{})});
    EXPECT_FALSE(limiter->ops());
    EXPECT_EQ(limiter->bandwidth()->budget(), 2U);
    limiter->Update(
        {.bandwidth = BucketUpdate::From(TokenBucketOptions{.size = 77, .refill_time_ms = 1})});
    EXPECT_EQ(limiter->bandwidth()->budget(), 77U);
    EXPECT_EQ(limiter->options().bandwidth->size, 77U);
    EXPECT_FALSE(limiter->options().ops);
}

}  // namespace
}  // namespace hearth::vmm::virtio
