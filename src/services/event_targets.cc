#include "services/event_targets.h"

#include "base/check.h"

#include <fmt/format.h>

#include <utility>

namespace hearth {

void EventTargets::Add(std::string service, EventTarget& target) {
    const bool added = by_service_.emplace(std::move(service), &target).second;
    CHECK(added);
}

Result<EventTarget*> EventTargets::Pick(std::string_view target_arn) const {
    // arn:aws:<service>:...
    std::string_view rest = target_arn;
    std::string_view service;
    for (int part = 0; part < 3; ++part) {
        const size_t colon = rest.find(':');
        if (colon == std::string_view::npos || (part == 0 && rest.substr(0, colon) != "arn")) {
            return errors::Malformed(fmt::format("{} is no ARN", target_arn));
        }
        service = rest.substr(0, colon);
        rest.remove_prefix(colon + 1);
    }
    const auto found = by_service_.find(service);
    if (found == by_service_.end()) {
        return Error(
            Error::Kind::kUnimplemented,
            "",
            fmt::format("Hearth delivers no events to {} ({})", service, target_arn),
            501);
    }
    return found->second;
}

Task<Status> EventTargets::Check(Origin origin, std::string target_arn) {
    HEARTH_CO_TRY(EventTarget * target, Pick(target_arn));
    co_return co_await target->Check(std::move(origin), std::move(target_arn));
}

Task<Status> EventTargets::Send(Origin origin, std::string target_arn, Event event) {
    HEARTH_CO_TRY(EventTarget * target, Pick(target_arn));
    co_return co_await target->Send(std::move(origin), std::move(target_arn), std::move(event));
}

}  // namespace hearth
