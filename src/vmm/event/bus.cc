#include "vmm/event/bus.h"

#include <algorithm>
#include <limits>

namespace hearth::vmm {

Status Bus::Insert(std::uint64_t base, std::uint64_t bytes, std::shared_ptr<BusDevice> device) {
    if (bytes == 0 || base > std::numeric_limits<std::uint64_t>::max() - bytes) {
        return errors::Malformed(fmt::format("no range: {} addresses at {:#x}", bytes, base));
    }
    const auto next = ranges_.lower_bound(base);
    const bool overlaps_next = next != ranges_.end() && next->first - base < bytes;
    const bool overlaps_previous =
        next != ranges_.begin() && base - std::prev(next)->first < std::prev(next)->second.bytes;
    if (overlaps_next || overlaps_previous) {
        return errors::Malformed(
            fmt::format("{} addresses at {:#x} belong to another device", bytes, base));
    }
    ranges_.emplace_hint(next, base, Range{bytes, std::move(device)});
    return {};
}

const Bus::Range* Bus::Find(std::uint64_t address, std::size_t bytes, std::uint64_t& offset) const {
    auto range = ranges_.upper_bound(address);
    if (range == ranges_.begin()) {
        return nullptr;
    }
    --range;
    offset = address - range->first;
    if (offset >= range->second.bytes || bytes > range->second.bytes - offset) {
        return nullptr;
    }
    return &range->second;
}

bool Bus::Read(std::uint64_t address, std::span<std::byte> data) const {
    std::ranges::fill(data, std::byte{0xff});
    std::uint64_t offset = 0;
    const Range* const range = Find(address, data.size(), offset);
    if (range == nullptr) {
        return false;
    }
    range->device->Read(offset, data);
    return true;
}

bool Bus::Write(std::uint64_t address, std::span<const std::byte> data) const {
    std::uint64_t offset = 0;
    const Range* const range = Find(address, data.size(), offset);
    if (range == nullptr) {
        return false;
    }
    range->device->Write(offset, data);
    return true;
}

}  // namespace hearth::vmm
