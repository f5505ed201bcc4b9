#include "vmm/api/action_gate.h"

#include "vmm/config/faults.h"

#include <memory>
#include <optional>

namespace hearth::vmm {

Result<ActionReply> ActionGate::Submit(ActionRequest request) {
    // Shared with the work that was posted, which may outlive the wait for it.
    struct Pending {
        ActionRequest request;
        std::optional<Result<ActionReply>> reply;
    };

    auto pending = std::make_shared<Pending>();
    pending->request = std::move(request);
    {
        const std::lock_guard lock(mutex_);
        if (closed_) {
            return faults::Bad("The microVM is being stopped.");
        }
        loop_.Post([this, pending] {
            auto reply = controller_.Do(pending->request);
            const std::lock_guard reply_lock(mutex_);
            pending->reply = std::move(reply);
            changed_.notify_all();
        });
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || pending->reply; });
    if (!pending->reply) {
        return faults::Bad("The microVM is being stopped.");
    }
    return std::move(*pending->reply);
}

void ActionGate::Close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
}

}  // namespace hearth::vmm
