// Any packets of the guest, with one client and one server on the host, whose bytes come back.
#include "vmm/virtio/device_fuzz.h"
#include "vmm/virtio/vsock.h"
#include "vmm/virtio/vsock_packet.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace {

using namespace hearth::vmm::virtio;
using hearth::os::Fd;

Fd Socket() {
    return Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

sockaddr_un Address(const std::string& path) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const std::string path = "/tmp/hearth-vsock-fuzz-" + std::to_string(::getpid());
    ::unlink(path.c_str());
    const Fd listener = Socket();
    const std::string port_path = path + "_1";
    ::unlink(port_path.c_str());
    const sockaddr_un port_address = Address(port_path);
    if (::bind(
            listener.get(),
            reinterpret_cast<const sockaddr*>(&port_address),
            sizeof(port_address)) != 0 ||
        ::listen(listener.get(), 8) != 0) {
        std::abort();
    }
    FuzzInput input(data, size);
    {
        FakeDriver driver(*VsockDevice::Create({.guest_cid = 3, .uds_path = path}));
        driver.Start();
        const Fd client = Socket();
        const sockaddr_un address = Address(path);
        static_cast<void>(
            ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)));
        constexpr std::string_view kHello = "CONNECT 1\nsome data";
        static_cast<void>(::send(client.get(), kHello.data(), kHello.size(), MSG_NOSIGNAL));
        driver.Run();
        // Packets that look like packets first, then whatever is left.
        for (auto count = input.Take<std::uint8_t>() % 32; count > 0; --count) {
            VsockHeader header;
            header.source_cid = 3;
            header.destination_cid = kVsockHostCid;
            const auto choice = input.Take<std::uint8_t>();
            header.source_port = 1 + (choice & 1U);
            header.destination_port = (choice & 2) != 0 ? 1 : 1U << 30;
            header.type = kVsockStream;
            header.operation = static_cast<std::uint16_t>(choice >> 2) % 9;
            header.flags = input.Take<std::uint8_t>() & 3;
            header.buffer_bytes = input.Take<std::uint16_t>();
            header.forwarded = input.Take<std::uint8_t>();
            const auto content = input.TakeBytes(input.Take<std::uint8_t>());
            header.bytes = static_cast<std::uint32_t>(content.size());
            driver.FreeAll();
            std::vector<FakeDescriptor> chain = {
                {driver.PutValue(header), static_cast<std::uint32_t>(kVsockHeaderBytes)}};
            if (!content.empty()) {
                chain.push_back({driver.Put(content), header.bytes});
            }
            driver.queues[VsockDevice::kTx].Add(chain);
            driver.Kick(VsockDevice::kTx);
            const std::uint32_t room = 64U + choice * 4U;
            driver.queues[VsockDevice::kRx].Add({{driver.Allocate(room), room, kDescWrite}});
            driver.Kick(VsockDevice::kRx);
        }
        PlayDriver(driver, input);
    }
    ::unlink(port_path.c_str());
    return 0;
}
