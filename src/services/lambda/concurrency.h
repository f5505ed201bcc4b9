#pragma once

#include "base/error.h"
#include "base/ids.h"
#include "base/result.h"
#include "rt/task.h"
#include "services/lambda/room_watch.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

// How many calls may run at once and how many may come in a second, as AWS limits them.
//
// - A function with reserved concurrency R runs at most R calls at once, over all its versions, and
//   has them for itself. R = 0 stops it.
// - All others of an account and region share what is left of the account's quota.
// - In a second come at most ten times as many calls: of the function's reserve, or of the quota.
//   Asynchronous ones are not counted: they have been accepted already.
// - A function gets at most 1,000 new environments in 10 s, and then 100 more each second.
//
// Storage is the truth about reserves (FunctionStore); this is what the data plane sees of it. A
// change counts from the moment its Load has ended, for calls of running environments too.
// Source: Lambda Developer Guide, "Understanding Lambda function scaling", "Lambda quotas".
namespace hearth::lambda {

// Refuses what comes too fast: `burst` at once, then one each `interval`. Any thread; lock-free.
class RateLimit final {
  public:
    using Clock = std::chrono::steady_clock;

    struct Rate {
        std::chrono::nanoseconds interval;
        // How long it must have been quiet for the whole burst to be there again.
        std::chrono::nanoseconds window;
    };

    // `count` in each `window`.
    static Rate Per(int64_t count, std::chrono::nanoseconds window);

    bool Take(Clock::time_point now, const Rate& rate);
    // When the next one will be let through.
    Clock::time_point Next(const Rate& rate) const;

  private:
    // When all that was taken so far would have come, had it come evenly.
    std::atomic<Clock::rep> even_{0};
};

// One account in one region. Any thread.
class AccountConcurrency final {
  public:
    // Of functions without reserved concurrency: running now, and how many may.
    std::atomic<int32_t> running{0};
    std::atomic<int32_t> running_max{0};
    RateLimit calls;
    // Who waits until there is room again.
    RoomWatches watches;

    // Changes whenever reserves were read anew; 0: not yet.
    uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

    std::optional<int32_t> ReservedOf(std::string_view function) const;

  private:
    friend class ConcurrencyLimits;

    std::atomic<uint64_t> generation_{0};
    mutable std::mutex mutex_;
    std::map<std::string, int32_t, std::less<>> reserved_;
    // Of the Load whose answer is shown; later ones have seen more.
    uint64_t ticket_ = 0;
};

class ConcurrencyLimits final {
  public:
    using Reserves = std::map<std::string, int32_t, std::less<>>;  // by function name
    // Reads the reserves of all functions of an account and region from storage.
    using Reader = std::function<Task<Result<Reserves>>(AccountId, Region)>;

    ConcurrencyLimits(int32_t account_max, Reader reader);

    int32_t account_max() const { return account_max_; }

    // What must stay unreserved.
    int32_t unreserved_min() const;

    // Stays valid as long as this object. Its limits are there after a Load.
    AccountConcurrency& Of(const AccountId& account, const Region& region);

    // Reads the reserves. After every committed change of one, and once before the first call.
    Task<Status> Load(AccountId account, Region region);

  private:
    const int32_t account_max_;
    const Reader reader_;
    std::atomic<uint64_t> tickets_{0};
    std::mutex mutex_;
    std::map<std::pair<AccountId, Region>, std::unique_ptr<AccountConcurrency>> accounts_;
};

// What a function's calls are held to; lives on the loop of the function's slots.
class FunctionConcurrency final {
  public:
    FunctionConcurrency(ConcurrencyLimits& limits, AccountConcurrency& account, std::string name)
        : limits_(limits), account_(account), name_(std::move(name)) {}

    // A call that runs. Gives its place back when it ends.
    class Place final {
      public:
        Place() = default;

        Place(Place&& other) noexcept
            : function_(std::exchange(other.function_, nullptr)), own_(other.own_) {}

        Place& operator=(Place&&) = delete;
        ~Place();

      private:
        friend class FunctionConcurrency;

        FunctionConcurrency* function_ = nullptr;
        // Of the function's reserve; else of what all share.
        bool own_ = false;
    };

    // False until the account's reserves have been read once.
    bool ready() const { return account_.generation() != 0; }

    // Lets one more call in; `counted`: in the calls of a second. Who is refused and has a watch is
    // told when there is room again, at every instant at which there is some.
    //   errors  TooManyRequestsException (429) with AWS's Reason
    Result<Place> Enter(RateLimit::Clock::time_point now, bool counted = true);

    // Whether one more environment may be made now.
    //   errors  as Enter
    Status TakeEnvironment(RateLimit::Clock::time_point now);

  private:
    Result<Place> EnterReserve(RateLimit::Clock::time_point now, bool counted);
    Result<Place> EnterShared(RateLimit::Clock::time_point now, bool counted);
    void Leave(bool own);

    ConcurrencyLimits& limits_;
    AccountConcurrency& account_;
    const std::string name_;
    uint64_t generation_ = 0;
    std::optional<int32_t> reserved_;
    // Calls counted here and not in the account: those let in while there was a reserve.
    int32_t running_ = 0;
    RateLimit calls_;
    RateLimit environments_;
};

// TooManyRequestsException, as a caller of Invoke sees it.
Error TooManyRequests(const char* reason);

}  // namespace hearth::lambda
