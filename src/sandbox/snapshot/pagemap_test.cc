#include "sandbox/snapshot/pagemap.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace hearth::snapshot {
namespace {

constexpr int kGuardInstall = 102;  // MADV_GUARD_INSTALL of Linux 6.13

TEST(Pagemap, TheScanAndItsStandInFindTheSamePages) {
    constexpr uint64_t kPages = 4'096;
    void* mapped = ::mmap(
        nullptr, kPages * kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(mapped, MAP_FAILED);
    auto* bytes = static_cast<volatile char*>(mapped);
    (void)::madvise(mapped, kPages * kPageBytes, MADV_NOHUGEPAGE);
    AddressRanges expected;
    const auto start = reinterpret_cast<uint64_t>(mapped);
    for (uint64_t page = 0; page < kPages; page += page % 7 + 1) {
        bytes[page * kPageBytes] = 1;
        expected.Add(start + page * kPageBytes, start + (page + 1) * kPageBytes);
    }
    const Area area{
        .start = start, .end = start + kPages * kPageBytes, .protection = PROT_READ | PROT_WRITE};
    for (const bool fast : {true, false}) {
        auto pagemap = Pagemap::Open(::getpid(), fast);
        ASSERT_TRUE(pagemap.ok());
        const auto found = pagemap->ScanOwn(area, true);
        ASSERT_TRUE(found.ok());
        EXPECT_EQ(found->pages.list(), expected.list()) << (fast ? "scan" : "entries");
        EXPECT_TRUE(found->guards.list().empty());
    }
    ::munmap(mapped, kPages * kPageBytes);
}

TEST(Pagemap, GuardsAreFound) {
    void* mapped =
        ::mmap(nullptr, 8 * kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(mapped, MAP_FAILED);
    const auto start = reinterpret_cast<uint64_t>(mapped);
    if (::madvise(mapped, 2 * kPageBytes, kGuardInstall) != 0) {
        ::munmap(mapped, 8 * kPageBytes);
        GTEST_SKIP() << "this kernel has no guard pages";
    }
    static_cast<volatile char*>(mapped)[5 * kPageBytes] = 1;
    const Area area{
        .start = start, .end = start + 8 * kPageBytes, .protection = PROT_READ | PROT_WRITE};
    auto pagemap = Pagemap::Open(::getpid());
    ASSERT_TRUE(pagemap.ok());
    const auto found = pagemap->ScanOwn(area, true);
    ASSERT_TRUE(found.ok());
    ASSERT_EQ(found->guards.list().size(), 1U);
    EXPECT_EQ(found->guards.list()[0], std::pair(start, start + 2 * kPageBytes));
    ASSERT_EQ(found->pages.list().size(), 1U);
    EXPECT_EQ(found->pages.list()[0].first, start + 5 * kPageBytes);
    ::munmap(mapped, 8 * kPageBytes);
}

}  // namespace
}  // namespace hearth::snapshot
