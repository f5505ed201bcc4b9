#include "vmm/virtio/rate_limiter.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace hearth::vmm::virtio {
namespace {

// How long the limiter stays blocked when a bucket is empty, whatever the bucket's rate.
constexpr std::chrono::milliseconds kBlocked{100};

constexpr std::uint64_t kNanosecondsPerMillisecond = 1'000'000;

std::uint64_t AddSaturating(std::uint64_t a, std::uint64_t b) {
    return a > std::numeric_limits<std::uint64_t>::max() - b
               ? std::numeric_limits<std::uint64_t>::max()
               : a + b;
}

// The standard has no 128-bit integer, the compilers we build with do.
__extension__ using Wide = unsigned __int128;

}  // namespace

std::optional<TokenBucket> TokenBucket::Create(const TokenBucketOptions& options, Time now) {
    if (options.size == 0 || options.refill_time_ms == 0 ||
        options.refill_time_ms >
            std::numeric_limits<std::uint64_t>::max() / kNanosecondsPerMillisecond) {
        return std::nullopt;
    }
    const std::uint64_t refill_ns = options.refill_time_ms * kNanosecondsPerMillisecond;
    const std::uint64_t divisor = std::gcd(options.size, refill_ns);
    TokenBucket bucket;
    bucket.options_ = options;
    bucket.one_time_burst_ = options.one_time_burst;
    bucket.budget_ = options.size;
    bucket.last_update_ = now;
    bucket.tokens_per_period_ = options.size / divisor;
    bucket.period_ns_ = refill_ns / divisor;
    return bucket;
}

void TokenBucket::Refill(Time now) {
    if (now <= last_update_) {
        return;
    }
    const auto elapsed_ns = static_cast<std::uint64_t>((now - last_update_).count());
    if (elapsed_ns >= options_.refill_time_ms * kNanosecondsPerMillisecond) {
        budget_ = options_.size;
        last_update_ = now;
        return;
    }
    const auto tokens =
        static_cast<std::uint64_t>(Wide{elapsed_ns} * tokens_per_period_ / period_ns_);
    // Only the time these tokens took is used up: the fraction of a token that is left counts for
    // the next refill, so that frequent small requests lose nothing. Rounded up, or a nanosecond
    // could be used twice.
    const Wide spent = Wide{tokens} * period_ns_;
    const auto spent_ns =
        static_cast<std::uint64_t>((spent + tokens_per_period_ - 1) / tokens_per_period_);
    last_update_ += std::chrono::nanoseconds(static_cast<std::int64_t>(spent_ns));
    budget_ = std::min(AddSaturating(budget_, tokens), options_.size);
}

TokenBucket::Reduction TokenBucket::Reduce(std::uint64_t tokens, Time now) {
    if (one_time_burst_ > 0) {
        if (one_time_burst_ >= tokens) {
            one_time_burst_ -= tokens;
            last_update_ = now;
            return {.allowed = true};
        }
        tokens -= one_time_burst_;
        one_time_burst_ = 0;
    }
    if (tokens > budget_) {
        Refill(now);
        if (tokens > options_.size) {
            // It would never fit: let it through and make the next ones wait for it.
            tokens -= budget_;
            budget_ = 0;
            return {
                .allowed = true,
                .over = static_cast<double>(tokens) / static_cast<double>(options_.size)};
        }
        if (tokens > budget_) {
            return {};
        }
    }
    budget_ -= tokens;
    return {.allowed = true};
}

void TokenBucket::Replenish(std::uint64_t tokens) {
    if (one_time_burst_ > 0) {
        one_time_burst_ = std::min(AddSaturating(one_time_burst_, tokens), options_.one_time_burst);
        return;
    }
    budget_ = std::min(AddSaturating(budget_, tokens), options_.size);
}

BucketUpdate BucketUpdate::From(const std::optional<TokenBucketOptions>& options) {
    if (!options) {
        return {};
    }
    if (options->size == 0 || options->refill_time_ms == 0) {
        return {.kind = Kind::kDisable};
    }
    return {.kind = Kind::kReplace, .bucket = *options};
}

Result<RateLimiter> RateLimiter::Create(
    const RateLimiterOptions& options, std::shared_ptr<MonotonicClock> clock) {
    HEARTH_TRY(TimerFd timer, TimerFd::Create());
    RateLimiter limiter(std::move(clock), std::move(timer));
    const auto now = limiter.clock_->Now();
    if (options.bandwidth) {
        limiter.bandwidth_ = TokenBucket::Create(*options.bandwidth, now);
    }
    if (options.ops) {
        limiter.ops_ = TokenBucket::Create(*options.ops, now);
    }
    return limiter;
}

void RateLimiter::Block(std::chrono::nanoseconds duration) {
    timer_.Arm(duration);
    blocked_ = true;
}

bool RateLimiter::Consume(std::uint64_t tokens, Token token) {
    if (blocked_) {
        return false;
    }
    std::optional<TokenBucket>& bucket = token == Token::kBytes ? bandwidth_ : ops_;
    if (!bucket) {
        return true;
    }
    const TokenBucket::Reduction reduction = bucket->Reduce(tokens, clock_->Now());
    if (!reduction.allowed) {
        Block(kBlocked);
    } else if (reduction.over > 0) {
        const double wait_ms =
            reduction.over * static_cast<double>(bucket->options().refill_time_ms);
        // A wait beyond a century is as good as one of a century, and fits.
        constexpr double kWaitMsMax = 100.0 * 365 * 24 * 3600 * 1000;
        Block(std::chrono::milliseconds(static_cast<std::int64_t>(std::min(wait_ms, kWaitMsMax))));
    }
    return reduction.allowed;
}

bool RateLimiter::ConsumeOperation(std::uint64_t bytes) {
    if (!Consume(1, Token::kOps)) {
        return false;
    }
    if (!Consume(bytes, Token::kBytes)) {
        Replenish(1, Token::kOps);
        return false;
    }
    return true;
}

void RateLimiter::Replenish(std::uint64_t tokens, Token token) {
    std::optional<TokenBucket>& bucket = token == Token::kBytes ? bandwidth_ : ops_;
    if (bucket) {
        bucket->Replenish(tokens);
    }
}

bool RateLimiter::Unblock() {
    if (timer_.Drain() == 0) {
        return false;
    }
    blocked_ = false;
    return true;
}

void RateLimiter::Update(const RateLimiterUpdate& update) {
    const auto now = clock_->Now();
    const auto apply = [now](const BucketUpdate& change, std::optional<TokenBucket>& bucket) {
        if (change.kind == BucketUpdate::Kind::kDisable) {
            bucket.reset();
        } else if (change.kind == BucketUpdate::Kind::kReplace) {
            bucket = TokenBucket::Create(change.bucket, now);
        }
    };
    apply(update.bandwidth, bandwidth_);
    apply(update.ops, ops_);
}

RateLimiterOptions RateLimiter::options() const {
    RateLimiterOptions options;
    if (bandwidth_) {
        options.bandwidth = bandwidth_->options();
    }
    if (ops_) {
        options.ops = ops_->options();
    }
    return options;
}

}  // namespace hearth::vmm::virtio
