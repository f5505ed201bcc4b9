#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "flow/courier.h"
#include "storage/kv.h"

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// How deliveries lie in the store: docs/internals/storage-keys.md, "courier". The only file that
// knows.
namespace hearth::flow {

// Payloads up to this size lie in the delivery's own record, so that a small delivery is one key;
// larger ones lie apart, so that a retry does not write them again.
inline constexpr size_t kInlinePayloadBytesMax = 4 * 1024;

// Where a delivery stands in its lane: by due time, or, where the kind is ordered, by the time at
// which it was accepted.
struct Rank {
    int64_t time_ms = INT64_MIN;
    std::string id;

    friend auto operator<=>(const Rank&, const Rank&) = default;

    // The next one there could be.
    Rank Successor() const { return {time_ms, id + '\0'}; }
};

Rank RankOf(const Delivery& delivery, bool ordered);

struct StoredDelivery {
    // Without kind and lane; with the payload when it is not apart.
    Delivery delivery;
    Rank rank;
    bool payload_apart = false;
    size_t payload_bytes = 0;
};

std::string DeliveryKey(std::string_view kind, std::string_view lane, const Rank& rank);
std::string DeliveryPayloadKey(std::string_view kind, std::string_view lane, std::string_view id);

// `payload_bytes` counts when the payload lies apart.
std::string EncodeDelivery(const Delivery& delivery, bool apart, size_t payload_bytes);
Result<Rank> RankOfDeliveryKey(std::string_view key);
Result<StoredDelivery> DecodeDelivery(std::string_view key, std::string_view record);

// Everything of a lane, from `from` on.
storage::RangeRequest LaneRange(std::string_view kind, std::string_view lane, const Rank& from);
storage::RangeRequest LanePayloadRange(std::string_view kind, std::string_view lane);
// All deliveries of all lanes.
storage::RangeRequest AllDeliveries();

struct LaneName {
    std::string kind;
    std::string lane;
};

Result<LaneName> LaneOfDeliveryKey(std::string_view key);

// Whether it keeps within the limits of courier.h.
Status CheckDelivery(const Delivery& delivery);

}  // namespace hearth::flow
