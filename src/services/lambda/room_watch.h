#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace hearth::rt {
class Loops;
}

// Who was refused by a concurrency limit and can wait is told when there may be room again, so that
// nobody has to find out by trying. A hint, not a promise: somebody else may be quicker.
//
// To wait without missing a hint: make the watch, try once more, and only then wait.
namespace hearth::lambda {

// The watches of one account in one region. Any thread; costs one load of a flag while nobody
// waits.
class RoomWatches final {
  public:
    using Clock = std::chrono::steady_clock;

    // One function that somebody waits for. Made and destroyed on one loop.
    class Watch final {
      public:
        ~Watch();

        Watch(const Watch&) = delete;
        Watch& operator=(const Watch&) = delete;

        // The hint was not needed: another function of the account may have it.
        void PassOn();

      private:
        friend class RoomWatches;
        struct State;

        Watch(RoomWatches& watches, std::shared_ptr<State> state);

        RoomWatches& watches_;
        const std::shared_ptr<State> state_;
    };

    // There may be room at `when`, which may have passed already.
    using Tell = std::function<void(Clock::time_point when)>;

    // `tell` is called on the loop of the caller. At most one watch of a function at a time; it
    // goes before the watches do.
    std::unique_ptr<Watch> Add(rt::Loops& loops, std::string function, Tell tell);

    // A function has room for one more.
    void Room(std::string_view function);
    // It has none before `when`, whatever else happens.
    void RoomAt(std::string_view function, Clock::time_point when);
    // It was refused because of what all functions share.
    void WaitsForShared(std::string_view function);
    // There is room in what all functions share: one of those that wait for it is told, in turns.
    void SharedRoom();
    // The limits have changed.
    void Changed();

  private:
    // With the mutex held.
    static void TellNow(const std::shared_ptr<Watch::State>& state, Clock::time_point when);

    // How many there are; read without the mutex.
    std::atomic<int32_t> count_{0};
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<Watch::State>, std::less<>> watches_;
    // Told last about room that is shared.
    std::string last_shared_;
};

}  // namespace hearth::lambda
