#include "vmm/event/event_loop.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>

namespace hearth::vmm {
namespace {

// Ready descriptors taken per round; more come in the next one.
constexpr int kEventsPerRound = 32;

constexpr std::uint64_t kWakeWatch = 0;

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::Create() {
    os::Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll.valid()) {
        return errors::System("epoll_create1", errno);
    }
    HEARTH_TRY(EventFd wake, EventFd::Create());
    epoll_event event = {.events = EPOLLIN, .data = {.u64 = kWakeWatch}};
    if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.fd(), &event) != 0) {
        return errors::System("epoll_ctl", errno);
    }
    return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll), std::move(wake)));
}

Status EventLoop::Add(int fd, std::uint32_t events, Handler handler) {
    const std::uint64_t id = next_watch_++;
    epoll_event event = {.events = events, .data = {.u64 = id}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
        return errors::System("epoll_ctl(ADD)", errno);
    }
    watches_[id] = std::make_shared<Watch>(Watch{fd, std::move(handler)});
    watch_of_fd_[fd] = id;
    return {};
}

Status EventLoop::Modify(int fd, std::uint32_t events) {
    const auto found = watch_of_fd_.find(fd);
    if (found == watch_of_fd_.end()) {
        return errors::Internal("the descriptor is not watched");
    }
    epoll_event event = {.events = events, .data = {.u64 = found->second}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) {
        return errors::System("epoll_ctl(MOD)", errno);
    }
    return {};
}

void EventLoop::Remove(int fd) {
    const auto found = watch_of_fd_.find(fd);
    if (found == watch_of_fd_.end()) {
        return;
    }
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    watches_.erase(found->second);
    watch_of_fd_.erase(found);
}

void EventLoop::Run() {
    while (!stopped_.load(std::memory_order_acquire)) {
        RunOnce(-1);
    }
    RunPosted();
}

void EventLoop::RunOnce(int timeout_ms) {
    std::array<epoll_event, kEventsPerRound> events;
    const int count =
        ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
    for (int index = 0; index < count; ++index) {
        const epoll_event& event = events[static_cast<std::size_t>(index)];
        if (event.data.u64 == kWakeWatch) {
            wake_.Drain();
            continue;
        }
        // A copy: the kernel's struct is packed, and a map's find takes a reference.
        const std::uint64_t number = event.data.u64;
        const auto found = watches_.find(number);
        if (found == watches_.end()) {
            continue;
        }
        // The handler may remove itself; it lives until it returns.
        const std::shared_ptr<Watch> watch = found->second;
        watch->handler(event.events);
    }
    RunPosted();
}

void EventLoop::RunPosted() {
    std::vector<std::function<void()>> work;
    {
        const std::lock_guard lock(mutex_);
        work.swap(posted_);
    }
    for (const auto& each : work) {
        each();
    }
}

void EventLoop::Stop() {
    stopped_.store(true, std::memory_order_release);
    wake_.Signal();
}

void EventLoop::Post(std::function<void()> work) {
    {
        const std::lock_guard lock(mutex_);
        posted_.push_back(std::move(work));
    }
    wake_.Signal();
}

}  // namespace hearth::vmm
