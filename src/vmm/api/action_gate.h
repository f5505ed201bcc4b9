#pragma once

#include "base/result.h"
#include "vmm/api/controller.h"
#include "vmm/event/event_loop.h"

#include <condition_variable>
#include <mutex>

namespace hearth::vmm {

// The way of a request from the API's thread to the VMM thread and of its answer back. One request
// at a time; whoever asks waits.
class ActionGate final {
  public:
    ActionGate(EventLoop& loop, Controller& controller) : loop_(loop), controller_(controller) {}

    // From the API's thread. An error once the gate is closed, also for who is waiting then.
    Result<ActionReply> Submit(ActionRequest request);

    // From the VMM thread, when it will do nothing any more. Then the API's thread can be joined.
    void Close();

  private:
    EventLoop& loop_;
    Controller& controller_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool closed_ = false;
};

}  // namespace hearth::vmm
