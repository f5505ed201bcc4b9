#include "vmm/boot/acpi.h"

#include "vmm/boot/aml.h"
#include "vmm/boot/layout.h"

#include <array>
#include <cstring>
#include <numeric>
#include <string_view>

namespace hearth::vmm::boot {
namespace {

using aml::Bytes;

constexpr std::string_view kOemId = "HEARTH";
constexpr std::string_view kOemTableId = "HEARTHVM";
constexpr std::string_view kCreator = "HRTH";

constexpr std::size_t kHeaderBytes = 36;
constexpr std::size_t kChecksumOffset = 9;

// Offsets and bits of the FADT (ACPI 6.5, table 5.9).
constexpr std::size_t kFadtBytes = 276;
constexpr std::size_t kFadtBootArchitecture = 109;
constexpr std::size_t kFadtFlags = 112;
constexpr std::size_t kFadtResetRegister = 116;
constexpr std::size_t kFadtResetValue = 128;
constexpr std::size_t kFadtMinorVersion = 131;
constexpr std::size_t kFadtDsdt = 140;
constexpr std::size_t kFadtHypervisor = 268;
constexpr std::uint16_t kHasKeyboardController = 1 << 1;
constexpr std::uint16_t kHasNoVga = 1 << 2;
constexpr std::uint16_t kHasNoMsi = 1 << 3;
constexpr std::uint16_t kHasNoAspm = 1 << 4;
constexpr std::uint16_t kHasNoCmosClock = 1 << 5;
constexpr std::uint32_t kResetRegisterSupported = 1 << 10;
constexpr std::uint32_t kHardwareReduced = 1 << 20;
constexpr std::uint32_t kPowerButtonIsControlMethod = 1 << 4;
constexpr std::uint32_t kSleepButtonIsControlMethod = 1 << 5;

template <class T>
void PutAt(Bytes& table, std::size_t offset, T value) {
    CHECK(offset + sizeof(T) <= table.size());
    std::memcpy(table.data() + offset, &value, sizeof(T));
}

template <class T>
void Append(Bytes& table, T value) {
    table.resize(table.size() + sizeof(T));
    PutAt(table, table.size() - sizeof(T), value);
}

void PutText(Bytes& table, std::size_t offset, std::string_view text) {
    CHECK(offset + text.size() <= table.size());
    std::memcpy(table.data() + offset, text.data(), text.size());
}

// Makes the sum of `bytes` zero through the one at `offset`.
void SetChecksum(std::span<std::byte> bytes, std::size_t offset) {
    bytes[offset] = std::byte{0};
    const unsigned sum =
        std::accumulate(bytes.begin(), bytes.end(), 0U, [](unsigned total, std::byte byte) {
            return total + std::to_integer<unsigned>(byte);
        });
    bytes[offset] = static_cast<std::byte>((0x100 - (sum & 0xff)) & 0xff);
}

Bytes BeginTable(std::string_view signature, std::uint8_t revision) {
    Bytes table(kHeaderBytes);
    PutText(table, 0, signature);
    PutAt(table, 8, revision);
    PutText(table, 10, kOemId);
    PutText(table, 16, kOemTableId);
    PutAt(table, 24, std::uint32_t{1});
    PutText(table, 28, kCreator);
    PutAt(table, 32, std::uint32_t{1});
    return table;
}

Bytes EndTable(Bytes table) {
    PutAt(table, 4, static_cast<std::uint32_t>(table.size()));
    SetChecksum(table, kChecksumOffset);
    return table;
}

Bytes MakeXsdt(std::span<const GuestAddress> tables) {
    Bytes table = BeginTable("XSDT", 1);
    for (const GuestAddress address : tables) {
        Append(table, std::uint64_t{address});
    }
    return EndTable(std::move(table));
}

Bytes MakeRsdp(GuestAddress xsdt) {
    constexpr std::size_t kFirstPartBytes = 20;
    Bytes table(36);
    PutText(table, 0, "RSD PTR ");
    PutText(table, 9, kOemId);
    PutAt(table, 15, std::uint8_t{2});
    PutAt(table, 20, static_cast<std::uint32_t>(table.size()));
    PutAt(table, 24, std::uint64_t{xsdt});
    SetChecksum(std::span(table).first(kFirstPartBytes), 8);
    SetChecksum(table, 32);
    return table;
}

}  // namespace

std::vector<std::byte> MakeDsdt(const AcpiOptions& options) {
    std::vector<Bytes> devices;
    devices.push_back(aml::Device(
        "COM1",
        {aml::Name("_HID", aml::EisaId("PNP0501")),
         aml::Name("_UID", aml::Integer(0)),
         aml::Name("_DDN", aml::String("COM1")),
         aml::Name(
             "_CRS",
             aml::ResourceTemplate(
                 {aml::EdgeInterrupt(kSerialGsi), aml::IoPorts(kSerialPort, 8)}))}));
    if (options.keyboard) {
        devices.push_back(aml::Device(
            "PS2_",
            {aml::Name("_HID", aml::EisaId("PNP0303")),
             aml::Name("_STA", aml::Integer(0x0f)),
             aml::Name(
                 "_CRS",
                 aml::ResourceTemplate(
                     {aml::IoPorts(kKeyboardPort, 1),
                      aml::IoPorts(kKeyboardPort + 4, 1),
                      aml::EdgeInterrupt(kKeyboardGsi)}))}));
    }
    std::uint32_t number = 0;
    for (const AcpiMmioDevice& device : options.virtio) {
        devices.push_back(aml::Device(
            fmt::format("V{:03}", number),
            {aml::Name("_HID", aml::String("LNRO0005")),
             aml::Name("_UID", aml::Integer(number)),
             aml::Name("_CCA", aml::Integer(1)),
             aml::Name(
                 "_CRS",
                 aml::ResourceTemplate(
                     {aml::Memory32(static_cast<std::uint32_t>(device.start), device.bytes),
                      aml::EdgeInterrupt(device.gsi)}))}));
        ++number;
    }
    Bytes table = BeginTable("DSDT", 2);
    const Bytes scope = aml::Scope("\\_SB_", devices);
    table.insert(table.end(), scope.begin(), scope.end());
    return EndTable(std::move(table));
}

std::vector<std::byte> MakeMadt(const AcpiOptions& options) {
    Bytes table = BeginTable("APIC", 6);
    Append(table, kLocalApicAddress);
    Append(table, std::uint32_t{0});
    // The IO APIC has the number after the CPUs'.
    Append(table, std::uint8_t{1});
    Append(table, std::uint8_t{12});
    Append(table, static_cast<std::uint8_t>(options.vcpu_count));
    Append(table, std::uint8_t{0});
    Append(table, kIoApicAddress);
    Append(table, std::uint32_t{0});
    for (std::uint32_t cpu = 0; cpu < options.vcpu_count; ++cpu) {
        Append(table, std::uint8_t{0});
        Append(table, std::uint8_t{8});
        Append(table, static_cast<std::uint8_t>(cpu));
        Append(table, static_cast<std::uint8_t>(cpu));
        Append(table, std::uint32_t{1});
    }
    return EndTable(std::move(table));
}

std::vector<std::byte> MakeFadt(const AcpiOptions& options, GuestAddress dsdt) {
    Bytes table = BeginTable("FACP", 6);
    table.resize(kFadtBytes);
    const unsigned boot_architecture = kHasNoVga | kHasNoMsi | kHasNoAspm | kHasNoCmosClock |
                                       (options.keyboard ? kHasKeyboardController : 0);
    PutAt(table, kFadtBootArchitecture, static_cast<std::uint16_t>(boot_architecture));
    PutAt(
        table,
        kFadtFlags,
        kHardwareReduced | kResetRegisterSupported | kPowerButtonIsControlMethod |
            kSleepButtonIsControlMethod);
    // Resets as the keyboard controller does: 0xfe to port 0x64. A generic address is space,
    // width, offset, access size, address.
    PutAt(table, kFadtResetRegister, std::uint8_t{1});
    PutAt(table, kFadtResetRegister + 1, std::uint8_t{8});
    PutAt(table, kFadtResetRegister + 3, std::uint8_t{1});
    PutAt(table, kFadtResetRegister + 4, std::uint64_t{kKeyboardPort + 4});
    PutAt(table, kFadtResetValue, std::uint8_t{0xfe});
    PutAt(table, kFadtMinorVersion, std::uint8_t{5});
    PutAt(table, kFadtDsdt, std::uint64_t{dsdt});
    PutText(table, kFadtHypervisor, kOemTableId);
    return EndTable(std::move(table));
}

Status WriteAcpiTables(const GuestMemory& memory, const AcpiOptions& options) {
    GuestAddress next = kAcpiTables;
    bool is_written = true;
    const auto write = [&](const Bytes& table) {
        const GuestAddress at = next;
        is_written = is_written && at + table.size() <= kAcpiEnd && memory.Write(at, table);
        // Tables begin at multiples of 16, which nothing asks for but eyes.
        next = (at + table.size() + 15) / 16 * 16;
        return at;
    };
    const GuestAddress dsdt = write(MakeDsdt(options));
    const std::array<GuestAddress, 2> tables = {
        write(MakeFadt(options, dsdt)), write(MakeMadt(options))};
    const GuestAddress xsdt = write(MakeXsdt(tables));
    if (!is_written || !memory.Write(kRsdp, MakeRsdp(xsdt))) {
        return errors::Malformed("the guest has no room for its ACPI tables");
    }
    return {};
}

}  // namespace hearth::vmm::boot
