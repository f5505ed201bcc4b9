#include "vmm/boot/cpu_state.h"

#include "vmm/boot/layout.h"

#include <algorithm>
#include <array>
#include <bit>

namespace hearth::vmm::boot {
namespace {

constexpr std::uint64_t kCr0Protected = 1;
constexpr std::uint64_t kCr0ExtensionType = 1 << 4;
constexpr std::uint64_t kCr0Paging = std::uint64_t{1} << 31;
constexpr std::uint64_t kCr4PhysicalAddressExtension = 1 << 5;
constexpr std::uint64_t kEferLongModeEnable = 1 << 8;
constexpr std::uint64_t kEferLongModeActive = 1 << 10;

// Page table entries: present and writable; the last level in 2 MiB pages.
constexpr std::uint64_t kPresentWritable = 3;
constexpr std::uint64_t kLargePage = 1 << 7;
constexpr std::uint64_t kLargePageBytes = 2 << 20;
constexpr std::size_t kEntriesPerTable = 512;

// Model-specific registers (Intel SDM volume 4).
constexpr std::uint32_t kMsrTsc = 0x10;
constexpr std::uint32_t kMsrSysenterCs = 0x174;
constexpr std::uint32_t kMsrSysenterEsp = 0x175;
constexpr std::uint32_t kMsrSysenterEip = 0x176;
constexpr std::uint32_t kMsrMiscEnable = 0x1a0;
constexpr std::uint32_t kMsrMtrrDefaultType = 0x2ff;
constexpr std::uint32_t kMsrStar = 0xc000'0081;
constexpr std::uint32_t kMsrLstar = 0xc000'0082;
constexpr std::uint32_t kMsrCstar = 0xc000'0083;
constexpr std::uint32_t kMsrSyscallMask = 0xc000'0084;
constexpr std::uint32_t kMsrKernelGsBase = 0xc000'0102;
constexpr std::uint64_t kFastStrings = 1;
// MTRRs on, memory that no range names is write-back.
constexpr std::uint64_t kMtrrWriteBack = 1 << 11 | 6;

// Selectors 0x08 (Linux' 64-bit protocol wants code at 0x10, data at 0x18; so do we) and up.
constexpr std::array<std::uint64_t, 5> kGdt64 = {
    0, 0, 0x00af'9b00'0000'ffff, 0x00cf'9300'0000'ffff, 0x008f'8b00'0000'ffff};
constexpr std::array<std::uint64_t, 5> kGdt32 = {
    0, 0, 0x00cf'9b00'0000'ffff, 0x00cf'9300'0000'ffff, 0x0000'8b00'0000'0067};
constexpr std::uint16_t kCodeSelector = 0x10;
constexpr std::uint16_t kDataSelector = 0x18;
constexpr std::uint16_t kTaskSelector = 0x20;

kvm_segment Segment(std::uint64_t descriptor, std::uint16_t selector) {
    kvm_segment segment = {};
    segment.selector = selector;
    const std::uint32_t limit =
        static_cast<std::uint32_t>((descriptor & 0xffff) | (descriptor >> 32 & 0xf'0000));
    segment.g = descriptor >> 55 & 1;
    segment.limit = segment.g != 0 ? limit << 12 | 0xfff : limit;
    segment.base = (descriptor >> 16 & 0xff'ffff) | (descriptor >> 32 & 0xff00'0000);
    segment.type = descriptor >> 40 & 0xf;
    segment.s = descriptor >> 44 & 1;
    segment.dpl = descriptor >> 45 & 3;
    segment.present = descriptor >> 47 & 1;
    segment.avl = descriptor >> 52 & 1;
    segment.l = descriptor >> 53 & 1;
    segment.db = descriptor >> 54 & 1;
    return segment;
}

std::span<const std::uint64_t> GdtOf(Protocol protocol) {
    return protocol == Protocol::kPvh ? kGdt32 : kGdt64;
}

// Bits that number `count` of something.
std::uint32_t BitsFor(std::uint32_t count) {
    return static_cast<std::uint32_t>(std::bit_width(count - 1));
}

void SetBits(std::uint32_t& word, unsigned low, unsigned count, std::uint32_t value) {
    const std::uint32_t mask = ((std::uint32_t{1} << count) - 1) << low;
    word = (word & ~mask) | (value << low & mask);
}

// Leaves with the guest's topology; Intel's 0xb and 0x1f have one entry per level.
void AddTopologyLeaf(
    std::vector<kvm_cpuid_entry2>& entries,
    std::uint32_t function,
    std::uint32_t id,
    CpuTopology topology) {
    constexpr std::uint32_t kThreadLevel = 1;
    constexpr std::uint32_t kCoreLevel = 2;
    const std::uint32_t threads = topology.smt ? 2 : 1;
    const auto add =
        [&](std::uint32_t index, std::uint32_t eax, std::uint32_t ebx, std::uint32_t type) {
            kvm_cpuid_entry2 entry = {};
            entry.function = function;
            entry.index = index;
            entry.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
            entry.eax = eax;
            entry.ebx = ebx;
            entry.ecx = type << 8 | index;
            entry.edx = id;
            entries.push_back(entry);
        };
    add(0, BitsFor(threads), threads, kThreadLevel);
    add(1, BitsFor(topology.vcpu_count), topology.vcpu_count, kCoreLevel);
    add(2, 0, 0, 0);
}

Status PrepareBootRegisters(Vcpu& vcpu, const LoadedKernel& kernel) {
    const std::span gdt = GdtOf(kernel.protocol);
    HEARTH_TRY(kvm_sregs special, vcpu.GetSpecialRegisters());
    special.cs = Segment(gdt[kCodeSelector / 8], kCodeSelector);
    const kvm_segment data = Segment(gdt[kDataSelector / 8], kDataSelector);
    special.ds = data;
    special.es = data;
    special.fs = data;
    special.gs = data;
    special.ss = data;
    special.tr = Segment(gdt[kTaskSelector / 8], kTaskSelector);
    special.gdt.base = kGdt;
    special.gdt.limit = static_cast<std::uint16_t>(gdt.size_bytes() - 1);
    special.idt.base = 0;
    special.idt.limit = 0;
    special.cr0 = kCr0Protected | kCr0ExtensionType;
    special.cr4 = 0;
    special.efer = 0;
    kvm_regs registers = {};
    registers.rflags = 2;
    registers.rip = kernel.entry;
    registers.rsp = kBootStack;
    registers.rbp = kBootStack;
    if (kernel.protocol == Protocol::kPvh) {
        registers.rbx = kPvhStartInfo;
    } else {
        registers.rsi = kZeroPage;
        special.cr0 |= kCr0Paging;
        special.cr3 = kPageTableLevel4;
        special.cr4 |= kCr4PhysicalAddressExtension;
        special.efer |= kEferLongModeEnable | kEferLongModeActive;
    }
    HEARTH_RETURN_IF_ERROR(vcpu.SetSpecialRegisters(special));
    return vcpu.SetRegisters(registers);
}

}  // namespace

std::vector<kvm_cpuid_entry2> MakeCpuid(
    std::vector<kvm_cpuid_entry2> supported, std::uint32_t id, CpuTopology topology) {
    const std::uint32_t threads = topology.smt ? 2 : 1;
    const std::uint32_t cores = std::max(topology.vcpu_count / threads, std::uint32_t{1});
    const bool has_intel_topology = std::ranges::any_of(
        supported, [](const kvm_cpuid_entry2& entry) { return entry.function == 0xb; });
    // A guest that finds leaf 0x1f prefers it; one that does not, reads 0xb.
    std::erase_if(supported, [](const kvm_cpuid_entry2& entry) {
        return entry.function == 0xb || entry.function == 0x1f;
    });
    for (kvm_cpuid_entry2& entry : supported) {
        switch (entry.function) {
            case 1:
                SetBits(entry.ebx, 24, 8, id);
                SetBits(entry.ebx, 16, 8, std::bit_ceil(topology.vcpu_count));
                SetBits(entry.ecx, 24, 1, 1);  // TSC deadline
                SetBits(entry.ecx, 31, 1, 1);  // hypervisor
                SetBits(entry.edx, 28, 1, topology.vcpu_count > 1 ? 1 : 0);
                break;
            case 4:
                // Caches: the first two levels are a core's, the last is everybody's.
                if ((entry.eax & 0x1f) != 0) {
                    const std::uint32_t level = entry.eax >> 5 & 7;
                    const std::uint32_t sharing = level >= 3 ? topology.vcpu_count : threads;
                    SetBits(entry.eax, 14, 12, std::bit_ceil(sharing) - 1);
                    SetBits(entry.eax, 26, 6, std::bit_ceil(cores) - 1);
                }
                break;
            case 6:
                SetBits(entry.eax, 1, 1, 0);  // turbo
                SetBits(entry.ecx, 3, 1, 0);  // energy hints
                break;
            case 0xa:
                // No performance counters.
                entry.eax = entry.ebx = entry.ecx = entry.edx = 0;
                break;
            case 0x8000'0008:
                SetBits(entry.ecx, 0, 8, topology.vcpu_count - 1);
                SetBits(entry.ecx, 12, 4, BitsFor(std::bit_ceil(topology.vcpu_count)));
                break;
            case 0x8000'001d:
                if ((entry.eax & 0x1f) != 0) {
                    const std::uint32_t level = entry.eax >> 5 & 7;
                    SetBits(entry.eax, 14, 12, (level >= 3 ? topology.vcpu_count : threads) - 1);
                }
                break;
            case 0x8000'001e:
                entry.eax = id;
                SetBits(entry.ebx, 0, 8, id / threads);
                SetBits(entry.ebx, 8, 8, threads - 1);
                entry.ecx = 0;
                break;
            default:
                break;
        }
    }
    if (has_intel_topology) {
        AddTopologyLeaf(supported, 0xb, id, topology);
    }
    return supported;
}

Status WriteStartTables(const GuestMemory& memory) {
    std::array<std::uint64_t, kEntriesPerTable> level2 = {};
    for (std::size_t index = 0; index < level2.size(); ++index) {
        level2[index] = index * kLargePageBytes | kPresentWritable | kLargePage;
    }
    const bool is_written = memory.Store(kPageTableLevel4, kPageTableLevel3 | kPresentWritable) &&
                            memory.Store(kPageTableLevel3, kPageTableLevel2 | kPresentWritable) &&
                            memory.Store(kPageTableLevel2, level2);
    return is_written ? Status() : errors::Malformed("the guest has no room for page tables");
}

Status PrepareVcpu(
    Vcpu& vcpu,
    const GuestMemory& memory,
    const LoadedKernel& kernel,
    std::span<const kvm_cpuid_entry2> cpuid) {
    HEARTH_RETURN_IF_ERROR(vcpu.SetCpuid(cpuid));
    const std::array<kvm_msr_entry, 11> msrs = {{
        {kMsrSysenterCs, 0, 0},
        {kMsrSysenterEsp, 0, 0},
        {kMsrSysenterEip, 0, 0},
        {kMsrStar, 0, 0},
        {kMsrCstar, 0, 0},
        {kMsrKernelGsBase, 0, 0},
        {kMsrSyscallMask, 0, 0},
        {kMsrLstar, 0, 0},
        {kMsrTsc, 0, 0},
        {kMsrMiscEnable, 0, kFastStrings},
        {kMsrMtrrDefaultType, 0, kMtrrWriteBack},
    }};
    HEARTH_RETURN_IF_ERROR(vcpu.SetMsrs(msrs));
    HEARTH_RETURN_IF_ERROR(vcpu.SetLocalInterrupts());
    kvm_fpu fpu = {};
    fpu.fcw = 0x37f;
    fpu.mxcsr = 0x1f80;
    HEARTH_RETURN_IF_ERROR(vcpu.SetFpu(fpu));
    if (vcpu.id() != 0) {
        return {};
    }
    const std::span gdt = GdtOf(kernel.protocol);
    if (!memory.Write(kGdt, std::as_bytes(gdt))) {
        return errors::Malformed("the guest has no room for its descriptor table");
    }
    if (kernel.protocol == Protocol::kLinux64) {
        HEARTH_RETURN_IF_ERROR(WriteStartTables(memory));
    }
    return PrepareBootRegisters(vcpu, kernel);
}

}  // namespace hearth::vmm::boot
