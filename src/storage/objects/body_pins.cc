#include "storage/objects/body_pins.h"

#include "base/check.h"

namespace hearth::storage {

bool BodyPins::Pin(uint64_t first_id) {
    const std::lock_guard lock(mutex_);
    if (removing_.contains(first_id)) {
        return false;
    }
    ++pinned_[first_id].readers;
    return true;
}

void BodyPins::Unpin(uint64_t first_id) {
    std::function<void(uint64_t)> tell;
    {
        const std::lock_guard lock(mutex_);
        const auto found = pinned_.find(first_id);
        CHECK(found != pinned_.end());
        if (--found->second.readers > 0) {
            return;
        }
        if (found->second.wanted) {
            tell = on_unpinned_;
        }
        pinned_.erase(found);
    }
    if (tell) {
        tell(first_id);
    }
}

bool BodyPins::BeginRemoving(uint64_t first_id) {
    const std::lock_guard lock(mutex_);
    const auto found = pinned_.find(first_id);
    if (found != pinned_.end()) {
        found->second.wanted = true;
        return false;
    }
    removing_.insert(first_id);
    return true;
}

void BodyPins::EndRemoving(uint64_t first_id) {
    const std::lock_guard lock(mutex_);
    removing_.erase(first_id);
}

void BodyPins::OnUnpinned(std::function<void(uint64_t)> on_unpinned) {
    const std::lock_guard lock(mutex_);
    on_unpinned_ = std::move(on_unpinned);
}

}  // namespace hearth::storage
