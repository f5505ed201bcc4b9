#include "vmm/boot/acpi.h"
#include "vmm/boot/boot_params.h"
#include "vmm/boot/cpu_state.h"
#include "vmm/boot/kernel_loader.h"
#include "vmm/boot/layout.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>

namespace hearth::vmm::boot {
namespace {

GuestMemory Memory(std::size_t mib) {
    return GuestMemory::Create(GuestMemory::Layout(mib << 20)).value();
}

template <class T>
void Put(std::vector<std::byte>& image, std::size_t offset, T value) {
    if (image.size() < offset + sizeof(T)) {
        image.resize(offset + sizeof(T));
    }
    std::memcpy(image.data() + offset, &value, sizeof(T));
}

// A bzImage of one setup sector and 1 KiB of kernel.
std::vector<std::byte> BzImage() {
    std::vector<std::byte> image(2048);
    Put(image, 0x1f1, std::uint8_t{1});
    Put(image, 0x200, std::uint16_t{0x6aeb});
    Put(image, 0x202, std::uint32_t{0x5372'6448});
    Put(image, 0x206, std::uint16_t{0x020f});
    Put(image, 0x211, std::uint8_t{1});
    Put(image, 0x22c, std::uint32_t{0x7fff'ffff});
    Put(image, 0x236, std::uint16_t{1});
    Put(image, 0x258, std::uint64_t{0x100'0000});
    Put(image, 0x260, std::uint32_t{0x10'0000});
    Put(image, 1024, std::uint64_t{0x1122'3344'5566'7788});
    return image;
}

struct ElfParts {
    Elf64_Ehdr header = {};
    std::vector<Elf64_Phdr> segments;
    std::vector<std::byte> bytes;

    ElfParts() {
        std::memcpy(header.e_ident, ELFMAG, SELFMAG);
        header.e_ident[EI_CLASS] = ELFCLASS64;
        header.e_ident[EI_DATA] = ELFDATA2LSB;
        header.e_machine = EM_X86_64;
        header.e_entry = 0x100'0000;
        header.e_phoff = sizeof(header);
        header.e_phentsize = sizeof(Elf64_Phdr);
    }

    Elf64_Phdr& Add(std::uint32_t type, std::uint64_t address, std::vector<std::byte> content) {
        Elf64_Phdr segment = {};
        segment.p_type = type;
        segment.p_paddr = address;
        segment.p_offset = 4096 + bytes.size();
        segment.p_filesz = content.size();
        segment.p_memsz = content.size();
        bytes.insert(bytes.end(), content.begin(), content.end());
        segments.push_back(segment);
        return segments.back();
    }

    ImageFile Image() {
        header.e_phnum = static_cast<std::uint16_t>(segments.size());
        std::vector<std::byte> image(4096);
        std::memcpy(image.data(), &header, sizeof(header));
        std::memcpy(
            image.data() + sizeof(header), segments.data(), segments.size() * sizeof(Elf64_Phdr));
        image.insert(image.end(), bytes.begin(), bytes.end());
        return ImageFile::FromBytes(std::move(image));
    }
};

std::vector<std::byte> Fill(std::size_t bytes, std::uint8_t value) {
    return std::vector<std::byte>(bytes, static_cast<std::byte>(value));
}

TEST(BzImage, IsPutAtOneMebibyteWithItsHeaderKept) {
    const GuestMemory memory = Memory(64);
    const auto kernel = LoadKernel(memory, ImageFile::FromBytes(BzImage())).value();
    EXPECT_EQ(kernel.protocol, Protocol::kLinux64);
    EXPECT_EQ(kernel.entry, 0x10'0200U);
    EXPECT_EQ(kernel.end, 0x110'0000U);
    EXPECT_EQ(kernel.initrd_end_max, 0x8000'0000U);
    EXPECT_EQ(kernel.setup_header.size(), 0x202U + 0x6a - 0x1f1);
    EXPECT_EQ(memory.Load<std::uint64_t>(kHighMemory), 0x1122'3344'5566'7788U);
}

TEST(BzImage, ErrorsSayWhatIsWrong) {
    const GuestMemory memory = Memory(64);
    const auto error = [&](std::vector<std::byte> image) {
        return LoadKernel(memory, ImageFile::FromBytes(std::move(image))).error().message();
    };
    EXPECT_EQ(error({}), "the kernel image has less than four bytes");
    EXPECT_EQ(error(Fill(4096, 0)), "the kernel image is neither an ELF file nor a bzImage");
    auto image = BzImage();
    Put(image, 0x206, std::uint16_t{0x0208});
    EXPECT_EQ(error(image), "the bzImage speaks boot protocol 2.08; 2.12 is needed");
    image = BzImage();
    Put(image, 0x236, std::uint16_t{0});
    EXPECT_EQ(error(image), "the bzImage is not a 64-bit kernel");
    image = BzImage();
    image.resize(1024);
    EXPECT_EQ(error(image), "the bzImage ends within its setup code");
    image.resize(0x210);
    EXPECT_EQ(error(image), "the bzImage ends within its setup header");
    image = BzImage();
    Put(image, 0x260, std::uint32_t{0xffff'ffff});
    EXPECT_TRUE(error(image).starts_with("the kernel needs memory up to"));
    image = BzImage();
    Put(image, 0x258, std::uint64_t{0xffff'ffff'ffff'f000});
    EXPECT_TRUE(error(image).starts_with("the kernel needs memory up to"));
}

TEST(Elf, SegmentsGoToTheirPhysicalAddresses) {
    const GuestMemory memory = Memory(64);
    ElfParts elf;
    elf.Add(PT_LOAD, 0x100'0000, Fill(100, 0xaa)).p_memsz = 8192;
    elf.Add(PT_LOAD, 0x200'0000, Fill(10, 0xbb));
    const auto kernel = LoadKernel(memory, elf.Image()).value();
    EXPECT_EQ(kernel.protocol, Protocol::kLinux64);
    EXPECT_EQ(kernel.entry, 0x100'0000U);
    EXPECT_EQ(kernel.end, 0x200'000aU);
    EXPECT_EQ(memory.Load<std::uint8_t>(0x100'0063), 0xaa);
    EXPECT_EQ(memory.Load<std::uint8_t>(0x100'0064), 0);
    EXPECT_EQ(memory.Load<std::uint8_t>(0x200'0009), 0xbb);
}

TEST(Elf, XensNoteMakesItPvh) {
    const GuestMemory memory = Memory(64);
    ElfParts elf;
    elf.Add(PT_LOAD, 0x100'0000, Fill(100, 0xaa));
    // A note of somebody else first, with sizes that need rounding.
    std::vector<std::byte> notes;
    const auto add_note =
        [&](std::string_view name, std::uint32_t type, std::uint64_t value, std::uint32_t bytes) {
            Put(notes, notes.size(), static_cast<std::uint32_t>(name.size() + 1));
            Put(notes, notes.size(), bytes);
            Put(notes, notes.size(), type);
            for (std::size_t index = 0; index < (name.size() + 4) / 4 * 4; ++index) {
                Put(notes, notes.size(), index < name.size() ? name[index] : '\0');
            }
            Put(notes, notes.size(), value);
            notes.resize(notes.size() - 8 + (bytes + 3) / 4 * 4);
        };
    add_note("Linux", 18, 1, 5);
    add_note("Xen", 17, 2, 8);
    add_note("Xen", 18, 0x100'0040, 8);
    elf.Add(PT_NOTE, 0, notes);
    const auto kernel = LoadKernel(memory, elf.Image()).value();
    EXPECT_EQ(kernel.protocol, Protocol::kPvh);
    EXPECT_EQ(kernel.entry, 0x100'0040U);
    // Cut anywhere, the note names nothing and nothing outside is read.
    for (std::size_t bytes = 0; bytes < notes.size(); ++bytes) {
        elf.segments.back().p_filesz = bytes;
        EXPECT_EQ(LoadKernel(memory, elf.Image()).value().protocol, Protocol::kLinux64);
    }
}

TEST(Elf, HostileHeadersAreRefused) {
    const GuestMemory memory = Memory(64);
    const auto fails = [&](auto change) {
        ElfParts elf;
        elf.Add(PT_LOAD, 0x100'0000, Fill(100, 0xaa));
        change(elf);
        return !LoadKernel(memory, elf.Image()).ok();
    };
    constexpr std::uint64_t kTop = ~std::uint64_t{0};
    EXPECT_FALSE(fails([](ElfParts&) {}));
    EXPECT_TRUE(fails([](ElfParts& elf) { elf.segments[0].p_paddr = 0x7000; }));
    EXPECT_TRUE(fails([](ElfParts& elf) { elf.segments[0].p_paddr = kTop - 50; }));
    EXPECT_TRUE(fails([](ElfParts& elf) { elf.segments[0].p_memsz = kTop; }));
    EXPECT_TRUE(fails([](ElfParts& elf) { elf.segments[0].p_memsz = 99; }));
    EXPECT_TRUE(fails([](ElfParts& elf) { elf.segments[0].p_offset = kTop - 10; }));
    EXPECT_TRUE(fails([](ElfParts& elf) { elf.segments[0].p_offset = 4097; }));
    EXPECT_TRUE(fails([](ElfParts& elf) { elf.header.e_phoff = kTop - 3; }));
    EXPECT_TRUE(fails([](ElfParts& elf) { elf.header.e_phentsize = 1; }));
    EXPECT_TRUE(fails([](ElfParts& elf) { elf.header.e_entry = kTop; }));
    EXPECT_TRUE(fails([](ElfParts& elf) { elf.header.e_machine = EM_AARCH64; }));
    EXPECT_TRUE(fails([](ElfParts& elf) { elf.segments.clear(); }));
}

TEST(Initrd, IsAsHighAsTheKernelSeesAndNeverOverIt) {
    const GuestMemory memory = Memory(64);
    LoadedKernel kernel;
    kernel.end = 0x200'0000;
    const auto initrd = LoadInitrd(memory, kernel, ImageFile::FromBytes(Fill(5000, 0xcc))).value();
    EXPECT_EQ(initrd.start, (64U << 20) - 8192);
    EXPECT_EQ(initrd.bytes, 5000U);
    EXPECT_EQ(memory.Load<std::uint8_t>(initrd.start + 4999), 0xcc);
    kernel.initrd_end_max = 0x210'0000;
    EXPECT_EQ(
        LoadInitrd(memory, kernel, ImageFile::FromBytes(Fill(4096, 0xcc))).value().start,
        0x20f'f000U);
    EXPECT_FALSE(LoadInitrd(memory, kernel, ImageFile::FromBytes(Fill(2 << 20, 0))).ok());
    EXPECT_FALSE(LoadInitrd(memory, kernel, ImageFile::FromBytes({})).ok());
    EXPECT_FALSE(LoadInitrd(memory, kernel, ImageFile::FromBytes(Fill(65 << 20, 0))).ok());
}

TEST(BootParameters, ZeroPageSaysWhereEverythingIs) {
    const GuestMemory memory = Memory(4096);
    const auto kernel = LoadKernel(memory, ImageFile::FromBytes(BzImage())).value();
    ASSERT_TRUE(
        WriteBootParameters(memory, kernel, "quiet root=/dev/vda", LoadedInitrd{0x300'0000, 77})
            .ok());
    EXPECT_EQ(memory.Load<std::uint32_t>(kZeroPage + 0x202), 0x5372'6448U);
    EXPECT_EQ(memory.Load<std::uint8_t>(kZeroPage + 0x210), 0xff);
    EXPECT_EQ(memory.Load<std::uint32_t>(kZeroPage + 0x218), 0x300'0000U);
    EXPECT_EQ(memory.Load<std::uint32_t>(kZeroPage + 0x21c), 77U);
    EXPECT_EQ(memory.Load<std::uint32_t>(kZeroPage + 0x228), kCommandLine);
    EXPECT_EQ(memory.Load<std::uint64_t>(kZeroPage + 0x070), kRsdp);
    std::array<char, 20> line = {};
    ASSERT_TRUE(memory.Read(kCommandLine, std::as_writable_bytes(std::span(line))));
    EXPECT_STREQ(line.data(), "quiet root=/dev/vda");
    // Low memory, what is reserved below 1 MiB, and the rest around the gap.
    ASSERT_EQ(memory.Load<std::uint8_t>(kZeroPage + 0x1e8), 4);
    const auto entry = [&](std::size_t index) {
        const GuestAddress at = kZeroPage + 0x2d0 + index * 20;
        return std::tuple(
            *memory.Load<std::uint64_t>(at),
            *memory.Load<std::uint64_t>(at + 8),
            *memory.Load<std::uint32_t>(at + 16));
    };
    EXPECT_EQ(entry(0), std::tuple(0U, 0x9'fc00U, 1U));
    EXPECT_EQ(entry(1), std::tuple(0x9'fc00U, 0x6'0400U, 2U));
    EXPECT_EQ(entry(2), std::tuple(0x10'0000U, kMmioGapStart - 0x10'0000, 1U));
    EXPECT_EQ(entry(3), std::tuple(kMmioGapEnd, std::uint64_t{1} << 30, 1U));
}

TEST(BootParameters, PvhStartInfoSaysTheSame) {
    const GuestMemory memory = Memory(64);
    LoadedKernel kernel;
    kernel.protocol = Protocol::kPvh;
    ASSERT_TRUE(WriteBootParameters(memory, kernel, "", LoadedInitrd{0x300'0000, 77}).ok());
    EXPECT_EQ(memory.Load<std::uint32_t>(kPvhStartInfo), 0x336e'c578U);
    EXPECT_EQ(memory.Load<std::uint32_t>(kPvhStartInfo + 12), 1U);
    EXPECT_EQ(memory.Load<std::uint64_t>(kPvhStartInfo + 24), kCommandLine);
    EXPECT_EQ(memory.Load<std::uint64_t>(kPvhStartInfo + 32), kRsdp);
    EXPECT_EQ(memory.Load<std::uint32_t>(kPvhStartInfo + 48), 3U);
    EXPECT_EQ(memory.Load<std::uint64_t>(kPvhModules), 0x300'0000U);
}

TEST(BootParameters, CommandLineHasItsLimits) {
    const GuestMemory memory = Memory(64);
    const LoadedKernel kernel;
    EXPECT_TRUE(WriteBootParameters(memory, kernel, std::string(2047, 'a'), {}).ok());
    EXPECT_FALSE(WriteBootParameters(memory, kernel, std::string(2048, 'a'), {}).ok());
    EXPECT_FALSE(WriteBootParameters(memory, kernel, std::string("a\0b", 3), {}).ok());
}

unsigned Sum(std::span<const std::byte> bytes) {
    return std::accumulate(
               bytes.begin(),
               bytes.end(),
               0U,
               [](unsigned sum, std::byte byte) { return sum + std::to_integer<unsigned>(byte); }) &
           0xff;
}

constexpr std::array kWindows = {
    AcpiMmioDevice{0xd000'0000, 0x1000, 5}, AcpiMmioDevice{0xd000'1000, 0x1000, 6}};

TEST(Acpi, TablesAreChainedAndAddUpToZero) {
    const GuestMemory memory = Memory(64);
    ASSERT_TRUE(WriteAcpiTables(memory, {.vcpu_count = 4, .virtio = kWindows}).ok());
    std::vector<std::byte> rsdp(36);
    ASSERT_TRUE(memory.Read(kRsdp, rsdp));
    EXPECT_EQ(Sum(std::span(rsdp).first(20)), 0U);
    EXPECT_EQ(Sum(rsdp), 0U);
    const auto table_at = [&](GuestAddress at) {
        std::vector<std::byte> table(*memory.Load<std::uint32_t>(at + 4));
        EXPECT_TRUE(memory.Read(at, table));
        EXPECT_EQ(Sum(table), 0U);
        return std::string(reinterpret_cast<const char*>(table.data()), 4);
    };
    const auto xsdt = *memory.Load<std::uint64_t>(kRsdp + 24);
    EXPECT_EQ(table_at(xsdt), "XSDT");
    const auto fadt = *memory.Load<std::uint64_t>(xsdt + 36);
    EXPECT_EQ(table_at(fadt), "FACP");
    EXPECT_EQ(table_at(*memory.Load<std::uint64_t>(xsdt + 44)), "APIC");
    EXPECT_EQ(table_at(*memory.Load<std::uint64_t>(fadt + 140)), "DSDT");
}

TEST(Acpi, LargestMachineFits) {
    const GuestMemory memory = Memory(64);
    const std::vector<AcpiMmioDevice> windows(19, AcpiMmioDevice{0xd000'0000, 0x1000, 5});
    EXPECT_TRUE(WriteAcpiTables(memory, {.vcpu_count = 32, .virtio = windows}).ok());
}

// Intel's compiler takes the tables apart and finds nothing to complain of.
TEST(Acpi, DisassemblerUnderstandsTheTables) {
    if (std::system("iasl -v >/dev/null 2>&1") != 0) {  // NOLINT(concurrency-mt-unsafe)
        GTEST_SKIP() << "NOT TESTED: there is no iasl (package acpica-tools)";
    }
    const std::filesystem::path directory =
        std::filesystem::temp_directory_path() / ("acpi-test-" + std::to_string(::getpid()));
    std::filesystem::create_directories(directory);
    const AcpiOptions options = {.vcpu_count = 2, .virtio = kWindows};
    const std::array<std::pair<const char*, std::vector<std::byte>>, 3> tables = {{
        {"dsdt", MakeDsdt(options)},
        {"facp", MakeFadt(options, 0x1234)},
        {"apic", MakeMadt(options)},
    }};
    for (const auto& [name, table] : tables) {
        const std::string path = directory / name;
        std::ofstream(path + ".dat", std::ios::binary)
            .write(
                reinterpret_cast<const char*>(table.data()),
                static_cast<std::streamsize>(table.size()));
        // Apart, and what came out together again: the same bytes.
        const std::string command = "cd " + directory.string() + " && iasl -d " + path +
                                    ".dat >log 2>&1 && mv " + path + ".dsl again.dsl && iasl " +
                                    "-we -p again again.dsl >>log 2>&1";
        EXPECT_EQ(std::system(command.c_str()), 0) << name;  // NOLINT(concurrency-mt-unsafe)
        std::ifstream log(directory / "log");
        const std::string text((std::istreambuf_iterator<char>(log)), {});
        EXPECT_EQ(text.find("Invalid"), std::string::npos) << text;
        EXPECT_EQ(text.find("ncorrect"), std::string::npos) << text;
        if (std::string_view(name) == "dsdt") {
            std::ifstream source(directory / "again.dsl");
            const std::string asl((std::istreambuf_iterator<char>(source)), {});
            EXPECT_NE(asl.find("EisaId (\"PNP0501\")"), std::string::npos) << asl;
            EXPECT_NE(asl.find("\"LNRO0005\""), std::string::npos) << asl;
            EXPECT_NE(asl.find("0xD0001000"), std::string::npos) << asl;
        }
    }
    std::filesystem::remove_all(directory);
}

kvm_cpuid_entry2 Leaf(std::uint32_t function, std::uint32_t eax, std::uint32_t ebx) {
    kvm_cpuid_entry2 entry = {};
    entry.function = function;
    entry.eax = eax;
    entry.ebx = ebx;
    return entry;
}

const kvm_cpuid_entry2& Find(
    const std::vector<kvm_cpuid_entry2>& entries, std::uint32_t function, std::uint32_t index) {
    for (const auto& entry : entries) {
        if (entry.function == function && entry.index == index) {
            return entry;
        }
    }
    ADD_FAILURE() << "no leaf " << function;
    return entries.front();
}

TEST(Cpuid, TellsTheGuestsTopologyNotTheHosts) {
    const auto cpuid = MakeCpuid(
        {Leaf(1, 0, 0xff00'0800), Leaf(0xb, 99, 99), Leaf(0x1f, 99, 99), Leaf(0xa, 1, 2)},
        3,
        {.vcpu_count = 4, .smt = true});
    EXPECT_EQ(Find(cpuid, 1, 0).ebx, 0x0304'0800U);
    EXPECT_NE(Find(cpuid, 1, 0).ecx & 1U << 31, 0U);
    EXPECT_NE(Find(cpuid, 1, 0).ecx & 1U << 24, 0U);
    EXPECT_EQ(Find(cpuid, 0xa, 0).eax, 0U);
    EXPECT_EQ(Find(cpuid, 0xb, 0).eax, 1U);
    EXPECT_EQ(Find(cpuid, 0xb, 0).ebx, 2U);
    EXPECT_EQ(Find(cpuid, 0xb, 0).edx, 3U);
    EXPECT_EQ(Find(cpuid, 0xb, 1).eax, 2U);
    EXPECT_EQ(Find(cpuid, 0xb, 1).ebx, 4U);
    for (const auto& entry : cpuid) {
        EXPECT_NE(entry.function, 0x1fU);
    }
}

}  // namespace
}  // namespace hearth::vmm::boot
