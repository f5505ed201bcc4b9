#include "services/lambda/mapping_turns.h"

#include <utility>

namespace hearth::lambda {

MappingTurns::Waiting::Waiting(
    MappingTurns& turns, std::string function, rt::Event& event, int64_t ticket)
    : turns_(turns), function_(std::move(function)), event_(event), ticket_(ticket) {
    turns_.waiting_[function_].emplace(ticket_, this);
}

MappingTurns::Waiting::~Waiting() {
    const auto queue = turns_.waiting_.find(function_);
    queue->second.erase(ticket_);
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
    for (const auto& [ticket, waiting] : queue->second) {
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
