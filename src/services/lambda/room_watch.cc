#include "services/lambda/room_watch.h"

#include "base/check.h"
#include "rt/loops.h"

#include <algorithm>
#include <utility>

namespace hearth::lambda {

struct RoomWatches::Watch::State {
    rt::Loops& loops;
    const int loop;
    const std::string function;
    // Touched on the loop alone; empty when the watch is gone.
    Tell tell;
    // Under the mutex of the watches.
    bool waits_for_shared = false;
    Clock::time_point not_before;
};

RoomWatches::Watch::Watch(RoomWatches& watches, std::shared_ptr<State> state)
    : watches_(watches), state_(std::move(state)) {}

RoomWatches::Watch::~Watch() {
    state_->tell = nullptr;
    {
        const std::lock_guard lock(watches_.mutex_);
        watches_.watches_.erase(state_->function);
        --watches_.count_;
    }
    // It may have been told and not have heard of it.
    if (state_->waits_for_shared) {
        watches_.SharedRoom();
    }
}

void RoomWatches::Watch::PassOn() {
    bool shared = false;
    {
        const std::lock_guard lock(watches_.mutex_);
        shared = std::exchange(state_->waits_for_shared, false);
    }
    if (shared) {
        watches_.SharedRoom();
    }
}

std::unique_ptr<RoomWatches::Watch> RoomWatches::Add(
    rt::Loops& loops, std::string function, Tell tell) {
    const std::shared_ptr<Watch::State> state(new Watch::State{
        .loops = loops,
        .loop = rt::CurrentIndex(),
        .function = std::move(function),
        .tell = std::move(tell),
        .waits_for_shared = false,
        .not_before = {}});
    const std::lock_guard lock(mutex_);
    const bool added = watches_.emplace(state->function, state).second;
    CHECK(added, "two watches of one function");
    ++count_;
    return std::unique_ptr<Watch>(new Watch(*this, state));
}

void RoomWatches::TellNow(const std::shared_ptr<Watch::State>& state, Clock::time_point when) {
    // Posted even from the same loop: who makes room is in the middle of something.
    state->loops.Post(state->loop, [weak = std::weak_ptr(state), when] {
        if (const auto there = weak.lock(); there != nullptr && there->tell) {
            there->tell(when);
        }
    });
}

void RoomWatches::Room(std::string_view function) {
    if (count_.load() == 0) {
        return;
    }
    const std::lock_guard lock(mutex_);
    if (const auto found = watches_.find(function); found != watches_.end()) {
        // Until then it is told by the time itself.
        if (const auto now = Clock::now(); found->second->not_before <= now) {
            TellNow(found->second, now);
        }
    }
}

void RoomWatches::RoomAt(std::string_view function, Clock::time_point when) {
    if (count_.load() == 0) {
        return;
    }
    const std::lock_guard lock(mutex_);
    if (const auto found = watches_.find(function); found != watches_.end()) {
        found->second->not_before = when;
        TellNow(found->second, when);
    }
}

void RoomWatches::WaitsForShared(std::string_view function) {
    if (count_.load() == 0) {
        return;
    }
    const std::lock_guard lock(mutex_);
    if (const auto found = watches_.find(function); found != watches_.end()) {
        found->second->waits_for_shared = true;
    }
}

void RoomWatches::SharedRoom() {
    if (count_.load() == 0) {
        return;
    }
    const std::lock_guard lock(mutex_);
    const auto now = Clock::now();
    const auto next = [&](auto begin, auto end) {
        return std::find_if(begin, end, [now](const auto& one) {
            return one.second->waits_for_shared && one.second->not_before <= now;
        });
    };
    const auto behind = watches_.upper_bound(last_shared_);
    auto found = next(behind, watches_.end());
    if (found == watches_.end()) {
        found = next(watches_.begin(), behind);
        if (found == behind) {
            return;
        }
    }
    last_shared_ = found->first;
    TellNow(found->second, now);
}

void RoomWatches::Changed() {
    if (count_.load() == 0) {
        return;
    }
    const std::lock_guard lock(mutex_);
    const auto now = Clock::now();
    for (const auto& [function, state] : watches_) {
        // It finds out again what it waits for.
        state->waits_for_shared = false;
        state->not_before = {};
        TellNow(state, now);
    }
}

}  // namespace hearth::lambda
