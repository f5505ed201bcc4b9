#include "vmm/image/initramfs.h"

#include <fmt/format.h>
#include <sys/stat.h>

namespace hearth::vmm {

void Initramfs::Add(
    std::string_view path, std::string_view bytes, uint32_t mode, uint32_t major, uint32_t minor) {
    constexpr size_t kAlignment = 4;
    // magic, inode, mode, uid, gid, links, mtime, size, device (2), special device (2), name, check
    bytes_ += fmt::format(
        "070701{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}",
        ++inode_,
        mode,
        0,
        0,
        1,
        0,
        bytes.size(),
        0,
        0,
        major,
        minor,
        path.size() + 1,
        0);
    bytes_ += path;
    bytes_ += '\0';
    bytes_.resize((bytes_.size() + kAlignment - 1) / kAlignment * kAlignment, '\0');
    bytes_ += bytes;
    bytes_.resize((bytes_.size() + kAlignment - 1) / kAlignment * kAlignment, '\0');
}

void Initramfs::AddDirectory(std::string_view path, uint32_t permissions) {
    Add(path, "", S_IFDIR | permissions);
}

void Initramfs::AddFile(std::string_view path, std::string_view bytes, uint32_t permissions) {
    Add(path, bytes, S_IFREG | permissions);
}

void Initramfs::AddLink(std::string_view path, std::string_view target) {
    Add(path, target, S_IFLNK | 0777);
}

void Initramfs::AddCharacterDevice(
    std::string_view path, uint32_t permissions, uint32_t major, uint32_t minor) {
    Add(path, "", S_IFCHR | permissions, major, minor);
}

std::string Initramfs::Finish() && {
    Add("TRAILER!!!", "", 0);
    return std::move(bytes_);
}

}  // namespace hearth::vmm
