#pragma once

#include "base/result.h"
#include "os/fd.h"
#include "vmm/event/event_fd.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace hearth::vmm {

// The epoll loop of one thread: descriptors with what to do when they are ready, and work posted by
// other threads.
//
// Everything but Post and Stop belongs to the thread that runs the loop (or comes before it runs).
// A handler may add, modify and remove descriptors, its own included; a descriptor that was removed
// is not called again, even where it was ready in the same round.
class EventLoop final {
  public:
    using Handler = std::function<void(std::uint32_t events)>;

    static Result<std::unique_ptr<EventLoop>> Create();

    // Calls `handler` with EPOLLIN... while `fd` is ready (level-triggered unless EPOLLET is
    // asked for). The descriptor stays the caller's and must be removed before it is closed.
    Status Add(int fd, std::uint32_t events, Handler handler);
    Status Modify(int fd, std::uint32_t events);
    void Remove(int fd);

    // Until Stop. Posted work runs in order, between the rounds of epoll.
    void Run();

    // One round: waits for at most `timeout_ms` (-1 is for ever). For tests.
    void RunOnce(int timeout_ms);

    // Any thread.
    void Stop();
    void Post(std::function<void()> work);

  private:
    EventLoop(os::Fd epoll, EventFd wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}

    struct Watch {
        int fd;
        Handler handler;
    };

    void RunPosted();

    os::Fd epoll_;
    EventFd wake_;
    std::atomic<bool> stopped_ = false;

    // Watches by a number that is never used twice, which is what epoll carries: a number without a
    // watch is an event of a descriptor that was removed in this round.
    std::uint64_t next_watch_ = 1;
    std::unordered_map<std::uint64_t, std::shared_ptr<Watch>> watches_;
    std::unordered_map<int, std::uint64_t> watch_of_fd_;

    std::mutex mutex_;
    std::vector<std::function<void()>> posted_;
};

}  // namespace hearth::vmm
