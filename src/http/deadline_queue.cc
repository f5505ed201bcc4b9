#include "http/deadline_queue.h"

#include <algorithm>

namespace hearth::http {

DeadlineQueue::DeadlineQueue(std::array<Clock::duration, kKinds> limits)
    : limits_(limits), timer_([this] { OnTimer(); }) {}

void DeadlineQueue::Add(Entry& entry) {
    entry.place_ = lists_[kKinds].insert(lists_[kKinds].end(), &entry);
    entry.kind_ = kKinds;
}

void DeadlineQueue::Remove(Entry& entry) {
    lists_[entry.kind_].erase(entry.place_);
}

void DeadlineQueue::Arm(Entry& entry, Kind kind) {
    lists_[kind].splice(lists_[kind].end(), lists_[entry.kind_], entry.place_);
    entry.kind_ = kind;
    entry.deadline_ = Clock::now() + limits_[kind];
    if (entry.deadline_ < timer_deadline_) {
        ArmTimer(entry.deadline_);
    }
}

void DeadlineQueue::Disarm(Entry& entry) {
    if (entry.kind_ != kKinds) {
        lists_[kKinds].splice(lists_[kKinds].end(), lists_[entry.kind_], entry.place_);
        entry.kind_ = kKinds;
    }
}

void DeadlineQueue::OnTimer() {
    timer_deadline_ = Clock::time_point::max();
    const auto now = Clock::now();
    auto next = Clock::time_point::max();
    for (size_t kind = 0; kind < kKinds; ++kind) {
        auto& list = lists_[kind];
        while (!list.empty() && list.front()->deadline_ <= now) {
            Entry& entry = *list.front();
            Disarm(entry);
            entry.Expired(static_cast<Kind>(kind));
        }
        if (!list.empty()) {
            next = std::min(next, list.front()->deadline_);
        }
    }
    if (next < timer_deadline_) {
        ArmTimer(next);
    }
}

void DeadlineQueue::ArmTimer(Clock::time_point deadline) {
    timer_deadline_ = deadline;
    timer_.ArmAt(deadline);
}

}  // namespace hearth::http
