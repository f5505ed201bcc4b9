#include "vmm/boot/boot_params.h"
#include "vmm/boot/kernel_loader.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

// Any file as a kernel (bzImage, ELF with PVH notes), then the boot parameters made from what was
// found, with the file as command line and initrd, too.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace hearth::vmm;
    static const GuestMemory memory =
        GuestMemory::Create(GuestMemory::Layout(std::size_t{32} << 20)).value();
    const auto bytes = std::as_bytes(std::span(data, size));
    const auto image = boot::ImageFile::FromBytes({bytes.begin(), bytes.end()});
    const auto kernel = boot::LoadKernel(memory, image);
    if (!kernel.ok()) {
        return 0;
    }
    const auto initrd = boot::LoadInitrd(memory, *kernel, image);
    const std::string_view line(reinterpret_cast<const char*>(data), size);
    const auto written = boot::WriteBootParameters(
        memory, *kernel, line, initrd.ok() ? std::optional(*initrd) : std::nullopt);
    static_cast<void>(written.ok());
    return 0;
}
