#include "sandbox/snapshot/elf.h"

#include "os/fd.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <random>
#include <string>

namespace hearth::snapshot {
namespace {

// The C library that this test uses, and where it is.
std::pair<std::string, uint64_t> OwnLibrary() {
    std::pair<std::string, uint64_t> found;
    ::dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void* into) {
            if (std::string(info->dlpi_name).find("libc.so") != std::string::npos) {
                *static_cast<std::pair<std::string, uint64_t>*>(into) = {
                    info->dlpi_name, info->dlpi_addr};
            }
            return 0;
        },
        &found);
    return found;
}

TEST(ElfFile, FindsAnExportedFunctionWhereItIs) {
    const auto [path, load] = OwnLibrary();
    if (path.empty()) {
        GTEST_SKIP() << "no shared C library";
    }
    const os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const auto elf = ElfFile::Open(file.get());
    ASSERT_TRUE(elf.has_value());
    EXPECT_EQ(elf->BuildId().size(), 20U);
    const auto value = elf->FindFunction("gnu_get_libc_version");
    ASSERT_TRUE(value.has_value());
    EXPECT_EQ(
        reinterpret_cast<uint64_t>(::dlsym(RTLD_DEFAULT, "gnu_get_libc_version")), load + *value);
    EXPECT_EQ(elf->FindFunction("no_such_function"), std::nullopt);
}

TEST(ElfFile, DamagedFilesHaveNothingAndDoNoHarm) {
    const auto [path, load] = OwnLibrary();
    const os::Fd file(::open(path.empty() ? "/proc/self/exe" : path.c_str(), O_RDONLY));
    std::string bytes(256 << 10, '\0');
    const ssize_t got = ::read(file.get(), bytes.data(), bytes.size());
    ASSERT_GT(got, 4096);
    bytes.resize(static_cast<size_t>(got));
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const os::Fd damaged(::memfd_create("damaged", MFD_CLOEXEC));
    for (int i = 0; i < 300; ++i) {
        std::string copy = bytes;
        for (int changes = 0; changes < 4; ++changes) {
            // Mostly in the head and the program headers.
            copy[random() % (changes < 3 ? 1024 : copy.size())] = static_cast<char>(random());
        }
        ASSERT_EQ(::ftruncate(damaged.get(), 0), 0);
        ASSERT_EQ(::pwrite(damaged.get(), copy.data(), random() % copy.size(), 0) >= 0, true);
        if (const auto elf = ElfFile::Open(damaged.get())) {
            (void)elf->BuildId();
            (void)elf->FindFunction("RAND_poll");
            (void)elf->LoadAddress(0x7f0000000000, 0x1000);
        }
    }
}

}  // namespace
}  // namespace hearth::snapshot
