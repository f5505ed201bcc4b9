#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "vmm/event/event_fd.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

// Two token buckets, for bytes and for operations, with the arithmetic of Firecracker's.
//
// A bucket starts full, refills evenly to `size` in `refill_time_ms`, and has a credit on top
// (`one_time_burst`) that never comes back. A request larger than the whole bucket is let through
// and the limiter then blocks in proportion. While blocked a one-shot timer runs; its descriptor
// becomes readable when work may go on, and nothing polls.
namespace hearth::vmm::virtio {

struct TokenBucketOptions final {
    std::uint64_t size = 0;
    std::uint64_t one_time_burst = 0;
    std::uint64_t refill_time_ms = 0;
};

// An absent bucket, or one whose size or refill time is zero, does not limit.
struct RateLimiterOptions final {
    std::optional<TokenBucketOptions> bandwidth;
    std::optional<TokenBucketOptions> ops;
};

class TokenBucket final {
  public:
    using Time = MonotonicClock::time_point;

    // Nothing when the options do not limit.
    static std::optional<TokenBucket> Create(const TokenBucketOptions& options, Time now);

    struct Reduction final {
        bool allowed = false;
        // By how many bucket sizes the request exceeded what was there; 0 when it did not.
        double over = 0;
    };

    Reduction Reduce(std::uint64_t tokens, Time now);

    // Gives tokens back that were taken for nothing.
    void Replenish(std::uint64_t tokens);

    std::uint64_t budget() const { return budget_; }

    std::uint64_t one_time_burst() const { return one_time_burst_; }

    // As configured.
    const TokenBucketOptions& options() const { return options_; }

  private:
    TokenBucket() = default;

    void Refill(Time now);

    TokenBucketOptions options_;
    std::uint64_t one_time_burst_ = 0;
    std::uint64_t budget_ = 0;
    Time last_update_;
    // size / refill time in ns, reduced.
    std::uint64_t tokens_per_period_ = 0;
    std::uint64_t period_ns_ = 0;
};

// What a PATCH does to one bucket: nothing, take the limit away, or set a new one.
struct BucketUpdate final {
    enum class Kind { kKeep, kDisable, kReplace };
    Kind kind = Kind::kKeep;
    TokenBucketOptions bucket;

    // A bucket of zero size or refill time disables; an absent one keeps.
    static BucketUpdate From(const std::optional<TokenBucketOptions>& options);
};

struct RateLimiterUpdate final {
    BucketUpdate bandwidth;
    BucketUpdate ops;
};

class RateLimiter final {
  public:
    enum class Token { kBytes, kOps };

    // Makes the timer even when nothing is limited: a later update may need one, and by then the
    // thread may no longer be allowed to.
    static Result<RateLimiter> Create(
        const RateLimiterOptions& options,
        std::shared_ptr<MonotonicClock> clock = MonotonicClock::System());

    // Takes tokens, or blocks the limiter and says false.
    bool Consume(std::uint64_t tokens, Token token);

    // One operation of `bytes` bytes: takes both or neither.
    bool ConsumeOperation(std::uint64_t bytes);

    void Replenish(std::uint64_t tokens, Token token);

    bool blocked() const { return blocked_; }

    // The descriptor that is readable when the limiter may be unblocked.
    int timer() const { return timer_.fd(); }

    // To be called when the timer is readable; false when it was not due.
    bool Unblock();

    void Update(const RateLimiterUpdate& update);

    const std::optional<TokenBucket>& bandwidth() const { return bandwidth_; }

    const std::optional<TokenBucket>& ops() const { return ops_; }

    // As configured now; buckets that do not limit are absent.
    RateLimiterOptions options() const;

  private:
    RateLimiter(std::shared_ptr<MonotonicClock> clock, TimerFd timer)
        : clock_(std::move(clock)), timer_(std::move(timer)) {}

    void Block(std::chrono::nanoseconds duration);

    std::shared_ptr<MonotonicClock> clock_;
    std::optional<TokenBucket> bandwidth_;
    std::optional<TokenBucket> ops_;
    TimerFd timer_;
    bool blocked_ = false;
};

}  // namespace hearth::vmm::virtio
