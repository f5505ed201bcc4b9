#include "rt/blocking_pool.h"

#include "base/check.h"

#include <boost/asio/this_coro.hpp>
#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace hearth::rt {

struct BlockingPool::State {
    Options options;
    mutable std::mutex mutex;
    std::condition_variable work;
    std::condition_variable ended;
    std::deque<std::function<void()>> queue;
    int threads = 0;
    int idle = 0;
    bool stopping = false;

    void RunThread() {
        pthread_setname_np(pthread_self(), options.name.substr(0, 15).c_str());
        std::unique_lock lock(mutex);
        while (true) {
            if (queue.empty()) {
                if (stopping) {
                    break;
                }
                ++idle;
                const bool woken = work.wait_for(
                    lock, options.idle_timeout, [&] { return !queue.empty() || stopping; });
                --idle;
                if (!woken) {
                    break;
                }
                continue;
            }
            auto function = std::move(queue.front());
            queue.pop_front();
            lock.unlock();
            function();
            // What it holds goes while nobody waits for the lock: a destructor may post.
            function = nullptr;
            lock.lock();
        }
        --threads;
        ended.notify_all();
    }
};

BlockingPool::BlockingPool(Options options) : state_(std::make_shared<State>()) {
    CHECK(options.threads_max >= 1);
    state_->options = std::move(options);
}

BlockingPool::~BlockingPool() {
    std::unique_lock lock(state_->mutex);
    state_->stopping = true;
    state_->work.notify_all();
    state_->ended.wait(lock, [&] { return state_->threads == 0; });
}

void BlockingPool::Post(std::function<void()> function) {
    const std::lock_guard lock(state_->mutex);
    CHECK(!state_->stopping, "work for a blocking pool that ends");
    state_->queue.push_back(std::move(function));
    if (static_cast<size_t>(state_->idle) >= state_->queue.size()) {
        state_->work.notify_one();
    } else if (state_->threads < state_->options.threads_max) {
        ++state_->threads;
        // Detached, with a share of the state: the destructor counts the threads down instead of
        // joining those that ended long ago.
        std::thread([state = state_] { state->RunThread(); }).detach();
    }
}

size_t BlockingPool::queued() const {
    const std::lock_guard lock(state_->mutex);
    return state_->queue.size();
}

int BlockingPool::threads() const {
    const std::lock_guard lock(state_->mutex);
    return state_->threads;
}

Task<void> BlockingPool::RunErased(std::function<void()> function) {
    // `function` refers to the caller's frame, which a cancellation must not take away under it.
    const auto latch = std::make_shared<internal::Latch>();
    Post([&function, latch] {
        function();
        latch->Set();
    });
    const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
    co_await boost::asio::this_coro::throw_if_cancelled(false);
    while (!latch->is_set()) {
        co_await latch->WaitUncancelled();
    }
    co_await boost::asio::this_coro::throw_if_cancelled(throws);
}

}  // namespace hearth::rt
