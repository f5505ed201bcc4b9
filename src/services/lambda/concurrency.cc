#include "services/lambda/concurrency.h"

#include <algorithm>

namespace hearth::lambda {
namespace {

// Source: "Lambda quotas": requests per second are ten times the concurrency.
constexpr int64_t kCallsPerSecondPerConcurrency = 10;
// Source: "Understanding Lambda function scaling", concurrency scaling rate.
constexpr int64_t kEnvironmentsPerWindow = 1'000;
constexpr std::chrono::nanoseconds kEnvironmentWindow = std::chrono::seconds(10);
// What PutFunctionConcurrency must leave to functions without a reserve.
constexpr int32_t kUnreservedMin = 100;

RateLimit::Rate CallsFor(int32_t concurrency) {
    return RateLimit::Per(
        kCallsPerSecondPerConcurrency * std::max<int64_t>(1, concurrency), std::chrono::seconds(1));
}

}  // namespace

RateLimit::Rate RateLimit::Per(int64_t count, std::chrono::nanoseconds window) {
    return {.interval = window / count, .window = window};
}

bool RateLimit::Take(Clock::time_point now, const Rate& rate) {
    const Clock::rep at = now.time_since_epoch().count();
    const Clock::rep latest = at + rate.window.count();
    Clock::rep even = even_.load(std::memory_order_relaxed);
    for (;;) {
        const Clock::rep next = std::max(even, at) + rate.interval.count();
        if (next > latest) {
            return false;
        }
        if (even_.compare_exchange_weak(even, next, std::memory_order_relaxed)) {
            return true;
        }
    }
}

std::optional<int32_t> AccountConcurrency::ReservedOf(std::string_view function) const {
    const std::lock_guard lock(mutex_);
    const auto found = reserved_.find(function);
    return found == reserved_.end() ? std::nullopt : std::optional(found->second);
}

ConcurrencyLimits::ConcurrencyLimits(int32_t account_max, Reader reader)
    : account_max_(account_max), reader_(std::move(reader)) {}

int32_t ConcurrencyLimits::unreserved_min() const {
    return std::min(kUnreservedMin, account_max_);
}

AccountConcurrency& ConcurrencyLimits::Of(const AccountId& account, const Region& region) {
    const std::lock_guard lock(mutex_);
    auto& found = accounts_[{account, region}];
    if (found == nullptr) {
        found = std::make_unique<AccountConcurrency>();
        found->running_max = account_max_;
    }
    return *found;
}

Task<Status> ConcurrencyLimits::Load(AccountId account, Region region) {
    AccountConcurrency& limits = Of(account, region);
    // Taken before the read: of two reads, the one that began later has seen all that the other
    // has.
    const uint64_t ticket = tickets_.fetch_add(1) + 1;
    HEARTH_CO_TRY(Reserves reserves, co_await reader_(std::move(account), std::move(region)));
    const std::lock_guard lock(limits.mutex_);
    if (ticket < limits.ticket_) {
        co_return Status();
    }
    limits.ticket_ = ticket;
    int64_t sum = 0;
    for (const auto& [name, reserved] : reserves) {
        sum += reserved;
    }
    limits.reserved_ = std::move(reserves);
    limits.running_max = static_cast<int32_t>(std::max<int64_t>(0, account_max_ - sum));
    limits.generation_.store(ticket, std::memory_order_release);
    co_return Status();
}

FunctionConcurrency::Place::~Place() {
    if (shared_ != nullptr) {
        shared_->fetch_sub(1, std::memory_order_relaxed);
    }
    if (own_ != nullptr) {
        --*own_;
    }
}

Result<FunctionConcurrency::Place> FunctionConcurrency::Enter(RateLimit::Clock::time_point now) {
    if (const uint64_t generation = account_.generation(); generation != generation_) {
        reserved_ = account_.ReservedOf(name_);
        generation_ = generation;
    }
    Place place;
    if (reserved_) {
        if (running_ >= *reserved_) {
            return TooManyRequests("ReservedFunctionConcurrentInvocationLimitExceeded");
        }
        if (!calls_.Take(now, CallsFor(*reserved_))) {
            return TooManyRequests("ReservedFunctionInvocationRateLimitExceeded");
        }
        ++running_;
        place.own_ = &running_;
        return place;
    }
    const int32_t running = account_.running.fetch_add(1, std::memory_order_relaxed);
    place.shared_ = &account_.running;
    if (running >= account_.running_max.load(std::memory_order_relaxed)) {
        return TooManyRequests("ConcurrentInvocationLimitExceeded");
    }
    if (!account_.calls.Take(now, CallsFor(limits_.account_max()))) {
        return TooManyRequests("FunctionInvocationRateLimitExceeded");
    }
    return place;
}

Status FunctionConcurrency::TakeEnvironment(RateLimit::Clock::time_point now) {
    static const RateLimit::Rate kRate = RateLimit::Per(kEnvironmentsPerWindow, kEnvironmentWindow);
    if (!environments_.Take(now, kRate)) {
        return TooManyRequests(
            reserved_ ? "ReservedFunctionConcurrentInvocationLimitExceeded"
                      : "ConcurrentInvocationLimitExceeded");
    }
    return Status();
}

Error TooManyRequests(const char* reason) {
    return Error(Error::Kind::kThrottled, "TooManyRequestsException", "Rate Exceeded.", 429)
        .WithField("Reason", reason)
        .WithField("Type", "User");
}

}  // namespace hearth::lambda
