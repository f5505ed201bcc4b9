#pragma once

#include "base/clock.h"
#include "base/ids.h"
#include "flow/due_times.h"
#include "rt/event.h"
#include "rt/timer.h"
#include "services/lambda/room_watch.h"

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace hearth::lambda {

// The line of mappings that wait for one function: a thousand queues that feed it get its
// concurrency in turns, whatever each of them has waiting. One loop's.
//
// Nobody in a line tries before it is called, and one is called when the function's limit says that
// there is room. So what waits costs nothing but its memory, and messages that nobody can work on
// stay in their queues, where waiting is not counted as a receipt.
class MappingTurns final {
  public:
    // How to hear of room for a function; called for each line that forms.
    using Watch = std::function<std::unique_ptr<RoomWatches::Watch>(
        const AccountId& account,
        const Region& region,
        const std::string& function,
        RoomWatches::Tell tell)>;

    MappingTurns(flow::DueTimes& due_times, const CloudClock& clock, Watch watch);
    // Nobody waits any more.
    ~MappingTurns();

    MappingTurns(const MappingTurns&) = delete;
    MappingTurns& operator=(const MappingTurns&) = delete;

    struct Function {
        AccountId account;
        Region region;
        std::string name;

        auto operator<=>(const Function& other) const = default;
    };

  private:
    struct Line;

  public:
    // One place in the line, of one mapping. It is at the end when it is made, behind others of its
    // mapping in later rounds than theirs.
    class Turn final {
      public:
        Turn(MappingTurns& turns, Function function, const std::string& mapping);
        // Leaves the line. When it was called and not used, the next one is called.
        ~Turn();

        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;

        // Set when it is called, and by whoever wants its owner to look around.
        rt::Event& event() { return event_; }

        bool called() const { return called_; }

        // It tried and was refused: it waits again, at the place it had.
        void Refused();
        // The function has run, so its end has told the next one.
        void Used();

      private:
        friend class MappingTurns;

        // In the line of a function: first the round, then who came first.
        struct Rank {
            int64_t round = 0;
            int64_t ticket = 0;

            auto operator<=>(const Rank& other) const = default;
        };

        MappingTurns& turns_;
        const Function function_;
        Rank rank_;
        rt::Event event_;
        bool called_ = false;
        bool used_ = false;
    };

    // Somebody waits for this function and is not called yet: who comes now stands behind.
    bool Busy(const Function& function) const;

  private:
    void Join(Turn& turn, const std::string& mapping);
    void Call(Line& line);
    void TellAt(Line& line, RoomWatches::Clock::time_point when);
    void TryInAWhile(Line& line);

    flow::DueTimes& due_times_;
    const CloudClock& clock_;
    const Watch watch_;
    std::map<Function, std::unique_ptr<Line>> lines_;
    int64_t tickets_ = 0;
};

}  // namespace hearth::lambda
