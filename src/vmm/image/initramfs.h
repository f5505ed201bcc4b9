#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::vmm {

// The archive that a kernel unpacks into memory before its first process: cpio, format "newc".
// The same calls make the same bytes: no times, no owners but root. Folders come before what is in
// them; the caller sees to it.
class Initramfs final {
  public:
    void AddDirectory(std::string_view path, uint32_t permissions = 0755);
    void AddFile(std::string_view path, std::string_view bytes, uint32_t permissions = 0644);
    void AddLink(std::string_view path, std::string_view target);
    // For the console that the first process has before it mounts anything.
    void AddCharacterDevice(
        std::string_view path, uint32_t permissions, uint32_t major, uint32_t minor);

    std::string Finish() &&;

  private:
    void Add(
        std::string_view path,
        std::string_view bytes,
        uint32_t mode,
        uint32_t major = 0,
        uint32_t minor = 0);

    std::string bytes_;
    uint32_t inode_ = 0;
};

}  // namespace hearth::vmm
