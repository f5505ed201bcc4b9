#pragma once

#include <atomic>
#include <cstddef>

namespace hearth::storage {

// What all uploads and downloads together may hold in large buffers. Who comes when it is used up
// goes on with small ones instead of waiting, so nobody waits for anybody. Any thread.
class BufferBudget final {
  public:
    static constexpr size_t kLargeBytes = size_t{256} << 10;
    static constexpr size_t kSmallBytes = size_t{64} << 10;
    // Each body in flight has so many.
    static constexpr size_t kBuffers = 2;

    explicit BufferBudget(size_t bytes) : left_(static_cast<ptrdiff_t>(bytes)) {}

    // The size of this one's buffers: large ones while there is budget.
    class Share final {
      public:
        explicit Share(BufferBudget& budget) : budget_(budget) {}

        ~Share() {
            if (large_) {
                budget_.left_ += kCost;
            }
        }

        Share(const Share&) = delete;
        Share& operator=(const Share&) = delete;

        // Asked by those that have use for a large one; the first answer stays.
        size_t BufferBytes() {
            if (!asked_) {
                asked_ = true;
                large_ = budget_.left_.fetch_sub(kCost) >= kCost;
                if (!large_) {
                    budget_.left_ += kCost;
                }
            }
            return large_ ? kLargeBytes : kSmallBytes;
        }

      private:
        BufferBudget& budget_;
        bool asked_ = false;
        bool large_ = false;
    };

  private:
    static constexpr ptrdiff_t kCost = kLargeBytes * kBuffers;

    std::atomic<ptrdiff_t> left_;
};

}  // namespace hearth::storage
