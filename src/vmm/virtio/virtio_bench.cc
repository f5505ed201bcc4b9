// What the devices cost beside the system calls they make, seen from a driver in the same process:
// no exits, no interrupts, one thread.
#include "vmm/virtio/block.h"
#include "vmm/virtio/fake_driver.h"
#include "vmm/virtio/net.h"
#include "vmm/virtio/vsock.h"
#include "vmm/virtio/vsock_packet.h"

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <string>

namespace hearth::vmm::virtio {
namespace {

constexpr int kBatch = 64;

struct BlockHeader final {
    std::uint32_t type = 0;
    std::uint32_t reserved = 0;
    std::uint64_t sector = 0;
};

void Block(benchmark::State& state, BlockOptions::Engine engine) {
    const os::Fd disk(::memfd_create("disk", MFD_CLOEXEC));
    CHECK(::ftruncate(disk.get(), 16 << 20) == 0);
    FakeDriver driver(*BlockDevice::Create(
        {.path = "/proc/self/fd/" + std::to_string(disk.get()), .engine = engine}));
    driver.Start();
    const auto bytes = static_cast<std::uint32_t>(state.range(0));
    const GuestAddress header = driver.PutValue(BlockHeader{});
    const GuestAddress data = driver.Allocate(bytes);
    const GuestAddress status = driver.Allocate(1);
    FakeQueue& queue = driver.queues[0];
    for (auto _ : state) {
        for (int i = 0; i < kBatch; ++i) {
            queue.Add({{header, 16}, {data, bytes, kDescWrite}, {status, 1, kDescWrite}});
        }
        driver.Write(MmioTransport::kQueueNotify, 0);
        for (int done = 0; done < kBatch;) {
            if (queue.Take()) {
                ++done;
            } else {
                driver.loop().RunOnce(-1);
            }
        }
    }
    state.SetItemsProcessed(state.iterations() * kBatch);
    state.SetBytesProcessed(state.iterations() * kBatch * bytes);
}

BENCHMARK_CAPTURE(Block, sync, BlockOptions::Engine::kSync)->Arg(4096)->Arg(65536);
BENCHMARK_CAPTURE(Block, async, BlockOptions::Engine::kAsync)->Arg(4096)->Arg(65536);

// A frame out and the same frame in again.
void Net(benchmark::State& state) {
    std::array<int, 2> sockets{};
    CHECK(
        ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets.data()) ==
        0);
    const os::Fd host(sockets[0]);
    FakeDriver driver(*NetDevice::CreateWithTap({.tap = "none"}, os::Fd(sockets[1])));
    driver.Start();
    const auto bytes = static_cast<std::uint32_t>(state.range(0));
    const GuestAddress tx = driver.Allocate(bytes);
    const GuestAddress rx = driver.Allocate(65562);
    std::vector<char> frame(65562);
    for (auto _ : state) {
        driver.queues[1].Add({{tx, bytes}});
        driver.Write(MmioTransport::kQueueNotify, 1);
        driver.queues[0].Add({{rx, 65562, kDescWrite}});
        driver.loop().RunOnce(-1);
        CHECK(::recv(host.get(), frame.data(), frame.size(), 0) == bytes);
        CHECK(::send(host.get(), frame.data(), bytes, 0) == bytes);
        while (!driver.queues[0].Take()) {
            driver.loop().RunOnce(-1);
        }
        driver.queues[1].Take();
    }
    state.SetItemsProcessed(state.iterations() * 2);
    state.SetBytesProcessed(state.iterations() * 2 * bytes);
}

BENCHMARK(Net)->Arg(1514)->Arg(65000);

// Data of the host for the guest, in packets of 64 KiB.
void VsockToGuest(benchmark::State& state) {
    const std::string path = "/tmp/hearth-vsock-bench-" + std::to_string(::getpid());
    FakeDriver driver(*VsockDevice::Create({.guest_cid = 3, .uds_path = path}));
    driver.Start();
    const os::Fd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    CHECK(
        ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    CHECK(::send(client.get(), "CONNECT 1\n", 10, 0) == 10);
    const GuestAddress rx = driver.Allocate(66000);
    FakeQueue& queue = driver.queues[VsockDevice::kRx];
    queue.Add({{rx, 66000, kDescWrite}});
    driver.Run();
    CHECK(queue.Take().has_value());
    VsockHeader header = *driver.memory().Load<VsockHeader>(rx);
    std::swap(header.source_cid, header.destination_cid);
    std::swap(header.source_port, header.destination_port);
    header.operation = kVsockResponse;
    header.buffer_bytes = 1 << 30;
    header.forwarded = 0;
    const GuestAddress tx = driver.Allocate(kVsockHeaderBytes);
    const auto send = [&] {
        driver.memory().Store(tx, header);
        driver.queues[VsockDevice::kTx].Add({{tx, static_cast<std::uint32_t>(kVsockHeaderBytes)}});
        driver.Kick(VsockDevice::kTx);
        driver.queues[VsockDevice::kTx].Take();
    };
    send();
    header.operation = kVsockCreditUpdate;
    const std::vector<char> block(65536);
    std::int64_t received = 0;
    for (auto _ : state) {
        CHECK(::send(client.get(), block.data(), block.size(), 0) > 0);
        std::size_t rest = block.size();
        while (rest > 0) {
            queue.Add({{rx, 66000, kDescWrite}});
            driver.Write(MmioTransport::kQueueNotify, VsockDevice::kRx);
            std::optional<FakeUsed> used;
            while (!(used = queue.Take())) {
                driver.loop().RunOnce(-1);
            }
            const auto bytes = driver.memory().Load<VsockHeader>(rx)->bytes;
            rest -= std::min<std::size_t>(bytes, rest);
            received += bytes;
        }
        if (received - header.forwarded > (1 << 29)) {
            header.forwarded = static_cast<std::uint32_t>(received);
            send();
        }
    }
    state.SetBytesProcessed(received);
}

BENCHMARK(VsockToGuest);

}  // namespace
}  // namespace hearth::vmm::virtio
