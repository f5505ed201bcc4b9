#pragma once

#include "base/result.h"
#include "vmm/memory/guest_memory.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

// The guest's description of its hardware: RSDP, XSDT, FADT (hardware-reduced: none of ACPI's own
// registers), MADT, and a DSDT with the serial port, the keyboard controller and the virtio
// devices. Linux finds CPUs and devices by these tables and by nothing else.
// Source: ACPI 6.5, chapters 5, 6 and 20.
namespace hearth::vmm::boot {

struct AcpiMmioDevice {
    GuestAddress start;
    std::uint32_t bytes;
    std::uint32_t gsi;
};

struct AcpiOptions {
    std::uint32_t vcpu_count = 1;
    std::span<const AcpiMmioDevice> virtio;
    // Linux looks for a keyboard only where the tables promise one; the look costs exits.
    bool keyboard = true;
};

// One table by itself, complete with its checksum. For tests and WriteAcpiTables.
std::vector<std::byte> MakeDsdt(const AcpiOptions& options);
std::vector<std::byte> MakeMadt(const AcpiOptions& options);
std::vector<std::byte> MakeFadt(const AcpiOptions& options, GuestAddress dsdt);

// All of them, the RSDP at kRsdp.
//   errors    they do not fit, or the guest has no memory there.
Status WriteAcpiTables(const GuestMemory& memory, const AcpiOptions& options);

}  // namespace hearth::vmm::boot
