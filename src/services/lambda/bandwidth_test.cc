#include "services/lambda/bandwidth.h"

#include <gtest/gtest.h>

namespace hearth::lambda {
namespace {

using std::chrono::seconds;

TEST(Bandwidth, LetsABurstThroughAndThenTheRate) {
    const Bandwidth::time_point start{};
    Bandwidth bandwidth(start);
    EXPECT_EQ(bandwidth.Take(Bandwidth::kBurstBytes, start), start);
    EXPECT_EQ(bandwidth.Take(4 << 20, start), start + seconds(2));
    // At the time it named the debt is paid, and nothing is saved.
    EXPECT_EQ(bandwidth.Take(2 << 20, start + seconds(2)), start + seconds(3));
}

TEST(Bandwidth, SavesUpToABurst) {
    const Bandwidth::time_point start{};
    Bandwidth bandwidth(start);
    (void)bandwidth.Take(Bandwidth::kBurstBytes, start);
    const auto later = start + seconds(100);
    EXPECT_EQ(bandwidth.Take(Bandwidth::kBurstBytes, later), later);
    EXPECT_GT(bandwidth.Take(1, later), later);
}

}  // namespace
}  // namespace hearth::lambda
