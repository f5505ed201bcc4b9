#include "storage/objects/serial_lane.h"

#include <deque>
#include <mutex>

namespace hearth::storage {

struct SerialLane::State {
    explicit State(rt::BlockingPool& at) : pool(at) {}

    rt::BlockingPool& pool;
    std::mutex mutex;
    std::deque<std::function<void()>> queue;
    bool running = false;

    void Run() {
        std::unique_lock lock(mutex);
        while (!queue.empty()) {
            auto function = std::move(queue.front());
            queue.pop_front();
            lock.unlock();
            function();
            // What it holds may end here, which takes no lock of ours.
            function = nullptr;
            lock.lock();
        }
        running = false;
    }
};

void SerialLane::Post(std::function<void()> function) {
    if (state_ == nullptr) {
        state_ = std::make_shared<State>(pool_);
    }
    const std::lock_guard lock(state_->mutex);
    state_->queue.push_back(std::move(function));
    if (!state_->running) {
        state_->running = true;
        state_->pool.Post([state = state_] { state->Run(); });
    }
}

}  // namespace hearth::storage
