#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace hearth::rt {
class Loops;
}

// Hints that something about a key changed: the write that makes work possible wakes whoever does
// the work, so nobody polls.
//
// Publish after the commit. A hint carries no data; it may be lost in a crash, doubled or early, so
// the listener reads the state it cares about, and reads it once after it began to listen.
//
//   watch_ = wakes.Listen("sqs/000000000000/us-east-1/orders", [this] { look_.Set(); });
//   ...
//   wakes.Publish("sqs/000000000000/us-east-1/orders");
namespace hearth::flow {

class Wakes final {
  public:
    // Listens until it is destroyed, on the loop that made it and before the Wakes; from then on
    // the listener is not called.
    class Watch {
      public:
        virtual ~Watch() = default;
    };

    // `loops` must outlive this.
    explicit Wakes(rt::Loops& loops);
    ~Wakes();

    Wakes(const Wakes&) = delete;
    Wakes& operator=(const Wakes&) = delete;

    // On a loop. The listener runs on that loop, never inside of Publish; hints that come before it
    // ran are one call. It may destroy its own watch.
    std::unique_ptr<Watch> Listen(std::string key, std::function<void()> listener);

    // From any thread. When nobody listens, one look-up.
    void Publish(std::string_view key);

  private:
    struct State;

    std::unique_ptr<State> state_;
};

}  // namespace hearth::flow
