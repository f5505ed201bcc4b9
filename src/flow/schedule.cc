#include "flow/schedule.h"

#include "base/log.h"
#include "rt/event.h"
#include "rt/loops.h"
#include "rt/task_group.h"
#include "rt/timer.h"
#include "storage/keys/key.h"

#include <atomic>
#include <charconv>
#include <exception>
#include <map>
#include <mutex>
#include <set>

namespace hearth::flow {
namespace {

using storage::keys::Key;
using storage::keys::KeyReader;

// Pauses after failures: 1 s, 2 s, 4 s, ... up to this.
constexpr std::chrono::milliseconds kPauseMax = std::chrono::hours(1);
// A machine that slept or whose clock was set is noticed this late; only while a timer is waiting.
constexpr std::chrono::milliseconds kSleepMax = std::chrono::hours(1);

// In due order: (due, kind, key) -> attempts, payload.
Key DueKey(CloudClock::time_point due, std::string_view kind, std::string_view key) {
    return Key::AboveAccounts().Add("schedule").Add("due").Add(UnixMs(due)).Add(kind).Add(key);
}

// By name: (kind, key) -> due, to replace and cancel.
Key NameKey(std::string_view kind, std::string_view key) {
    return Key::AboveAccounts().Add("schedule").Add("name").Add(kind).Add(key);
}

storage::RangeRequest DueRange(int64_t first_ms, int64_t last_ms) {
    return Key::AboveAccounts().Add("schedule").Add("due").ChildrenBetween(first_ms, last_ms);
}

struct Stored {
    DueTimer timer;
    int attempts = 0;
    // The stored value, which no two Puts share.
    std::string value;
};

// "<attempts> <mark>\n<payload>". The mark tells a timer from one that was put in its place with
// the same due time while its handler ran.
std::string EncodeValue(int attempts, std::string_view mark, std::string_view payload) {
    return fmt::format("{} {}\n{}", attempts, mark, payload);
}

Result<int64_t> ParseNumber(std::string_view text) {
    int64_t number = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || rest != text.data() + text.size()) {
        return errors::Internal("a stored timer is damaged");
    }
    return number;
}

Result<Stored> Decode(const storage::KeyValue& item) {
    Stored stored;
    KeyReader reader(item.key);
    HEARTH_RETURN_IF_ERROR(reader.Skip(2));
    HEARTH_TRY(const int64_t due_ms, reader.Integer());
    stored.timer.due = CloudClock::time_point(CloudClock::duration(due_ms));
    HEARTH_TRY(stored.timer.kind, reader.String());
    HEARTH_TRY(stored.timer.key, reader.String());
    const size_t line_end = item.value.find('\n');
    if (line_end == std::string::npos) {
        return errors::Internal("a stored timer is damaged");
    }
    const std::string_view line = std::string_view(item.value).substr(0, line_end);
    HEARTH_TRY(const int64_t attempts, ParseNumber(line.substr(0, line.find(' '))));
    stored.value = item.value;
    stored.attempts = static_cast<int>(attempts);
    stored.timer.payload = item.value.substr(line_end + 1);
    return stored;
}

CloudClock::duration PauseAfter(int attempts) {
    constexpr int kDoublingsMax = 12;
    return std::min<CloudClock::duration>(
        kPauseMax, std::chrono::seconds(1) * (1 << std::min(attempts, kDoublingsMax)));
}

}  // namespace

// Everything below is touched on the schedule's loop alone.
struct Schedule::State {
    State(storage::Kv& kv_in, const CloudClock& clock_in, rt::Loops& loops_in, Options options_in)
        : kv(kv_in), clock(clock_in), loops(loops_in), options(options_in) {}

    storage::Kv& kv;
    const CloudClock& clock;
    rt::Loops& loops;
    const Options options;
    std::map<std::string, Handler, std::less<>> handlers;

    // Set: look at the store again.
    rt::Event look;
    // Woken whenever something ended or a look found nothing more to start.
    rt::Event progress;
    std::optional<rt::Timer> timer;
    std::optional<CloudClock::time_point> armed;
    // (due, kind, key) of handlers under way.
    std::set<std::tuple<CloudClock::time_point, std::string, std::string>> running;
    // Counts looks that began; Settle waits for one that began after it was called.
    uint64_t looks_begun = 0;
    uint64_t looks_ended = 0;
    bool all_due_started = false;
    std::vector<DueTimer>* fired = nullptr;
    bool started = false;
    bool stopping = false;
    std::atomic<uint64_t> next_mark{0};
    rt::TaskGroup group;

    // Unique in this process's life and, with the time, across restarts. From any thread.
    std::string NewMark() {
        return fmt::format("{:x}.{:x}", UnixMs(clock.Now()), next_mark.fetch_add(1));
    }

