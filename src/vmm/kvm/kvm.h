#pragma once

#include "base/result.h"
#include "os/fd.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

// The kernel's header declares its trailing arrays through a macro that wraps them in a structure
// with an empty member. An empty structure has no bytes in C and one in C++, so in C++ the sizes,
// and with them the numbers of the ioctls, come out wrong. Here the macro makes a plain array; the
// assertions below hold whatever version of the headers is installed.
#include <linux/stddef.h>
#undef __DECLARE_FLEX_ARRAY
#define __DECLARE_FLEX_ARRAY(TYPE, NAME) TYPE NAME[0]
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wzero-length-array"
#pragma clang diagnostic ignored "-Wc99-extensions"
#pragma clang diagnostic ignored "-Wgnu-anonymous-struct"
#pragma clang diagnostic ignored "-Wnested-anon-types"
#pragma clang diagnostic ignored "-Wpedantic"
#include <linux/kvm.h>
#pragma clang diagnostic pop

static_assert(sizeof(kvm_cpuid2) == 8);
static_assert(sizeof(kvm_msrs) == 8);
static_assert(sizeof(kvm_msr_list) == 4);
static_assert(sizeof(kvm_xsave) == 4096);
static_assert(sizeof(kvm_signal_mask) == 4);
static_assert(sizeof(kvm_irq_routing) == 8);

namespace hearth::vmm {

// What a machine's ioctls cost, so that the monitor's own time can be told from the kernel's.
struct IoctlMeter {
    std::atomic<std::uint64_t> calls = 0;
    std::atomic<std::uint64_t> nanoseconds = 0;
};

// ioctl that counts itself; -1 and errno as usual.
int MeteredIoctl(IoctlMeter& meter, int fd, unsigned long request, std::uintptr_t argument);

template <class T>
int MeteredIoctl(IoctlMeter& meter, int fd, unsigned long request, T* argument) {
    return MeteredIoctl(meter, fd, request, reinterpret_cast<std::uintptr_t>(argument));
}

// The kernel's virtual machines: /dev/kvm, opened and found good.
class Kvm final {
  public:
    // Errors: the device cannot be opened, speaks another API version, or lacks what the monitor
    // cannot do without; the message says which.
    static Result<Kvm> Open(const std::string& path = "/dev/kvm");

    int fd() const { return fd_.get(); }

    // Bytes of the structure shared between a vCPU and its thread.
    std::size_t run_bytes() const { return run_bytes_; }

    // vCPUs one machine may have here.
    int vcpus_max() const;

    // CPUID as this host and kernel can give it to a guest.
    Result<std::vector<kvm_cpuid_entry2>> SupportedCpuid() const;

    const std::shared_ptr<IoctlMeter>& meter() const { return meter_; }

  private:
    Kvm(os::Fd fd, std::shared_ptr<IoctlMeter> meter)
        : fd_(std::move(fd)), meter_(std::move(meter)) {}

    os::Fd fd_;
    // Shared with the machines and vCPUs made from this.
    std::shared_ptr<IoctlMeter> meter_;
    std::size_t run_bytes_ = 0;
};

}  // namespace hearth::vmm
