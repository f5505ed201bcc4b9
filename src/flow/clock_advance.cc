#include "flow/clock_advance.h"

#include <charconv>

namespace hearth::flow {
namespace {

constexpr std::chrono::milliseconds kRestLimit = std::chrono::minutes(2);
constexpr CloudClock::duration kAdvanceMax = std::chrono::hours(24) * 36'525;
// A cloud whose timers put each other to the present for ever would never come to rest.
constexpr int kRoundsMax = 100;

// Clears the flag whichever way the advance ends.
class Clear final {
  public:
    explicit Clear(std::atomic<bool>& flag) : flag_(flag) {}

    ~Clear() { flag_ = false; }

    Clear(const Clear&) = delete;
    Clear& operator=(const Clear&) = delete;

  private:
    std::atomic<bool>& flag_;
};

}  // namespace

Task<Result<AdvanceReport>> ClockAdvance::Advance(CloudClock::duration by) {
    if (by < CloudClock::duration::zero() || by > kAdvanceMax) {
        co_return errors::Malformed("the clock advances by 0 to 100 years");
    }
    if (advancing_.exchange(true)) {
        co_return Error(Error::Kind::kConflict, "", "the clock is being advanced already", 409);
    }
    const Clear clear(advancing_);
    AdvanceReport report;
    const CloudClock::time_point target = clock_.Now() + by;
    const std::map<std::string, uint64_t> before = Attempts();
    HEARTH_CO_RETURN_IF_ERROR(co_await Rest(report));
    while (true) {
        HEARTH_CO_TRY(const auto next, co_await NextDue());
        if (!next || *next > target) {
            break;
        }
        HEARTH_CO_RETURN_IF_ERROR(co_await clock_.AdvanceTo(*next));
        HEARTH_CO_RETURN_IF_ERROR(co_await Rest(report));
    }
    HEARTH_CO_RETURN_IF_ERROR(co_await clock_.AdvanceTo(target));
    schedule_.ClockMoved();
    HEARTH_CO_RETURN_IF_ERROR(co_await Rest(report));
    report.now = clock_.Now();
    for (const auto& [kind, count] : Attempts()) {
        const auto earlier = before.find(kind);
        const uint64_t more = count - (earlier == before.end() ? 0 : earlier->second);
        if (more > 0) {
            report.attempts.emplace(kind, more);
        }
    }
    co_return report;
}

Task<Result<std::optional<CloudClock::time_point>>> ClockAdvance::NextDue() {
    HEARTH_CO_TRY(std::optional<CloudClock::time_point> next, co_await schedule_.NextDue());
    const auto deadline = due_times_ != nullptr ? due_times_->NextDue() : std::nullopt;
    if (deadline && (!next || *deadline < *next)) {
        next = deadline;
    }
    co_return next;
}

std::map<std::string, uint64_t> ClockAdvance::Attempts() const {
    std::map<std::string, uint64_t> attempts;
    if (courier_ != nullptr) {
        for (const auto& [kind, counts] : courier_->Counts()) {
            attempts.emplace(kind, counts.delivered + counts.retried);
        }
    }
    return attempts;
}

Task<Status> ClockAdvance::Rest(AdvanceReport& report) {
    for (int round = 0; round < kRoundsMax; ++round) {
        std::vector<DueTimer> fired;
        const std::map<std::string, uint64_t> before = Attempts();
        size_t called = 0;
        HEARTH_CO_RETURN_IF_ERROR(co_await schedule_.Settle(&fired, kRestLimit));
        if (due_times_ != nullptr) {
            called = co_await due_times_->RunDue();
            HEARTH_CO_RETURN_IF_ERROR(co_await due_times_->WaitForQuiet());
        }
        if (courier_ != nullptr) {
            HEARTH_CO_RETURN_IF_ERROR(co_await courier_->Settle(kRestLimit));
        }
        for (const Quiet& quiet : quiet_) {
            HEARTH_CO_RETURN_IF_ERROR(co_await quiet());
        }
        report.fired_count += fired.size();
        for (DueTimer& timer : fired) {
            if (report.fired.size() < AdvanceReport::kFiredKept) {
                report.fired.push_back(std::move(timer));
            }
        }
        if (fired.empty() && called == 0 && Attempts() == before) {
            co_return Status();
        }
    }
    co_return errors::Unavailable("the cloud did not come to rest");
}

Result<CloudClock::duration> ParseDuration(std::string_view text) {
    struct Unit {
        std::string_view name;
        int64_t ms;
    };

    // "ms" before "m".
    constexpr Unit kUnits[] = {
        {"ms", 1},
        {"d", 86'400'000},
        {"h", 3'600'000},
        {"m", 60'000},
        {"s", 1'000},
        {"w", 604'800'000}};
    constexpr int64_t kNumberMax = 1'000'000'000;
    const Error malformed =
        errors::Malformed("a duration is written as 90d, 36h, 5m, 10s or 250ms");
    if (text.empty()) {
        return malformed;
    }
    int64_t total_ms = 0;
    while (!text.empty()) {
        int64_t number = 0;
        const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error != std::errc() || number < 0 || number > kNumberMax || text.front() == '-') {
            return malformed;
        }
        text.remove_prefix(static_cast<size_t>(rest - text.data()));
        const Unit* unit = std::find_if(std::begin(kUnits), std::end(kUnits), [&](const Unit& u) {
            return text.starts_with(u.name);
        });
        if (unit == std::end(kUnits)) {
            return malformed;
        }
        text.remove_prefix(unit->name.size());
        total_ms += number * unit->ms;
        if (total_ms > kAdvanceMax.count()) {
            return errors::Malformed("the duration is longer than 100 years");
        }
    }
    return CloudClock::duration(total_ms);
}

}  // namespace hearth::flow
