#pragma once

#include "base/result.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

namespace hearth::vmm {

// A guest-physical address.
using GuestAddress = std::uint64_t;

// Physical addresses in [3 GiB, 4 GiB) belong to devices; memory of 3 GiB and more goes on at
// 4 GiB.
inline constexpr GuestAddress kMmioGapStart = 0xc000'0000;
inline constexpr GuestAddress kMmioGapEnd = 0x1'0000'0000;

// The guest's memory: the one class through which every address that a guest names becomes a host
// address.
//
// Guarantee: no function here touches a byte outside of one region, whatever address and length it
// is given, and sums never wrap. The guest's vCPUs may change any byte at any moment, so a value
// that is checked must be a copy: Load and Read copy, each once. A span of Slice may change while
// it is read; hand it to system calls, never decide by it twice.
//
// Thread-safe: nothing here changes after Create but the guest's bytes, and which of them still are
// a file's.
class GuestMemory final {
  public:
    struct Region {
        GuestAddress start;
        std::size_t bytes;
    };

    enum class Backing {
        kSmallPages,  // the kernel's choice, which is small pages unless it always takes large ones
        kHugePages,   // 2 MiB pages that the host has set aside (hugetlbfs); they are reserved
    };

    // The regions of a guest with `bytes` of memory: one, or two around the MMIO gap.
    static std::vector<Region> Layout(std::size_t bytes);

    // Anonymous zeroed memory that is not reserved: pages come into being when touched.
    //   errors    a region that is empty, not whole pages, or overlaps another; mmap's.
    static Result<GuestMemory> Create(
        std::span<const Region> regions, Backing backing = Backing::kSmallPages);

    GuestMemory(GuestMemory&& other) noexcept;
    GuestMemory& operator=(GuestMemory&& other) noexcept;
    ~GuestMemory();

    // The bytes [at, at + bytes), or nothing when any of them is outside of one region. An empty
    // range inside of a region is an empty span.
    std::optional<std::span<std::byte>> Slice(GuestAddress at, std::size_t bytes) const;

    // One copy; false, with nothing copied, where Slice would give nothing.
    bool Read(GuestAddress at, std::span<std::byte> into) const;
    bool Write(GuestAddress at, std::span<const std::byte> from) const;

    template <class T>
    std::optional<T> Load(GuestAddress at) const {
        static_assert(std::is_trivially_copyable_v<T>);
        T value;
        if (!Read(at, std::as_writable_bytes(std::span(&value, 1)))) {
            return std::nullopt;
        }
        return value;
    }

    template <class T>
    bool Store(GuestAddress at, const T& value) const {
        static_assert(std::is_trivially_copyable_v<T>);
        return Write(at, std::as_bytes(std::span(&value, 1)));
    }

    // For what the guest changes while it is read, such as ring indices: one access of the whole
    // integer, ordered. Nothing (false) when the address is not naturally aligned, too.
    template <class T>
    std::optional<T> LoadAcquire(GuestAddress at) const {
        T* const integer = Integer<T>(at);
        if (integer == nullptr) {
            return std::nullopt;
        }
        return std::atomic_ref<T>(*integer).load(std::memory_order_acquire);
    }

    template <class T>
    bool StoreRelease(GuestAddress at, T value) const {
        T* const integer = Integer<T>(at);
        if (integer == nullptr) {
            return false;
        }
        std::atomic_ref<T>(*integer).store(value, std::memory_order_release);
        return true;
    }

    // Shows the file's bytes from `offset` on as the guest's, without a copy: all machines of a
    // file share its pages until they write to them. A machine's writes stay its own. As long as
    // pages are shared, nobody may change the file (see event/file_lease.h). False, with nothing
    // changed, where that is not possible: no whole pages, large pages, or the host refuses. The
    // caller copies then.
    bool MapFile(GuestAddress at, std::size_t bytes, int fd, std::uint64_t offset) const;

    // Copies what is still a file's, which may change afterwards. Bytes that anybody writes
    // meanwhile, a vCPU or a device, are lost: the machine stands still.
    Status DetachFiles() const;

    // How much has been mapped from files.
    std::size_t file_bytes() const;

    // Gives the whole pages of [at, at + bytes) back to the host; they read as zeros afterwards.
    // Of huge pages only whole ones go back; what is less is filled with zeros. False when the
    // range is not inside of one region or is not whole (small) pages.
    bool Discard(GuestAddress at, std::size_t bytes) const;

    // Makes the pages of [at, at + bytes) at once, for what is about to be written whole: one call
    // instead of a fault per page. A hint: what cannot be made now comes with its fault.
    void Populate(GuestAddress at, std::size_t bytes) const;

    // Asks for the host's large pages (transparent ones). A hint, and not always a gain: a fault
    // may wait while the host makes one.
    void PreferLargePages(GuestAddress at, std::size_t bytes) const;

    std::span<const Region> regions() const { return regions_; }

    // Where region `index` begins in this process, for KVM's memory slots.
    std::byte* host_address(std::size_t index) const { return hosts_[index]; }

    // One past the guest's last byte of memory.
    GuestAddress end() const;

    // All regions together.
    std::size_t bytes() const;

  private:
    GuestMemory();

    struct Files;

    template <class T>
    T* Integer(GuestAddress at) const {
        static_assert(std::is_integral_v<T> && std::atomic_ref<T>::is_always_lock_free);
        if (at % sizeof(T) != 0) {
            return nullptr;
        }
        const auto slice = Slice(at, sizeof(T));
        return slice ? reinterpret_cast<T*>(slice->data()) : nullptr;
    }

    void Unmap();

    // What Discard does where pages are huge: the kernel's rounding has changed over time.
    static bool ZeroHugePages(std::span<std::byte> range);

    // What Discard does, where pages are a file's: giving those back would show the file again.
    void ZeroFilePages(std::byte* host, std::size_t bytes) const;

    // Both ascending by address.
    std::vector<Region> regions_;
    std::vector<std::byte*> hosts_;
    std::unique_ptr<Files> files_;
};

}  // namespace hearth::vmm
