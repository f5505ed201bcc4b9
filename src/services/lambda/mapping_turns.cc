#include "services/lambda/mapping_turns.h"

#include <utility>

namespace hearth::lambda {

MappingTurns::Waiting::Waiting(
    MappingTurns& turns, std::string function, rt::Event& event, bool again)
    : turns_(turns), function_(std::move(function)), event_(event) {
    auto& queue = turns_.waiting_[function_];
    place_ = queue.insert(again ? queue.begin() : queue.end(), this);
}

MappingTurns::Waiting::~Waiting() {
    const auto queue = turns_.waiting_.find(function_);
    queue->second.erase(place_);
    if (queue->second.empty()) {
        turns_.waiting_.erase(queue);
    }
}

void MappingTurns::Ended(std::string_view function) {
    constexpr int kTogether = 2;
    const auto queue = waiting_.find(function);
    if (queue == waiting_.end()) {
        return;
    }
    int called = 0;
    for (Waiting* const waiting : queue->second) {
        if (!waiting->called_) {
            waiting->called_ = true;
            waiting->event_.Set();
            if (++called == kTogether) {
                return;
            }
        }
    }
}

}  // namespace hearth::lambda
