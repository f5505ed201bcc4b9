#pragma once

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

// For tests: kernels of a few instructions in 64-bit code, as ELF files.
namespace hearth::vmm::testing {

inline constexpr std::uint64_t kTinyKernelAddress = 0x10'0000;

// mov dx,0x3f8; mov al,'h'; out dx,al; mov al,'i'; out dx,al; mov al,0xfe; out 0x64,al; jmp self
inline const std::vector<std::uint8_t> kSayHiAndReset = {
    0x66, 0xba, 0xf8, 0x03, 0xb0, 'h', 0xee, 0xb0, 'i', 0xee, 0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe};

// mov dx,0x3f8; mov al,[rsi+0x1fe]; out dx,al; mov al,[rsi+0x1ff]; out dx,al; reset as above
inline const std::vector<std::uint8_t> kSayBootFlagAndReset = {
    0x66, 0xba, 0xf8, 0x03, 0x8a, 0x86, 0xfe, 0x01, 0x00, 0x00, 0xee, 0x8a,
    0x86, 0xff, 0x01, 0x00, 0x00, 0xee, 0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe};

// ud2, with no interrupt descriptors: the exception, the double fault and so on.
inline const std::vector<std::uint8_t> kTripleFault = {0x0f, 0x0b};

// jmp self
inline const std::vector<std::uint8_t> kSpin = {0xeb, 0xfe};

// mov dx,0x3f8; again: out dx,al; jmp again
inline const std::vector<std::uint8_t> kSpeakForever = {0x66, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xfd};

// mov al,0xfe; again: out 0x64,al; jmp again
inline const std::vector<std::uint8_t> kResetForever = {0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfc};

// mov dx,0x3fd; again: in al,dx; test al,1; jz again; mov dx,0x3f8; in al,dx; out dx,al; reset
inline const std::vector<std::uint8_t> kEchoOneByteAndReset = {
    0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xfb, 0x66, 0xba,
    0xf8, 0x03, 0xec, 0xee, 0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe};

// Waits for a byte at the serial port, says the one at kTellTaleAddress and resets.
inline constexpr std::uint64_t kTellTaleAddress = 0x25'0000;
inline const std::vector<std::uint8_t> kTellTaleAndReset = {
    0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xfb, 0x66, 0xba, 0xf8, 0x03, 0xec,
    0x8a, 0x04, 0x25, 0x00, 0x00, 0x25, 0x00, 0xee, 0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe};

inline std::vector<std::byte> TinyKernelImage(const std::vector<std::uint8_t>& code) {
    Elf64_Ehdr header = {};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_EXEC;
    header.e_machine = EM_X86_64;
    header.e_version = EV_CURRENT;
    header.e_entry = kTinyKernelAddress;
    header.e_phoff = sizeof(header);
    header.e_ehsize = sizeof(header);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 1;
    Elf64_Phdr segment = {};
    segment.p_type = PT_LOAD;
    segment.p_offset = sizeof(header) + sizeof(segment);
    segment.p_paddr = kTinyKernelAddress;
    segment.p_vaddr = kTinyKernelAddress;
    segment.p_filesz = code.size();
    segment.p_memsz = code.size();
    std::vector<std::byte> image(segment.p_offset + code.size());
    std::memcpy(image.data(), &header, sizeof(header));
    std::memcpy(image.data() + sizeof(header), &segment, sizeof(segment));
    std::memcpy(image.data() + segment.p_offset, code.data(), code.size());
    return image;
}

// The same with two MiB behind the code, in whole pages of the file: one that is worth mapping.
inline std::vector<std::byte> LargeKernelImage(
    const std::vector<std::uint8_t>& code, char tell_tale) {
    constexpr std::size_t kContent = 4096;
    constexpr std::size_t kContentBytes = (2 << 20) + 100;
    std::vector<std::byte> image = TinyKernelImage(code);
    image.resize(kContent + kContentBytes);
    std::memcpy(image.data() + kContent, code.data(), code.size());
    image[kContent + kTellTaleAddress - kTinyKernelAddress] = static_cast<std::byte>(tell_tale);
    Elf64_Phdr segment = {};
    std::memcpy(&segment, image.data() + sizeof(Elf64_Ehdr), sizeof(segment));
    segment.p_offset = kContent;
    segment.p_filesz = kContentBytes;
    segment.p_memsz = kContentBytes;
    std::memcpy(image.data() + sizeof(Elf64_Ehdr), &segment, sizeof(segment));
    return image;
}

inline std::string WriteImage(
    const std::filesystem::path& directory, const std::vector<std::byte>& image) {
    const std::string path = directory / "vmlinux";
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(
        reinterpret_cast<const char*>(image.data()), static_cast<std::streamsize>(image.size()));
    return path;
}

inline std::string WriteTinyKernel(
    const std::filesystem::path& directory, const std::vector<std::uint8_t>& code) {
    return WriteImage(directory, TinyKernelImage(code));
}

}  // namespace hearth::vmm::testing
