#pragma once

#include "rt/completion.h"
#include "rt/task.h"

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace hearth::logs {

// Who follows a group is woken when events were written to it. A wake-up is a hint and carries
// nothing: the follower reads the store. Safe from any loop.
//
//   auto ticket = watch.Register(key);      // before reading, so that nothing falls in between
//   ... read to the end ...
//   co_await ticket->Wait();
class LogWatch final {
  public:
    using Ticket = std::shared_ptr<rt::Completion<bool>>;

    // One wake-up for events written from now on.
    Ticket Register(const std::string& key);
    // The follower went away.
    void Forget(const std::string& key, const Ticket& ticket);

    void Wake(const std::string& key);
    // At the end: all followers return, and later ones at once.
    void Close();

  private:
    std::mutex mutex_;
    bool closed_ = false;
    std::map<std::string, std::vector<Ticket>> waiting_;
};

}  // namespace hearth::logs
