#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace hearth::aws {

// How much work and memory requests may hold at once. What does not fit is refused before its body
// is read, so a flood costs heads alone. Safe from any thread.
class Admission final {
  public:
    struct Limits {
        int requests_max = 4'096;
        uint64_t body_bytes_max = 1024ull * 1024 * 1024;
    };

    explicit Admission(Limits limits) : limits_(limits) {}

    // A place among the requests in flight, and units for a body; gives both back when destroyed.
    class Place final {
      public:
        Place() = default;

        explicit Place(Admission* admission) : admission_(admission) {}

        Place(Place&& other) noexcept
            : admission_(std::exchange(other.admission_, nullptr)),
              bytes_(std::exchange(other.bytes_, 0)) {}

        Place& operator=(Place&&) = delete;

        ~Place() {
            if (admission_ != nullptr) {
                admission_->body_bytes_.fetch_sub(bytes_, std::memory_order_relaxed);
                admission_->requests_.fetch_sub(1, std::memory_order_relaxed);
            }
        }

        explicit operator bool() const { return admission_ != nullptr; }

        // False: not now.
        bool AddBodyBytes(uint64_t bytes) {
            const uint64_t before =
                admission_->body_bytes_.fetch_add(bytes, std::memory_order_relaxed);
            if (before + bytes > admission_->limits_.body_bytes_max) {
                admission_->body_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
                return false;
            }
            bytes_ += bytes;
            return true;
        }

      private:
        Admission* admission_ = nullptr;
        uint64_t bytes_ = 0;
    };

    // Empty: too many requests.
    Place Admit() {
        if (requests_.fetch_add(1, std::memory_order_relaxed) >= limits_.requests_max) {
            requests_.fetch_sub(1, std::memory_order_relaxed);
            return Place();
        }
        return Place(this);
    }

    int requests() const { return requests_.load(std::memory_order_relaxed); }

    uint64_t body_bytes() const { return body_bytes_.load(std::memory_order_relaxed); }

  private:
    const Limits limits_;
    std::atomic<int> requests_ = 0;
    std::atomic<uint64_t> body_bytes_ = 0;
};

}  // namespace hearth::aws
