#pragma once

#include "vmm/api/controller.h"
#include "vmm/event/event_loop.h"

#include <mutex>

namespace hearth::vmm {

// Carries actions from the API's thread to the VMM thread and their answers back.
class ActionQueue final {
  public:
    // `loop` and `controller` outlive the queue.
    ActionQueue(EventLoop& loop, Controller& controller) : loop_(loop), controller_(controller) {}

    // Any thread but the loop's: waits until the action is done. An error once the queue is closed.
    Result<ActionReply> Submit(ActionRequest request);

    // VMM thread, when the loop has ended: answers who still waits and whoever comes later.
    void Close();

  private:
    EventLoop& loop_;
    Controller& controller_;
    std::mutex mutex_;
    bool is_closed_ = false;
};

}  // namespace hearth::vmm
