#include "vmm/machine/action_queue.h"

#include <future>
#include <memory>
#include <utility>

namespace hearth::vmm {

Result<ActionReply> ActionQueue::Submit(ActionRequest request) {
    std::promise<Result<ActionReply>> answer;
    std::future<Result<ActionReply>> future = answer.get_future();
    {
        const std::lock_guard lock(mutex_);
        if (is_closed_) {
            return errors::Unavailable("The microVM has ended.");
        }
        // Both live until the answer has come, and it always comes: Close sees to that.
        loop_.Post([this, &request, &answer] { answer.set_value(controller_.Do(request)); });
    }
    return future.get();
}

void ActionQueue::Close() {
    {
        const std::lock_guard lock(mutex_);
        is_closed_ = true;
    }
    loop_.RunOnce(0);
}

}  // namespace hearth::vmm
