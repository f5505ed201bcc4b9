#pragma once

#include "base/result.h"
#include "os/fd.h"
#include "vmm/memory/guest_memory.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace hearth::vmm::boot {

// A kernel or initrd as the loaders read it: a file, or bytes in memory (tests and fuzzers). Read
// piece by piece, so that nothing of its size is ever in the monitor's own memory; or not read at
// all but mapped into the guest's, where its maker sees to it that nobody changes it meanwhile.
class ImageFile final {
  public:
    // Makes sure that nobody changes the file for as long as it is open; false where it cannot.
    using Hold = std::function<bool(int fd)>;

    // With a `hold`, a file large enough may be mapped by Place.
    static Result<ImageFile> Open(const std::string& path, const Hold& hold = nullptr);
    static ImageFile FromBytes(std::vector<std::byte> bytes);

    std::uint64_t bytes() const { return bytes_; }

    // Fills `into` from `offset` on; false when the file has less than that, or cannot be read.
    bool Read(std::uint64_t offset, std::span<std::byte> into) const;

    template <class T>
    bool Load(std::uint64_t offset, T& into) const {
        return Read(offset, std::as_writable_bytes(std::span(&into, 1)));
    }

    // Puts `bytes` from `offset` on at the guest's address `at`: mapped if that may be and is worth
    // it, else read. False when the guest has no such memory or Read fails. Whoever sees the
    // memory's file_bytes() grow keeps this image for as long as they are mapped.
    bool Place(
        const GuestMemory& memory,
        GuestAddress at,
        std::uint64_t offset,
        std::uint64_t bytes) const;

  private:
    os::Fd file_;
    bool is_held_ = false;
    std::vector<std::byte> memory_;
    std::uint64_t bytes_ = 0;
};

}  // namespace hearth::vmm::boot
