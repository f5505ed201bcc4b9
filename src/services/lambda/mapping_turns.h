#pragma once

#include "rt/event.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace hearth::lambda {

// Batches of all mappings to one function that were throttled wait here in the order in which they
// came, so a thousand queues that feed one function get its concurrency in turns. One loop's.
class MappingTurns final {
  public:
    // One that waits; wakes `event` when its turn has come. Leaves when it is destroyed.
    class Waiting final {
      public:
        // `ticket`: of the batch, which keeps its place however often it tries in vain.
        Waiting(MappingTurns& turns, std::string function, rt::Event& event, int64_t ticket);
        ~Waiting();

        Waiting(const Waiting&) = delete;
        Waiting& operator=(const Waiting&) = delete;

      private:
        friend class MappingTurns;

        MappingTurns& turns_;
        const std::string function_;
        rt::Event& event_;
        const int64_t ticket_;
        bool called_ = false;
    };

    int64_t NewTicket() { return ++tickets_; }

    // Somebody waits for this function: who comes now stands behind.
    bool Busy(std::string_view function) const { return waiting_.contains(function); }

    // The function had room for a call and has it again: the next ones try. Two at a time, so that
    // all of its concurrency is found quickly.
    void Ended(std::string_view function);

  private:
    std::map<std::string, std::map<int64_t, Waiting*>, std::less<>> waiting_;
    int64_t tickets_ = 0;
};

}  // namespace hearth::lambda
