#include "rt/semaphore.h"

#include "base/check.h"
#include "rt/suspension.h"

namespace hearth::rt {

class Semaphore::Waiting final : public Suspension {
  public:
    Waiting(Semaphore& semaphore, int64_t wanted) : semaphore_(semaphore), wanted_(wanted) {}

    ~Waiting() override = default;

    int64_t wanted() const { return wanted_; }

  private:
    void Started() override { place_ = semaphore_.waits_.insert(semaphore_.waits_.end(), this); }

    void Cancelled() override {
        semaphore_.waits_.erase(place_);
        // It may have stood in front of others that fit.
        semaphore_.Give(0);
    }

    Semaphore& semaphore_;
    int64_t wanted_;
    std::list<Waiting*>::iterator place_;
};

void Semaphore::Units::Release() {
    if (semaphore_ != nullptr) {
        std::exchange(semaphore_, nullptr)->Give(count_);
    }
}

Semaphore::~Semaphore() {
    CHECK(waits_.empty(), "a semaphore destroyed under {} waiters", waits_.size());
}

Task<Semaphore::Units> Semaphore::Take(int64_t count) {
    if (!TryTake(count)) {
        Waiting waiting(*this, count);
        // Give takes the units out for the waiter before it wakes it.
        if (!co_await waiting.Wait()) {
            internal::ThrowCancelled();
        }
    }
    co_return Units(this, count);
}

bool Semaphore::TryTake(int64_t count) {
    if (!waits_.empty() || available_ < count) {
        return false;
    }
    available_ -= count;
    return true;
}

void Semaphore::Give(int64_t count) {
    available_ += count;
    while (!waits_.empty() && waits_.front()->wanted() <= available_) {
        Waiting* const first = waits_.front();
        waits_.pop_front();
        available_ -= first->wanted();
        first->Wake();
    }
}

}  // namespace hearth::rt
