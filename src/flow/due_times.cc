#include "flow/due_times.h"

#include "base/check.h"
#include "rt/loops.h"
#include "rt/timer.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

namespace hearth::flow {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
// A machine that slept or whose clock was set is noticed this late; only while something is set.
constexpr std::chrono::milliseconds kSleepMax = std::chrono::hours(1);

// Shared with the call of its function while that runs, because the function may end the entry.
struct Node {
    std::function<void()> on_due;
    std::optional<CloudClock::time_point> due;
    // Number of the Set that is in force; orders equal deadlines.
    uint64_t sequence = 0;
};

}  // namespace

struct DueTimes::State {
    class OneEntry;

    struct ByDue {
        static auto Rank(const std::shared_ptr<Node>& node) {
            return std::tuple(node->due, node->sequence);
        }

        bool operator()(const std::shared_ptr<Node>& a, const std::shared_ptr<Node>& b) const {
            return Rank(a) < Rank(b);
        }
    };

    // What one loop has; touched there alone but for `next_ms`.
    struct Shard {
        std::set<std::shared_ptr<Node>, ByDue> set;
        // Made with the first entry and gone with the last, so that it ends on its loop.
        std::optional<rt::Timer> timer;
        std::optional<CloudClock::time_point> armed;
        size_t entries = 0;
        std::atomic<int64_t> next_ms{kNever};
    };

    State(const CloudClock& clock_in, rt::Loops& loops_in)
        : clock(clock_in), loops(loops_in), shards(static_cast<size_t>(loops_in.size())) {}

    Shard& Here() {
        const int index = rt::CurrentIndex();
        CHECK(index >= 0 && index < loops.size(), "due times are used on a loop");
        return shards[static_cast<size_t>(index)];
    }

    void Add(Shard& shard) {
        if (shard.entries++ == 0) {
            shard.timer.emplace([this, &shard] {
                shard.armed.reset();
                RunDueOf(shard);
            });
        }
    }

    void Remove(Shard& shard) {
        if (--shard.entries == 0) {
            shard.timer.reset();
            shard.armed.reset();
        }
    }

    void Set(
        Shard& shard,
        const std::shared_ptr<Node>& node,
        std::optional<CloudClock::time_point> due) {
        if (node->due == due) {
            return;
        }
        if (node->due) {
            shard.set.erase(node);
        }
        node->due = due;
        if (due) {
            node->sequence = ++last_sequence;
            shard.set.insert(node);
        }
        Arm(shard);
    }

    // An armed time that is no longer wanted stays armed: deadlines that keep moving away would
    // cost a system call each. It then finds nothing due.
    void Arm(Shard& shard) {
        const std::shared_ptr<Node>* const first =
            shard.set.empty() ? nullptr : &*shard.set.begin();
        shard.next_ms = first != nullptr ? UnixMs(*(*first)->due) : kNever;
        if (first == nullptr) {
            if (shard.armed) {
                shard.timer->Cancel();
                shard.armed.reset();
            }
            return;
        }
        const CloudClock::time_point due = *(*first)->due;
        if (shard.armed && *shard.armed <= due) {
            return;
        }
        shard.armed = due;
        shard.timer->ArmIn(std::clamp<CloudClock::duration>(
            due - clock.Now(), CloudClock::duration::zero(), kSleepMax));
    }

    size_t RunDueOf(Shard& shard) {
        const CloudClock::time_point now = clock.Now();
        const uint64_t until = last_sequence;
        // First all of them, so that one which sets itself to the present holds up nobody.
        std::vector<std::pair<std::shared_ptr<Node>, uint64_t>> due;
        for (const std::shared_ptr<Node>& node : shard.set) {
            if (*node->due > now) {
                break;
            }
            due.emplace_back(node, node->sequence);
        }
        size_t count = 0;
        for (const auto& [node, sequence] : due) {
            // Set anew or taken away by one before it.
            if (!node->due || node->sequence != sequence || sequence > until) {
                continue;
            }
            shard.set.erase(node);
            node->due.reset();
            ++count;
            node->on_due();
        }
        if (shard.entries > 0) {
            Arm(shard);
        } else {
            shard.next_ms = kNever;
        }
        return count;
    }

    const CloudClock& clock;
    rt::Loops& loops;
    std::vector<Shard> shards;
    std::atomic<uint64_t> last_sequence{0};
    std::vector<DueTimes::Quiet> quiet;
};

class DueTimes::State::OneEntry final : public DueTimes::Entry {
  public:
    OneEntry(State& state, std::function<void()> on_due) : state_(state), shard_(state.Here()) {
        node_->on_due = std::move(on_due);
        state_.Add(shard_);
    }

    ~OneEntry() override {
        CHECK(&state_.Here() == &shard_, "an entry is destroyed on the loop that made it");
        state_.Set(shard_, node_, std::nullopt);
        state_.Remove(shard_);
    }

    void Set(std::optional<CloudClock::time_point> due) override {
        CHECK(&state_.Here() == &shard_, "an entry is set on the loop that made it");
        state_.Set(shard_, node_, due);
    }

    std::optional<CloudClock::time_point> due() const override { return node_->due; }

  private:
    State& state_;
    State::Shard& shard_;
    const std::shared_ptr<Node> node_ = std::make_shared<Node>();
};

DueTimes::DueTimes(const CloudClock& clock, rt::Loops& loops)
    : state_(std::make_shared<State>(clock, loops)) {}

DueTimes::~DueTimes() {
    CHECK(!NextDue(), "an entry outlives its DueTimes");
}

std::unique_ptr<DueTimes::Entry> DueTimes::Make(std::function<void()> on_due) {
    return std::make_unique<State::OneEntry>(*state_, std::move(on_due));
}

std::optional<CloudClock::time_point> DueTimes::NextDue() const {
    int64_t next_ms = kNever;
    for (const State::Shard& shard : state_->shards) {
        next_ms = std::min(next_ms, shard.next_ms.load());
    }
    if (next_ms == kNever) {
        return std::nullopt;
    }
    return CloudClock::time_point(CloudClock::duration(next_ms));
}

Task<size_t> DueTimes::RunDue() {
    size_t count = 0;
    for (int i = 0; i < state_->loops.size(); ++i) {
        State::Shard* const shard = &state_->shards[static_cast<size_t>(i)];
        auto run = [this, shard]() -> Task<size_t> { co_return state_->RunDueOf(*shard); };
        count += co_await rt::RunOn(state_->loops, i, run);
    }
    co_return count;
}

void DueTimes::AddQuiet(Quiet quiet) {
    state_->quiet.push_back(std::move(quiet));
}

Task<Status> DueTimes::WaitForQuiet() {
    for (const Quiet& quiet : state_->quiet) {
        HEARTH_CO_RETURN_IF_ERROR(co_await quiet());
    }
    co_return Status();
}

void DueTimes::ClockMoved() {
    for (int i = 0; i < state_->loops.size(); ++i) {
        state_->loops.Post(
            i, [state = state_, i] { state->RunDueOf(state->shards[static_cast<size_t>(i)]); });
    }
}

}  // namespace hearth::flow
