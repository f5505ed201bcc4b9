// Any frames of the guest, any buffers for frames of the host.
#include "vmm/virtio/device_fuzz.h"
#include "vmm/virtio/net.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace {

using namespace hearth::vmm::virtio;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::array<int, 2> sockets{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets.data()) !=
        0) {
        std::abort();
    }
    const hearth::os::Fd host(sockets[0]);
    FuzzInput input(data, size);
    FakeDriver driver(*NetDevice::CreateWithTap({.tap = "none"}, hearth::os::Fd(sockets[1])));
    const auto features = input.Take<std::uint32_t>();
    // Some frames for the guest, of sizes the input chooses.
    for (int i = 0; i < 4; ++i) {
        const std::vector<char> frame(input.Take<std::uint16_t>() % 9000U + 1);
        static_cast<void>(::send(host.get(), frame.data(), frame.size(), 0));
    }
    driver.Start(features | kFeatureVersion1);
    PlayDriver(driver, input);
    return 0;
}
