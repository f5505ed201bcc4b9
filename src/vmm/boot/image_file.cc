#include "vmm/boot/image_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace hearth::vmm::boot {

Result<ImageFile> ImageFile::Open(const std::string& path) {
    ImageFile image;
    image.file_ = os::Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status = {};
    if (!image.file_.valid() || ::fstat(image.file_.get(), &status) != 0) {
        return errors::System("cannot open " + path, errno);
    }
    if (!S_ISREG(status.st_mode)) {
        return errors::Malformed(path + " is not a regular file");
    }
    image.bytes_ = static_cast<std::uint64_t>(status.st_size);
    return image;
}

ImageFile ImageFile::FromBytes(std::vector<std::byte> bytes) {
    ImageFile image;
    image.bytes_ = bytes.size();
    image.memory_ = std::move(bytes);
    return image;
}

bool ImageFile::Read(std::uint64_t offset, std::span<std::byte> into) const {
    if (offset > bytes_ || into.size() > bytes_ - offset) {
        return false;
    }
    if (!file_.valid()) {
        if (!into.empty()) {
            std::memcpy(into.data(), memory_.data() + offset, into.size());
        }
        return true;
    }
    while (!into.empty()) {
        const ssize_t count =
            ::pread(file_.get(), into.data(), into.size(), static_cast<off_t>(offset));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return false;
        }
        into = into.subspan(static_cast<std::size_t>(count));
        offset += static_cast<std::uint64_t>(count);
    }
    return true;
}

}  // namespace hearth::vmm::boot
