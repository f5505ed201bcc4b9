// Any requests to a disk; a read-only one never changes.
#include "vmm/virtio/block.h"
#include "vmm/virtio/device_fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace {

using namespace hearth::vmm::virtio;

constexpr std::size_t kDiskBytes = 64 * 512;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const int disk = ::memfd_create("disk", MFD_CLOEXEC);
    const std::string clean(kDiskBytes, 'c');
    if (::pwrite(disk, clean.data(), clean.size(), 0) != static_cast<ssize_t>(kDiskBytes)) {
        std::abort();
    }
    FuzzInput input(data, size);
    const auto options = input.Take<std::uint8_t>();
    const bool is_read_only = (options & 1) != 0;
    {
        FakeDriver driver(*BlockDevice::Create(
            {.path = "/proc/self/fd/" + std::to_string(disk),
             .read_only = is_read_only,
             .engine =
                 (options & 2) != 0 ? BlockOptions::Engine::kAsync : BlockOptions::Engine::kSync,
             .cache = (options & 4) != 0 ? BlockOptions::Cache::kWriteback
                                         : BlockOptions::Cache::kUnsafe}));
        driver.Start();
        PlayDriver(driver, input);
    }
    std::string after(kDiskBytes, '\0');
    if (::lseek(disk, 0, SEEK_END) != static_cast<off_t>(kDiskBytes) ||
        ::pread(disk, after.data(), after.size(), 0) != static_cast<ssize_t>(kDiskBytes) ||
        (is_read_only && after != clean)) {
        std::abort();
    }
    return 0;
}
