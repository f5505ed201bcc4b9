#include "vmm/kvm/kvm.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <chrono>

namespace hearth::vmm {
namespace {

// More entries than any kernel gives (KVM_MAX_CPUID_ENTRIES is 256).
constexpr std::size_t kCpuidEntriesMax = 256;

struct Needed {
    int capability;
    const char* name;
};

// The second came with Linux 4.12, after all else that is used here.
constexpr std::array kNeeded = {
    Needed{KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
    Needed{KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
};

}  // namespace

int MeteredIoctl(IoctlMeter& meter, int fd, unsigned long request, std::uintptr_t argument) {
    const auto start = std::chrono::steady_clock::now();
    const int result = ::ioctl(fd, request, argument);
    const int error_number = errno;
    const auto took = std::chrono::steady_clock::now() - start;
    meter.calls.fetch_add(1, std::memory_order_relaxed);
    meter.nanoseconds.fetch_add(
        static_cast<std::uint64_t>(
            std::chrono::duration_cast<std::chrono::nanoseconds>(took).count()),
        std::memory_order_relaxed);
    errno = error_number;
    return result;
}

Result<Kvm> Kvm::Open(const std::string& path) {
    os::Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd.valid()) {
        return errors::System("cannot open " + path, errno);
    }
    Kvm kvm(std::move(fd), std::make_shared<IoctlMeter>());
    const int version = MeteredIoctl(*kvm.meter_, kvm.fd(), KVM_GET_API_VERSION, 0UL);
    if (version != KVM_API_VERSION) {
        return errors::Unavailable(
            fmt::format("{} speaks KVM API version {}, not {}", path, version, KVM_API_VERSION));
    }
    for (const Needed& needed : kNeeded) {
        if (MeteredIoctl(
                *kvm.meter_,
                kvm.fd(),
                KVM_CHECK_EXTENSION,
                static_cast<std::uintptr_t>(needed.capability)) <= 0) {
            return errors::Unavailable(fmt::format("{} lacks {}", path, needed.name));
        }
    }
    const int run_bytes = MeteredIoctl(*kvm.meter_, kvm.fd(), KVM_GET_VCPU_MMAP_SIZE, 0UL);
    if (run_bytes < static_cast<int>(sizeof(kvm_run))) {
        return errors::System("KVM_GET_VCPU_MMAP_SIZE", errno);
    }
    kvm.run_bytes_ = static_cast<std::size_t>(run_bytes);
    return kvm;
}

int Kvm::vcpus_max() const {
    const int max = MeteredIoctl(
        *meter_, fd(), KVM_CHECK_EXTENSION, static_cast<std::uintptr_t>(KVM_CAP_MAX_VCPUS));
    return max > 0 ? max : 1;
}

Result<std::vector<kvm_cpuid_entry2>> Kvm::SupportedCpuid() const {
    std::vector<std::byte> buffer(sizeof(kvm_cpuid2) + kCpuidEntriesMax * sizeof(kvm_cpuid_entry2));
    auto* const list = reinterpret_cast<kvm_cpuid2*>(buffer.data());
    list->nent = kCpuidEntriesMax;
    if (MeteredIoctl(*meter_, fd(), KVM_GET_SUPPORTED_CPUID, list) != 0) {
        return errors::System("KVM_GET_SUPPORTED_CPUID", errno);
    }
    return std::vector<kvm_cpuid_entry2>(list->entries, list->entries + list->nent);
}

}  // namespace hearth::vmm
