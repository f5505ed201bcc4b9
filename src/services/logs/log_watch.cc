#include "services/logs/log_watch.h"

namespace hearth::logs {

LogWatch::Ticket LogWatch::Register(const std::string& key) {
    auto ticket = std::make_shared<rt::Completion<bool>>();
    const std::lock_guard lock(mutex_);
    if (closed_) {
        ticket->Set(false);
    } else {
        waiting_[key].push_back(ticket);
    }
    return ticket;
}

void LogWatch::Forget(const std::string& key, const Ticket& ticket) {
    const std::lock_guard lock(mutex_);
    const auto found = waiting_.find(key);
    if (found != waiting_.end()) {
        std::erase(found->second, ticket);
        if (found->second.empty()) {
            waiting_.erase(found);
        }
    }
}

void LogWatch::Wake(const std::string& key) {
    std::vector<Ticket> woken;
    {
        const std::lock_guard lock(mutex_);
        const auto found = waiting_.find(key);
        if (found == waiting_.end()) {
            return;
        }
        woken = std::move(found->second);
        waiting_.erase(found);
    }
    for (const Ticket& ticket : woken) {
        ticket->Set(true);
    }
}

void LogWatch::Close() {
    std::map<std::string, std::vector<Ticket>> all;
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        all.swap(waiting_);
    }
    for (const auto& [key, tickets] : all) {
        for (const Ticket& ticket : tickets) {
            ticket->Set(false);
        }
    }
}

}  // namespace hearth::logs
