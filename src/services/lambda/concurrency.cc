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

RateLimit::Clock::time_point RateLimit::Next(const Rate& rate) const {
    const Clock::rep even = even_.load(std::memory_order_relaxed);
    return Clock::time_point(Clock::duration(even) + rate.interval - rate.window);
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
    {
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
    }
    limits.watches.Changed();
    co_return Status();
}

FunctionConcurrency::Place::~Place() {
    if (function_ != nullptr) {
        function_->Leave(own_);
    }
}

void FunctionConcurrency::Leave(bool own) {
    if (own) {
        --running_;
        if (reserved_ && running_ < *reserved_) {
            account_.watches.Room(name_);
        }
        return;
    }
    if (account_.running.fetch_sub(1) <= account_.running_max.load()) {
        account_.watches.SharedRoom();
    }
}

Result<FunctionConcurrency::Place> FunctionConcurrency::Enter(
    RateLimit::Clock::time_point now, bool counted) {
    if (const uint64_t generation = account_.generation(); generation != generation_) {
        reserved_ = account_.ReservedOf(name_);
        generation_ = generation;
    }
    return reserved_ ? EnterReserve(now, counted) : EnterShared(now, counted);
}

Result<FunctionConcurrency::Place> FunctionConcurrency::EnterReserve(
    RateLimit::Clock::time_point now, bool counted) {
    if (running_ >= *reserved_) {
        return TooManyRequests("ReservedFunctionConcurrentInvocationLimitExceeded");
    }
    if (const RateLimit::Rate rate = CallsFor(*reserved_); counted && !calls_.Take(now, rate)) {
        account_.watches.RoomAt(name_, calls_.Next(rate));
        return TooManyRequests("ReservedFunctionInvocationRateLimitExceeded");
    }
    ++running_;
    Place place;
    place.function_ = this;
    place.own_ = true;
    if (running_ < *reserved_) {
        account_.watches.Room(name_);
    }
    return place;
}

Result<FunctionConcurrency::Place> FunctionConcurrency::EnterShared(
    RateLimit::Clock::time_point now, bool counted) {
    // Never above the limit, not even for an instant: somebody else would be refused by it.
    int32_t running = account_.running.load();
    do {
        if (running >= account_.running_max.load()) {
            account_.watches.WaitsForShared(name_);
            // One may have left before that was noted.
            if (account_.running.load() < account_.running_max.load()) {
                account_.watches.SharedRoom();
            }
            return TooManyRequests("ConcurrentInvocationLimitExceeded");
        }
    } while (!account_.running.compare_exchange_weak(running, running + 1));
    Place place;
    place.function_ = this;
    if (const RateLimit::Rate rate = CallsFor(limits_.account_max());
        counted && !account_.calls.Take(now, rate)) {
        account_.watches.RoomAt(name_, account_.calls.Next(rate));
        return TooManyRequests("FunctionInvocationRateLimitExceeded");
    }
    if (running + 1 < account_.running_max.load()) {
        account_.watches.Room(name_);
    }
    return place;
}

Status FunctionConcurrency::TakeEnvironment(RateLimit::Clock::time_point now) {
    static const RateLimit::Rate kRate = RateLimit::Per(kEnvironmentsPerWindow, kEnvironmentWindow);
    if (!environments_.Take(now, kRate)) {
        account_.watches.RoomAt(name_, environments_.Next(kRate));
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
