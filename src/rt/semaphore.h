#pragma once

#include "rt/task.h"

#include <cstddef>
#include <cstdint>
#include <list>
#include <utility>

namespace hearth::rt {

// Units that coroutines of one loop share; who waits gets them in order of arrival.
class Semaphore final {
  public:
    // Gives its units back when destroyed.
    class Units final {
      public:
        Units() = default;

        Units(Semaphore* semaphore, int64_t count) : semaphore_(semaphore), count_(count) {}

        Units(Units&& other) noexcept
            : semaphore_(std::exchange(other.semaphore_, nullptr)), count_(other.count_) {}

        Units& operator=(Units&& other) noexcept {
            if (this != &other) {
                Release();
                semaphore_ = std::exchange(other.semaphore_, nullptr);
                count_ = other.count_;
            }
            return *this;
        }

        ~Units() { Release(); }

        void Release();

      private:
        Semaphore* semaphore_ = nullptr;
        int64_t count_ = 0;
    };

    explicit Semaphore(int64_t units) : available_(units) {}

    ~Semaphore();

    Semaphore(const Semaphore&) = delete;
    Semaphore& operator=(const Semaphore&) = delete;

    int64_t available() const { return available_; }

    size_t waiters() const { return waits_.size(); }

    Task<Units> Take(int64_t count = 1);
    // Without waiting, and never ahead of somebody who waits.
    bool TryTake(int64_t count);
    void Give(int64_t count);

  private:
    class Waiting;

    int64_t available_;
    std::list<Waiting*> waits_;
};

}  // namespace hearth::rt
