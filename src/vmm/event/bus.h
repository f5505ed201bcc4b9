#pragma once

#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>

namespace hearth::vmm {

// What answers the guest's reads and writes of a range of ports or of memory-mapped addresses.
// Called on vCPU threads, on several at once: a device whose state lives on the VMM thread takes
// its own lock. `data` is 1, 2, 4 or 8 bytes for one access, whatever the guest chose; a device
// that cannot serve a size or offset leaves `data` as it is (all ones) and ignores the write.
class BusDevice {
  public:
    virtual ~BusDevice() = default;

    virtual void Read(std::uint64_t offset, std::span<std::byte> data) = 0;
    virtual void Write(std::uint64_t offset, std::span<const std::byte> data) = 0;
};

// Which device owns which addresses. Filled before vCPUs run and only read afterwards, so it needs
// no lock.
class Bus final {
  public:
    // Error when the range is empty, wraps, or overlaps one that is there.
    Status Insert(std::uint64_t base, std::uint64_t bytes, std::shared_ptr<BusDevice> device);

    // False when no device owns the whole access; reads give all ones then.
    bool Read(std::uint64_t address, std::span<std::byte> data) const;
    bool Write(std::uint64_t address, std::span<const std::byte> data) const;

  private:
    struct Range {
        std::uint64_t bytes;
        std::shared_ptr<BusDevice> device;
    };

    // The device and the offset in it; null when the access is not inside of one range.
    const Range* Find(std::uint64_t address, std::size_t bytes, std::uint64_t& offset) const;

    std::map<std::uint64_t, Range> ranges_;
};

}  // namespace hearth::vmm