    Task<void> Drive() {
        while (!stopping) {
            look.Reset();
            ++looks_begun;
            if (const Status status = co_await Look(); !status.ok()) {
                log::Warn("schedule: {}; looking again in a second", status.error().message());
                timer->ArmIn(std::chrono::seconds(1));
            }
            looks_ended = looks_begun;
            progress.WakeAll();
            if (!stopping) {
                co_await look.Wait();
            }
        }
    }

    // Starts the handlers of what is due and arms the timer for what comes next.
    Task<Status> Look() {
        all_due_started = false;
        const CloudClock::time_point now = clock.Now();
        storage::RangeRequest due = DueRange(0, UnixMs(now) + 1);
        while (running.size() < options.running_max && !stopping) {
            HEARTH_CO_TRY(storage::RangePage page, co_await kv.Range(due));
            for (const storage::KeyValue& item : page.items) {
                HEARTH_CO_TRY(Stored stored, Decode(item));
                auto id = std::tuple(stored.timer.due, stored.timer.kind, stored.timer.key);
                if (running.size() >= options.running_max ||
                    !running.insert(std::move(id)).second) {
                    continue;
                }
                group.Spawn(Fire(std::move(stored)));
            }
            if (!page.next) {
                all_due_started = running.size() < options.running_max;
                break;
            }
            due.begin = *std::move(page.next);
        }
        storage::RangeRequest later = DueRange(UnixMs(now) + 1, INT64_MAX);
        later.limit = 1;
        HEARTH_CO_TRY(const storage::RangePage next, co_await kv.Range(later));
        armed.reset();
        timer->Cancel();
        if (!next.items.empty()) {
            HEARTH_CO_TRY(const Stored stored, Decode(next.items.front()));
            ArmAt(stored.timer.due);
        }
        co_return Status();
    }

    void ArmAt(CloudClock::time_point due) {
        armed = due;
        const CloudClock::duration wait = due - clock.Now();
        // One more millisecond: the machine's timer counts finer than the clock does.
        timer->ArmIn(std::clamp<CloudClock::duration>(
            wait + std::chrono::milliseconds(1), CloudClock::duration::zero(), kSleepMax));
    }

    Task<void> Fire(Stored stored) {
        Status status = co_await Handle(stored.timer);
        if (fired != nullptr) {
            fired->push_back(stored.timer);
        }
        if (!status.ok()) {
            log::Warn(
                "schedule: {} failed, it is tried again: {}",
                stored.timer.kind,
                status.error().message());
        }
        const Status settled = co_await Finish(stored, status.ok());
        if (!settled.ok()) {
            // It stays where it is and is found by the next look.
            log::Warn("schedule: {}: {}", stored.timer.kind, settled.error().message());
        }
        running.erase(std::tuple(stored.timer.due, stored.timer.kind, stored.timer.key));
        progress.WakeAll();
        if (settled.ok()) {
            look.Set();
        } else {
            timer->ArmIn(std::chrono::seconds(1));
        }
    }

    Task<Status> Handle(const DueTimer& due) {
        const auto handler = handlers.find(due.kind);
        if (handler == handlers.end()) {
            co_return errors::Unavailable("nothing here handles it");
        }
        std::string thrown;
        try {
            co_return co_await handler->second(due);
        } catch (const std::exception& exception) {
            // A bug in one handler must not end the timers of the others.
            thrown = exception.what();
        }
        co_return errors::Internal(thrown);
    }

    // Takes the timer away, or puts it later; unless the handler (or anyone) put it anew meanwhile.
    Task<Status> Finish(const Stored& stored, bool succeeded) {
        const DueTimer& due = stored.timer;
        const CloudClock::time_point again = clock.Now() + PauseAfter(stored.attempts);
        const std::string due_key = DueKey(due.due, due.kind, due.key);
        const std::string name_key = NameKey(due.kind, due.key);
        const storage::Kv::Body body = [&](storage::Transaction& t) -> Task<Status> {
            HEARTH_CO_TRY(const auto still, co_await t.Get(due_key));
            if (still != stored.value) {
                co_return Status();
            }
            t.Delete(due_key);
            if (succeeded) {
                t.Delete(name_key);
            } else {
                t.Put(name_key, std::to_string(UnixMs(again)));
                t.Put(
                    DueKey(again, due.kind, due.key),
                    EncodeValue(stored.attempts + 1, NewMark(), due.payload));
            }
            co_return Status();
        };
        co_return co_await kv.Transact(body);
    }
};

Schedule::Schedule(storage::Kv& kv, const CloudClock& clock, rt::Loops& loops, Options options)
    : state_(std::make_unique<State>(kv, clock, loops, options)) {}

