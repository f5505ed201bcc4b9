#include "services/lambda/mapping_turns.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace hearth::lambda {
namespace {

using std::chrono::milliseconds;

// The first of a line tries after that even if nobody told it of room; then after twice that ...
constexpr milliseconds kTryMin(100);
constexpr milliseconds kTryMax = std::chrono::seconds(10);
constexpr int kTryDoublings = 7;

}  // namespace

struct MappingTurns::Line {
    // Waiting or called, in order of rank; `waiting` are those that are not called.
    std::map<Turn::Rank, Turn*> turns;
    size_t waiting = 0;
    // The round of who was called last.
    int64_t round = 0;
    // In which round the last place of a mapping is, as far as that is ahead.
    std::map<std::string, int64_t, std::less<>> rounds;
    // Told of room while nobody waited: who is refused by then has not heard of it.
    bool missed = false;
    int tries = 0;
    std::unique_ptr<RoomWatches::Watch> watch;
    std::unique_ptr<rt::Timer> at;
    std::unique_ptr<flow::DueTimes::Entry> in_a_while;
};

MappingTurns::MappingTurns(flow::DueTimes& due_times, const CloudClock& clock, Watch watch)
    : due_times_(due_times), clock_(clock), watch_(std::move(watch)) {}

MappingTurns::~MappingTurns() = default;

MappingTurns::Turn::Turn(MappingTurns& turns, Function function, const std::string& mapping)
    : turns_(turns), function_(std::move(function)) {
    turns_.Join(*this, mapping);
}

MappingTurns::Turn::~Turn() {
    const auto found = turns_.lines_.find(function_);
    Line& line = *found->second;
    line.turns.erase(rank_);
    if (!called_) {
        --line.waiting;
    }
    if (!line.turns.empty()) {
        if (called_ && !used_) {
            turns_.Call(line);
        }
        return;
    }
    // Its watch passes on what it was told.
    const std::unique_ptr<Line> ended = std::move(found->second);
    turns_.lines_.erase(found);
}

void MappingTurns::Turn::Refused() {
    Line& line = *turns_.lines_.find(function_)->second;
    called_ = false;
    event_.Reset();
    ++line.waiting;
    if (line.missed) {
        turns_.Call(line);
    } else {
        turns_.TryInAWhile(line);
    }
}

void MappingTurns::Turn::Used() {
    used_ = true;
    turns_.lines_.find(function_)->second->tries = 0;
}

bool MappingTurns::Busy(const Function& function) const {
    const auto line = lines_.find(function);
    return line != lines_.end() && line->second->waiting > 0;
}

void MappingTurns::Join(Turn& turn, const std::string& mapping) {
    auto& place = lines_[turn.function_];
    const bool first = place == nullptr;
    if (first) {
        place = std::make_unique<Line>();
        Line* const made = place.get();
        if (watch_) {
            made->watch = watch_(
                turn.function_.account,
                turn.function_.region,
                turn.function_.name,
                [this, made](RoomWatches::Clock::time_point when) { TellAt(*made, when); });
        }
    }
    Line& line = *place;
    turn.rank_ = {.round = line.round, .ticket = ++tickets_};
    if (const auto last = line.rounds.find(mapping); last != line.rounds.end()) {
        turn.rank_.round = std::max(line.round, last->second + 1);
    }
    line.rounds[mapping] = turn.rank_.round;
    line.turns.emplace(turn.rank_, &turn);
    ++line.waiting;
    // Of what happened before the watch nobody has told.
    if (first || line.missed) {
        Call(line);
    }
}

void MappingTurns::Call(Line& line) {
    const auto next =
        std::ranges::find_if(line.turns, [](const auto& one) { return !one.second->called_; });
    if (next == line.turns.end()) {
        line.missed = true;
        if (line.watch) {
            line.watch->PassOn();
        }
        return;
    }
    line.missed = false;
    --line.waiting;
    if (next->first.round > line.round) {
        line.round = next->first.round;
        std::erase_if(line.rounds, [&line](const auto& one) { return one.second < line.round; });
    }
    next->second->called_ = true;
    next->second->event_.Set();
}

void MappingTurns::TellAt(Line& line, RoomWatches::Clock::time_point when) {
    if (when <= RoomWatches::Clock::now()) {
        Call(line);
        return;
    }
    if (!line.at) {
        line.at = std::make_unique<rt::Timer>([this, told = &line] { Call(*told); });
    }
    line.at->ArmAt(when);
}

void MappingTurns::TryInAWhile(Line& line) {
    if (!line.in_a_while) {
        line.in_a_while = due_times_.Make([this, first = &line] { Call(*first); });
    }
    const milliseconds pause =
        std::min(kTryMax, kTryMin * (1 << std::min(line.tries, kTryDoublings)));
    ++line.tries;
    line.in_a_while->Set(clock_.Now() + pause);
}

}  // namespace hearth::lambda
