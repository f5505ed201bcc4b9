#pragma once

#include "base/result.h"
#include "os/fd.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace hearth::vmm::boot {

// A kernel or initrd as the loaders read it: a file, or bytes in memory (tests and fuzzers). Read
// piece by piece, so that nothing of its size is ever in the monitor's own memory.
class ImageFile final {
  public:
    static Result<ImageFile> Open(const std::string& path);
    static ImageFile FromBytes(std::vector<std::byte> bytes);

    std::uint64_t bytes() const { return bytes_; }

    // Fills `into` from `offset` on; false when the file has less than that, or cannot be read.
    bool Read(std::uint64_t offset, std::span<std::byte> into) const;

    template <class T>
    bool Load(std::uint64_t offset, T& into) const {
        return Read(offset, std::as_writable_bytes(std::span(&into, 1)));
    }

  private:
    os::Fd file_;
    std::vector<std::byte> memory_;
    std::uint64_t bytes_ = 0;
};

}  // namespace hearth::vmm::boot