Schedule::~Schedule() {
    CHECK(!state_->started, "the schedule was not stopped");
}

void Schedule::Register(std::string kind, Handler handler) {
    CHECK(!state_->started, "{} registered too late", kind);
    state_->handlers.emplace(std::move(kind), std::move(handler));
}

Task<Status> Schedule::Start() {
    State* const state = state_.get();
    auto start = [state]() -> Task<void> {
        state->timer.emplace([state] { state->look.Set(); });
        state->started = true;
        state->group.Spawn(state->Drive());
        co_return;
    };
    co_await rt::RunOn(state->loops, state->options.loop_index, start);
    co_return Status();
}

Task<void> Schedule::Stop() {
    State* const state = state_.get();
    auto stop = [state]() -> Task<void> {
        if (!state->started) {
            co_return;
        }
        state->stopping = true;
        state->look.Set();
        co_await state->group.Join();
        state->timer.reset();
        state->started = false;
    };
    co_await rt::RunOn(state->loops, state->options.loop_index, stop);
}

Task<Status> Schedule::Put(storage::Transaction& transaction, const DueTimer& timer) {
    if (timer.key.size() > kTimerKeyBytesMax || timer.payload.size() > kTimerPayloadBytesMax) {
        co_return errors::Internal(fmt::format(
            "a timer's key has {} bytes and its payload {}",
            timer.key.size(),
            timer.payload.size()));
    }
    HEARTH_CO_RETURN_IF_ERROR(co_await Cancel(transaction, timer.kind, timer.key));
    transaction.Put(NameKey(timer.kind, timer.key), std::to_string(UnixMs(timer.due)));
    transaction.Put(
        DueKey(timer.due, timer.kind, timer.key), EncodeValue(0, state_->NewMark(), timer.payload));
    co_return Status();
}

Task<Status> Schedule::Cancel(
    storage::Transaction& transaction, std::string_view kind, std::string_view key) {
    const std::string name_key = NameKey(kind, key);
    HEARTH_CO_TRY(const auto earlier, co_await transaction.Get(name_key));
    if (earlier) {
        HEARTH_CO_TRY(const int64_t due_ms, ParseNumber(*earlier));
        transaction.Delete(DueKey(CloudClock::time_point(CloudClock::duration(due_ms)), kind, key));
        transaction.Delete(name_key);
    }
    co_return Status();
}

Task<Status> Schedule::PutAlone(DueTimer timer) {
    const storage::Kv::Body body = [&](storage::Transaction& t) -> Task<Status> {
        co_return co_await Put(t, timer);
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await state_->kv.Transact(body));
    Arm(timer.due);
    co_return Status();
}

void Schedule::Arm(CloudClock::time_point due) {
    State* const state = state_.get();
    state->loops.Post(state->options.loop_index, [state, due] {
        if (!state->started) {
            return;
        }
        if (due <= state->clock.Now()) {
            state->look.Set();
        } else if (!state->armed || due < *state->armed) {
            state->ArmAt(due);
        }
    });
}

void Schedule::ClockMoved() {
    State* const state = state_.get();
    state->loops.Post(state->options.loop_index, [state] { state->look.Set(); });
}

Task<Result<std::optional<CloudClock::time_point>>> Schedule::NextDue() {
    storage::RangeRequest all = DueRange(0, INT64_MAX);
    all.limit = 1;
    HEARTH_CO_TRY(const storage::RangePage page, co_await state_->kv.Range(all));
    if (page.items.empty()) {
        co_return std::optional<CloudClock::time_point>();
    }
    HEARTH_CO_TRY(const Stored first, Decode(page.items.front()));
    co_return std::optional<CloudClock::time_point>(first.timer.due);
}

Task<Status> Schedule::Settle(std::vector<DueTimer>* fired, std::chrono::milliseconds limit) {
    State* const state = state_.get();
    const auto give_up = std::chrono::steady_clock::now() + limit;
    auto settle = [state, fired, give_up]() -> Task<Status> {
        CHECK_REQUEST(state->started && state->fired == nullptr, "one Settle at a time");
        state->fired = fired;
        bool in_time = true;
        const uint64_t from = state->looks_begun;
        state->look.Set();
        // Quiet: a look that began after this call found nothing to start, and all handlers ended.
        while (in_time &&
               !(state->running.empty() && !state->look.is_set() && state->looks_ended > from &&
                 state->looks_ended == state->looks_begun && state->all_due_started)) {
            in_time = co_await state->progress.WaitUntil(give_up);
        }
        state->fired = nullptr;
        if (!in_time) {
            co_return errors::Unavailable("timers that are due keep running");
        }
        co_return Status();
    };
    co_return co_await rt::RunOn(state->loops, state->options.loop_index, settle);
}

}  // namespace hearth::flow
