#include "sandbox/snapshot/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <random>

namespace hearth::snapshot {
namespace {

using testing::HasSubstr;

constexpr uint64_t kText = 0x400000;
constexpr uint64_t kHeap = 0x500000;
constexpr uint64_t kVdsoAt = 0x7fff00004000;

// A small image with something of every kind.
Image MakeImage() {
    Image image;
    image.machine.kernel_release = "6.18.0";
    image.machine.boot_id = "0e5a";
    image.machine.cpuid = {{.leaf = 1, .subleaf = 0, .registers = {1, 2, 3, 4}}};
    image.machine.xcr0 = 7;
    image.machine.xsave_bytes = 832;
    image.machine.page_bytes = kPageBytes;
    image.process.pid = 2;
    image.process.working_directory = "/var/task";
    image.process.umask = 022;
    image.process.tmp_layer = "tmp-1";
    image.files = {{.path = "/usr/bin/runtime", .inode = 5, .build_id = "id"}};
    image.memory.exe = 0;
    image.memory.brk = image.memory.start_brk = kHeap;
    image.memory.auxv = {6, 4096, 0, 0};
    image.areas = {
        {.start = kText,
         .end = kText + 4 * kPageBytes,
         .protection = PROT_READ | PROT_EXEC,
         .kind = AreaKind::kPrivateFile,
         .file = 0,
         .file_offset = kPageBytes},
        {.start = kHeap, .end = kHeap + 16 * kPageBytes, .protection = PROT_READ | PROT_WRITE},
        {.start = kVdsoAt - 2 * kPageBytes,
         .end = kVdsoAt,
         .protection = PROT_READ,
         .kind = AreaKind::kVvar,
         .name = "[vvar]"},
        {.start = kVdsoAt,
         .end = kVdsoAt + 2 * kPageBytes,
         .protection = PROT_READ | PROT_EXEC,
         .kind = AreaKind::kVdso,
         .name = "[vdso]"}};
    image.runs = {
        {.address = kText + kPageBytes, .pages = 1},
        {.address = kHeap, .pages = 2},
        {.address = kHeap + 4 * kPageBytes, .pages = 1}};
    image.guards = {{.address = kHeap + 15 * kPageBytes, .pages = 1}};
    for (const int32_t tid : {2, 3}) {
        Thread thread;
        thread.tid = tid;
        thread.registers[kCs] = 0x33;
        thread.registers[kSs] = 0x2b;
        thread.registers[kOrigRax] = UINT64_MAX;
        thread.registers[kRip] = kText;
        thread.xstate.assign(832, '\0');
        thread.xstate[464] = 7;
        thread.rseq_address = kHeap;
        thread.rseq_bytes = 32;
        thread.name = "worker";
        image.threads.push_back(thread);
    }
    using enum OpenFileKind;
    image.open_files.resize(11);
    image.open_files[0] = {.kind = kStandIn, .stand_in = 1};
    image.open_files[1] = {.kind = kDevice, .flags = 2, .path = "/dev/null"};
    image.open_files[2] = {.kind = kPath, .path = "/etc/passwd", .offset = 7};
    image.open_files[3] = {
        .kind = kPipe, .flags = 0, .pair = 1, .bytes = "held", .pipe_bytes_max = 65536};
    image.open_files[4] = {.kind = kPipe, .flags = 1, .pair = 1, .pipe_bytes_max = 65536};
    image.open_files[5] = {
        .kind = kSocketPair, .flags = 2, .pair = 2, .domain = AF_UNIX, .type = SOCK_STREAM};
    image.open_files[6] = {.kind = kDeadSocket, .flags = 2, .domain = AF_INET, .type = SOCK_STREAM};
    image.open_files[7] = {
        .kind = kFreshSocket,
        .domain = AF_INET,
        .type = SOCK_STREAM,
        .address = std::string(16, 'a'),
        .backlog = 5,
        .socket_options = kReuseAddress};
    image.open_files[8] = {.kind = kEventFd, .event_count = 3, .event_semaphore = true};
    image.open_files[9] = {.kind = kTimerFd, .timer_clock = 1, .timer_value_ns = 5};
    image.open_files[10] = {.kind = kEpoll, .members = {{.number = 3, .events = 1, .data = 9}}};
    for (int32_t i = 0; i < 11; ++i) {
        image.descriptors.push_back({.number = i, .open_file = static_cast<uint32_t>(i)});
    }
    image.entropy_calls = {{.kind = EntropyKind::kRandPoll, .address = kText + 16}};
    return image;
}

TEST(Image, WhatWasEncodedDecodesToTheSame) {
    Image image = MakeImage();
    const auto head = Encode(image);
    ASSERT_TRUE(head.ok()) << head.error().message();
    EXPECT_EQ(head->size() % kPageBytes, 0U);
    EXPECT_EQ(image.page_count(), 4U);
    EXPECT_EQ(image.runs[0].offset, head->size());
    auto decoded = Decode(*head, head->size() + 4 * kPageBytes);
    ASSERT_TRUE(decoded.ok()) << decoded.error().message();
    EXPECT_EQ(decoded->open_files[3].bytes, "held");
    EXPECT_EQ(decoded->machine, image.machine);
    const auto again = Encode(*decoded);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(*again, *head);
}

TEST(Image, EveryTruncationAndEveryDamagedByteIsRefused) {
    Image image = MakeImage();
    const auto head = Encode(image);
    ASSERT_TRUE(head.ok());
    const uint64_t file_bytes = head->size() + 4 * kPageBytes;
    for (size_t bytes = 0; bytes < head->size(); bytes += 7) {
        EXPECT_FALSE(Decode(head->substr(0, bytes), file_bytes).ok());
    }
    for (size_t i = 0; i < head->size(); ++i) {
        std::string damaged = *head;
        damaged[i] = static_cast<char>(damaged[i] ^ 0x40);
        EXPECT_FALSE(Decode(damaged, file_bytes).ok()) << "byte " << i;
    }
    EXPECT_FALSE(Decode(*head, file_bytes - 1).ok());
    EXPECT_FALSE(Decode(*head, file_bytes + kPageBytes).ok());
}

// Damage that carries a right checksum, as a hostile writer would make it: every outcome but a
// crash is fine, and what is accepted obeys the rules, since Encode checks them all again.
TEST(Image, HostileMetadataDoesNoHarm) {
    Image image = MakeImage();
    const auto head = Encode(image);
    ASSERT_TRUE(head.ok());
    const uint64_t file_bytes = head->size() + 4 * kPageBytes;
    uint64_t metadata_bytes = 0;
    std::memcpy(&metadata_bytes, head->data() + 16, sizeof(metadata_bytes));
    const std::string metadata = head->substr(kPageBytes, metadata_bytes);
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    int accepted = 0;
    for (int i = 0; i < 20'000; ++i) {
        std::string hostile = metadata;
        for (unsigned changes = random() % 3 + 1; changes > 0; --changes) {
            const std::array<char, 6> bytes = {
                '\0', '\1', '\x7f', '\xff', '\x80', static_cast<char>(random())};
            hostile[random() % hostile.size()] = bytes[random() % bytes.size()];
        }
        auto decoded = Decode(SealHead(hostile, file_bytes), file_bytes);
        if (decoded.ok()) {
            ++accepted;
            EXPECT_TRUE(Encode(*decoded).ok());
        }
    }
    EXPECT_GT(accepted, 0);
}

struct Rule {
    const char* message;
    std::function<void(Image&)> breaks;
};

TEST(Image, EachRuleHasItsMessage) {
    const std::vector<Rule> rules = {
        {"is out of range", [](Image& i) { i.areas[0].start = 0; }},
        {"is out of range", [](Image& i) { i.areas[3].end = kUserEnd + kPageBytes; }},
        {"is out of range", [](Image& i) { i.areas[1].end += 1; }},
        {"overlaps", [](Image& i) { i.areas[1].start = kText; }},
        {"protection", [](Image& i) { i.areas[1].protection = 8; }},
        {"unknown kind", [](Image& i) { i.areas[1].kind = static_cast<AreaKind>(9); }},
        {"unknown flags", [](Image& i) { i.areas[1].flags = kAreaFlagsAll + 1; }},
        {"not there", [](Image& i) { i.areas[0].file = 1; }},
        {"has a file and should not", [](Image& i) { i.areas[1].file = 0; }},
        {"writable and shared",
         [](Image& i) {
             i.areas[0].kind = AreaKind::kSharedFile;
             i.areas[0].protection = PROT_WRITE;
         }},
        {"no vdso", [](Image& i) { i.areas.pop_back(); }},
        {"does not stand before it", [](Image& i) { i.areas[2].end -= kPageBytes; }},
        {"not in one area", [](Image& i) { i.runs[2].pages = 100; }},
        {"not in one area", [](Image& i) { i.runs[2].address = 0x900000; }},
        {"out of order", [](Image& i) { i.runs[2].address = kHeap; }},
        {"out of order", [](Image& i) { i.runs[0].pages = 0; }},
        {"too long", [](Image& i) { i.runs[0].pages = UINT64_MAX / 4096; }},
        {"without pages of its own", [](Image& i) { i.runs.push_back({kVdsoAt, 1, 0}); }},
        {"loses its pages", [](Image& i) { i.areas[1].flags = kWipeOnFork; }},
        {"not in one anonymous", [](Image& i) { i.guards[0].address = kText; }},
        {"leader is not the first", [](Image& i) { i.threads[0].tid = 9; }},
        {"is there twice", [](Image& i) { i.threads[1].tid = 2; }},
        {"thread id", [](Image& i) { i.threads[1].tid = -1; }},
        {"segments", [](Image& i) { i.threads[1].registers[kCs] = 0x10; }},
        {"is not the user's", [](Image& i) { i.threads[1].registers[kRip] = 1ULL << 63; }},
        {"is not the user's", [](Image& i) { i.threads[1].registers[kGsBase] = kUserEnd; }},
        {"not ready", [](Image& i) { i.threads[1].registers[kOrigRax] = 0; }},
        {"vector registers", [](Image& i) { i.threads[1].xstate.resize(100); }},
        {"does not have", [](Image& i) { i.threads[1].xstate[512] = '\x80'; }},
        {"rseq area", [](Image& i) { i.threads[1].rseq_bytes = 8192; }},
        {"bad name", [](Image& i) { i.threads[1].name = "sixteen letters!"; }},
        {"0 threads", [](Image& i) { i.threads.clear(); }},
        {"out of order", [](Image& i) { i.descriptors[1].number = 0; }},
        {"out of order or range", [](Image& i) { i.descriptors[10].number = 65'536; }},
        {"no open file", [](Image& i) { i.descriptors[1].open_file = 11; }},
        {"without descriptor", [](Image& i) { i.descriptors.pop_back(); }},
        {"is no descriptor", [](Image& i) { i.open_files[10].members[0].number = 99; }},
        {"too many ends", [](Image& i) { i.open_files[4].flags = 0; }},
        {"of two kinds", [](Image& i) { i.open_files[5].pair = 1; }},
        {"bad path", [](Image& i) { i.open_files[2].path = "etc/passwd"; }},
        {"bad path", [](Image& i) { i.open_files[0].path = "/x"; }},
        {"an open file has a timer", [](Image& i) { i.open_files[0].timer_value_ns = 1; }},
        {"absolute", [](Image& i) { i.files[0].path = std::string("/a\0b", 4); }},
        {"program is not among", [](Image& i) { i.memory.exe = kNoFile; }},
        {"no end", [](Image& i) { i.memory.auxv = {1, 2}; }},
        {"ends before", [](Image& i) { i.memory.brk = kHeap - 1; }},
        {"layer", [](Image& i) { i.process.tmp_layer = "../x"; }},
        {"umask", [](Image& i) { i.process.umask = 01000; }},
        {"xsave area", [](Image& i) { i.machine.xsave_bytes = 100; }},
        {"executable", [](Image& i) { i.entropy_calls[0].address = kHeap; }},
    };
    for (const Rule& rule : rules) {
        Image image = MakeImage();
        rule.breaks(image);
        const auto head = Encode(image);
        ASSERT_FALSE(head.ok()) << rule.message;
        EXPECT_THAT(head.error().message(), HasSubstr(rule.message));
    }
}

TEST(Image, DamagedPagesAreFound) {
    Image image = MakeImage();
    image.process.tmp_layer.clear();
    std::string pages(4 * kPageBytes, 'x');
    PagesChecksum checksum;
    checksum.Add(pages);
    image.pages_checksum = checksum.value();
    const auto head = Encode(image);
    ASSERT_TRUE(head.ok());
    const int file = ::memfd_create("image", MFD_CLOEXEC);
    const std::string all = *head + pages;
    ASSERT_EQ(::write(file, all.data(), all.size()), static_cast<ssize_t>(all.size()));
    const auto read = ReadImage(file);
    ASSERT_TRUE(read.ok()) << read.error().message();
    EXPECT_TRUE(CheckPages(file, *read).ok());
    ASSERT_EQ(::pwrite(file, "y", 1, static_cast<off_t>(head->size() + 5'000)), 1);
    EXPECT_FALSE(CheckPages(file, *read).ok());
    ASSERT_EQ(::ftruncate(file, static_cast<off_t>(all.size() - 1)), 0);
    EXPECT_FALSE(ReadImage(file).ok());
    ::close(file);
}

}  // namespace
}  // namespace hearth::snapshot
