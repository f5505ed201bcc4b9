#pragma once

#include "rt/blocking_pool.h"

#include <functional>
#include <memory>

namespace hearth::storage {

// Runs functions on a pool one after the other, in order, while other lanes run beside it. What is
// queued runs also after the lane is gone. One thread at a time posts. A lane that is never used
// costs nothing.
class SerialLane final {
  public:
    explicit SerialLane(rt::BlockingPool& pool) : pool_(pool) {}

    // `function` must not throw.
    void Post(std::function<void()> function);

  private:
    struct State;

    rt::BlockingPool& pool_;
    std::shared_ptr<State> state_;
};

}  // namespace hearth::storage
