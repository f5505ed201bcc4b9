#include "vmm/boot/image_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace hearth::vmm::boot {
namespace {

constexpr std::uint64_t kPageBytes = 4096;

// Less is copied sooner than it is mapped and held.
constexpr std::uint64_t kMapBytesMin = 1 << 20;

}  // namespace

Result<ImageFile> ImageFile::Open(const std::string& path, const Hold& hold) {
    ImageFile image;
    image.file_ = os::Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status = {};
    if (!image.file_.valid() || ::fstat(image.file_.get(), &status) != 0) {
        return errors::System("cannot open " + path, errno);
    }
    if (!S_ISREG(status.st_mode)) {
        return errors::Malformed(path + " is not a regular file");
    }
    if (hold && status.st_size >= static_cast<off_t>(kMapBytesMin) && hold(image.file_.get())) {
        image.is_held_ = true;
        // The file may have changed until now.
        if (::fstat(image.file_.get(), &status) != 0) {
            return errors::System("cannot look at " + path, errno);
        }
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

bool ImageFile::Place(
    const GuestMemory& memory, GuestAddress at, std::uint64_t offset, std::uint64_t bytes) const {
    const auto place = memory.Slice(at, bytes);
    if (!place || offset > bytes_ || bytes > bytes_ - offset) {
        return false;
    }
    // Where pages of the file can be pages of the guest; its first and last bytes may share theirs.
    const std::uint64_t before = (kPageBytes - at % kPageBytes) % kPageBytes;
    const bool fits = is_held_ && bytes >= kMapBytesMin && (offset + before) % kPageBytes == 0;
    const std::uint64_t whole = fits ? (bytes - before) / kPageBytes * kPageBytes : 0;
    if (fits && memory.MapFile(at + before, whole, file_.get(), offset + before)) {
        return Read(offset, place->first(before)) &&
               Read(offset + before + whole, place->subspan(before + whole));
    }
    memory.Populate(at, bytes);
    return Read(offset, *place);
}

}  // namespace hearth::vmm::boot
