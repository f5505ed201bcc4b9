#include "vmm/virtio/guest_log.h"

#include "base/clock.h"

#include <chrono>
#include <cstdint>
#include <mutex>

namespace hearth::vmm::virtio {
namespace {

constexpr unsigned kLinesPerPeriod = 20;
constexpr std::chrono::seconds kPeriod{5};

}  // namespace

bool MayLogAboutGuest() {
    static std::mutex mutex;
    static MonotonicClock::time_point period_end;
    static unsigned lines = 0;
    static std::uint64_t suppressed = 0;

    const std::lock_guard lock(mutex);
    const auto now = MonotonicClock::System()->Now();
    if (now >= period_end) {
        period_end = now + kPeriod;
        lines = 0;
        if (suppressed > 0) {
            log::Warn("{} more lines about the guest were left out", suppressed);
            suppressed = 0;
        }
    }
    if (lines == kLinesPerPeriod) {
        ++suppressed;
        return false;
    }
    ++lines;
    return true;
}

}  // namespace hearth::vmm::virtio
