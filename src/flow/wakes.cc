#include "flow/wakes.h"

#include "base/check.h"
#include "rt/loops.h"

#include <array>
#include <atomic>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace hearth::flow {
namespace {

// Publishers of different keys on different threads seldom meet.
constexpr size_t kShards = 64;

struct Hash {
    using is_transparent = void;

    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

struct Listener {
    std::string key;
    std::function<void()> function;
    int loop_index = 0;
    // A call is on its way to the loop.
    std::atomic<bool> called{false};
    // On its loop.
    bool listening = true;
};

// Shared with the calls that are on their way.
using ListenerPointer = std::shared_ptr<Listener>;

struct Shard {
    std::mutex mutex;
    std::unordered_map<std::string, std::vector<ListenerPointer>, Hash, std::equal_to<>> listeners;
};

}  // namespace

struct Wakes::State {
    class OneWatch;

    explicit State(rt::Loops& loops_in) : loops(loops_in) {}

    Shard& ShardOf(std::string_view key) { return shards[Hash()(key) % kShards]; }

    void Remove(const ListenerPointer& listener) {
        Shard& shard = ShardOf(listener->key);
        const std::lock_guard lock(shard.mutex);
        const auto found = shard.listeners.find(listener->key);
        CHECK(found != shard.listeners.end());
        std::erase(found->second, listener);
        if (found->second.empty()) {
            shard.listeners.erase(found);
        }
    }

    rt::Loops& loops;
    std::array<Shard, kShards> shards;
};

class Wakes::State::OneWatch final : public Wakes::Watch {
  public:
    OneWatch(State& state, ListenerPointer listener)
        : state_(state), listener_(std::move(listener)) {}

    ~OneWatch() override {
        CHECK(
            rt::CurrentIndex() == listener_->loop_index,
            "a watch is destroyed on the loop that made it");
        listener_->listening = false;
        state_.Remove(listener_);
    }

  private:
    State& state_;
    const ListenerPointer listener_;
};

Wakes::Wakes(rt::Loops& loops) : state_(std::make_unique<State>(loops)) {}

Wakes::~Wakes() {
    for (Shard& shard : state_->shards) {
        const std::lock_guard lock(shard.mutex);
        CHECK(shard.listeners.empty(), "a watch outlives its Wakes");
    }
}

std::unique_ptr<Wakes::Watch> Wakes::Listen(std::string key, std::function<void()> listener) {
    auto made = std::make_shared<Listener>();
    made->key = std::move(key);
    made->function = std::move(listener);
    made->loop_index = rt::CurrentIndex();
    CHECK(made->loop_index >= 0, "Listen is called on a loop");
    Shard& shard = state_->ShardOf(made->key);
    {
        const std::lock_guard lock(shard.mutex);
        shard.listeners[made->key].push_back(made);
    }
    return std::make_unique<State::OneWatch>(*state_, std::move(made));
}

void Wakes::Publish(std::string_view key) {
    Shard& shard = state_->ShardOf(key);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.listeners.find(key);
    if (found == shard.listeners.end()) {
        return;
    }
    for (const ListenerPointer& listener : found->second) {
        if (listener->called.exchange(true)) {
            continue;
        }
        // Post only queues, so the lock is short.
        state_->loops.Post(listener->loop_index, [listener] {
            // Before the call: a hint from here on means another one.
            listener->called = false;
            if (listener->listening) {
                listener->function();
            }
        });
    }
}

}  // namespace hearth::flow
