#include "flow/durable_cloud_clock.h"

#include "storage/keys/key.h"

#include <charconv>
#include <string>

namespace hearth::flow {
namespace {

storage::keys::Key OffsetKey() {
    return storage::keys::Key::AboveAccounts().Add("clock").Add("offset-ms");
}

}  // namespace

Task<Result<std::unique_ptr<DurableCloudClock>>> DurableCloudClock::Load(
    storage::Kv& kv, const WallClock& wall) {
    std::unique_ptr<DurableCloudClock> clock(new DurableCloudClock(kv, wall));
    const std::string key = OffsetKey();
    HEARTH_CO_TRY(const auto stored, co_await kv.Get(key));
    if (stored) {
        int64_t offset_ms = 0;
        const char* const end = stored->data() + stored->size();
        const auto [rest, error] = std::from_chars(stored->data(), end, offset_ms);
        if (error != std::errc() || rest != end || offset_ms < 0) {
            co_return errors::Internal("the stored offset of the cloud clock is damaged");
        }
        clock->offset_ms_ = offset_ms;
    }
    co_return clock;
}

CloudClock::time_point DurableCloudClock::Now() const {
    const int64_t now_ms = UnixMs<WallClock>(wall_.Now()) + offset_ms_.load();
    int64_t latest_ms = latest_ms_.load();
    while (latest_ms < now_ms && !latest_ms_.compare_exchange_weak(latest_ms, now_ms)) {
    }
    return time_point(duration(std::max(latest_ms, now_ms)));
}

Task<Status> DurableCloudClock::AdvanceTo(time_point when) {
    const duration missing = when - Now();
    if (missing <= duration::zero()) {
        co_return Status();
    }
    // Wall time may stand before latest_ms_ when the machine's clock was set back; count from
    // there.
    const int64_t offset_ms = UnixMs(when) - UnixMs<WallClock>(wall_.Now());
    const std::string key = OffsetKey();
    HEARTH_CO_RETURN_IF_ERROR(co_await kv_.Put(key, std::to_string(offset_ms)));
    offset_ms_ = offset_ms;
    co_return Status();
}

}  // namespace hearth::flow
