#include "sandbox/snapshot/template.h"

#include "sandbox/snapshot/template_plan.h"
#include "sandbox/snapshot/testing/round_trip.h"
#include "sandbox/snapshot/working_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

// Round trips: a living process, its image, a template, clones that go on where it was. They need
// root's rights, as the dumper's tests do.
namespace hearth::snapshot {
namespace {

using testing::StartsWith;
using testing_support::Original;
using testing_support::Picture;
using testing_support::Pool;
using testing_support::Restore;
using testing_support::Restored;
using testing_support::TakePicture;

std::string TargetProgram() {
    std::string self(4096, '\0');
    const ssize_t got = ::readlink("/proc/self/exe", self.data(), self.size());
    self.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    return self.substr(0, self.rfind('/')) + "/testing/snapshot_target";
}

// A template of a program that has said "ready".
struct Prepared {
    std::string error;
    Picture picture;
    std::unique_ptr<Template> made;
};

Prepared Prepare(std::vector<std::string> argv, TemplateOptions options = {}) {
    Prepared prepared;
    {
        const Pool pool;
        const Original original(pool, std::move(argv));
        if (original.talk().ReadLine() != "ready") {
            prepared.error = "the program does not start";
            return prepared;
        }
        prepared.picture = TakePicture(original);
        if (!prepared.picture.error.empty()) {
            prepared.error = prepared.picture.error;
            return prepared;
        }
    }
    const os::Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    options.image_fd = prepared.picture.file.get();
    options.root_fd = root.get();
    auto made = Template::Start(*prepared.picture.image, options);
    if (!made.ok()) {
        prepared.error = made.error().message();
        return prepared;
    }
    prepared.made = *std::move(made);
    return prepared;
}

int SoakCount(int usual) {
    const char* const soak = ::getenv("HEARTH_SOAK_COUNT");
    return soak == nullptr ? usual : std::atoi(soak);
}

std::string ReadText(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

TEST(FindHole, IsTheMiddleOfTheLargestGap) {
    EXPECT_EQ(FindHole({{0x10000, kUserEnd}}, 4096), 0U);
    const uint64_t hole = FindHole({{0x400000, 0x500000}, {0x7f0000000000, 0x7f0000001000}}, 8192);
    EXPECT_GT(hole, 0x500000U);
    EXPECT_LT(hole, 0x7f0000000000U);
    EXPECT_EQ(hole % kPageBytes, 0U);
    // Overlapping and unsorted, with the only room at the very start.
    EXPECT_GE(FindHole({{0x2000000, kUserEnd}, {0x1000000, 0x3000000}}, 4096), kUserStart);
}

TEST(Template, AProcessOfOneThreadGoesOnInClones) {
    Prepared prepared = Prepare({TargetProgram(), "heap"});
    ASSERT_EQ(prepared.error, "");
    for (int i = 0; i < 3; ++i) {
        const Pool pool;
        ASSERT_TRUE(pool.ok());
        const Restored restored = Restore(*prepared.made, pool);
        ASSERT_EQ(restored.error, "");
        // Each starts from the same state, as pid 2.
        EXPECT_THAT(restored.talk.Ask('p'), StartsWith("ok 1 2 "));
        EXPECT_THAT(restored.talk.Ask('c'), StartsWith("ok 2 2 "));
        EXPECT_THAT(restored.talk.Ask('b'), StartsWith("ok 3 2 "));
        EXPECT_THAT(restored.talk.Ask('c'), StartsWith("ok 4 2 "));
    }
}

TEST(Template, ThreadsDescriptorsAndTimersGoOnInClones) {
    Prepared prepared = Prepare({TargetProgram(), "heap", "threads", "files", "wipe"});
    ASSERT_EQ(prepared.error, "");
    std::set<std::string> random;
    for (int i = 0; i < 10; ++i) {
        const Pool pool(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS);
        ASSERT_TRUE(pool.ok());
        const Restored restored = Restore(*prepared.made, pool);
        ASSERT_EQ(restored.error, "");
        EXPECT_THAT(restored.talk.Ask('w'), StartsWith("ok 1 2 "));
        EXPECT_THAT(restored.talk.Ask('c'), StartsWith("ok 2 2 "));
        EXPECT_THAT(restored.talk.Ask('b'), StartsWith("ok 3 2 "));
        EXPECT_THAT(restored.talk.Ask('c'), StartsWith("ok 4 2 "));
        const std::string line = restored.talk.Ask('r');
        random.insert(line.substr(line.rfind(' ')));
    }
    EXPECT_EQ(random.size(), 10U);
}

TEST(Template, CloneHasOnlyTheImagesDescriptorsAndAlmostOnlyItsMemory) {
    Prepared prepared = Prepare({TargetProgram(), "threads", "files"});
    ASSERT_EQ(prepared.error, "");
    const Pool pool;
    const Restored restored = Restore(*prepared.made, pool);
    ASSERT_EQ(restored.error, "");
    EXPECT_THAT(restored.talk.Ask('c'), StartsWith("ok "));
    const std::string base = fmt::format("/proc/{}", restored.clone.pid);
    for (const Descriptor& descriptor : prepared.picture.image->descriptors) {
        EXPECT_EQ(::access(fmt::format("{}/fd/{}", base, descriptor.number).c_str(), F_OK), 0)
            << descriptor.number;
    }
    std::string count =
        fmt::format("ls {0}/fd | wc -l; ls {0}/task | wc -l; cat {0}/comm; readlink {0}/exe", base);
    FILE* pipe = ::popen(count.c_str(), "r");
    std::string said(512, '\0');
    said.resize(::fread(said.data(), 1, said.size(), pipe));
    ::pclose(pipe);
    EXPECT_EQ(
        said,
        fmt::format(
            "{}\n11\nsnapshot me\n{}\n",
            prepared.picture.image->descriptors.size(),
            TargetProgram()));
    EXPECT_EQ(
        ReadText(base + "/cmdline"),
        std::string(TargetProgram()) + '\0' + "threads" + '\0' + "files" + '\0');
    // Of the restorer only the gate and the signal frames are left: two areas.
    const std::string maps = ReadText(base + "/maps");
    const auto lines = static_cast<size_t>(std::count(maps.begin(), maps.end(), '\n'));
    EXPECT_LE(lines, prepared.picture.image->areas.size() + 3);
}

TEST(Template, CloneLosesItsRightsBeforeItRuns) {
    // Everything but one system call, to see that a filter is on all threads.
    const std::array<sock_filter, 4> filter = {
        sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 0, 1),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    TemplateOptions options;
    options.uid = 65534;
    options.gid = 65534;
    options.filter.assign(
        static_cast<const char*>(static_cast<const void*>(filter.data())), sizeof(filter));
    Prepared prepared = Prepare({TargetProgram(), "threads"}, options);
    ASSERT_EQ(prepared.error, "");
    const Pool pool(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET);
    CloneRequest request;
    request.limits = {{RLIMIT_NOFILE, 100, 100}};
    const Restored restored = Restore(*prepared.made, pool, std::move(request));
    ASSERT_EQ(restored.error, "");
    EXPECT_THAT(restored.talk.Ask('c'), StartsWith("ok "));
    EXPECT_THAT(restored.talk.Ask('b'), StartsWith("ok "));
    FILE* pipe = ::popen(
        fmt::format(
            "cat /proc/{}/task/*/status | grep -E "
            "'^(Uid|Gid|Groups|CapEff|CapPrm|CapBnd|CapInh|NoNewPrivs|Seccomp):' | sort | uniq -c",
            restored.clone.pid)
            .c_str(),
        "r");
    std::string said(2048, '\0');
    said.resize(::fread(said.data(), 1, said.size(), pipe));
    ::pclose(pipe);
    for (const char* line : {
             "11 CapBnd:\t0000000000000000",
             "11 CapEff:\t0000000000000000",
             "11 CapInh:\t0000000000000000",
             "11 CapPrm:\t0000000000000000",
             "11 Gid:\t65534\t65534\t65534\t65534",
             "11 NoNewPrivs:\t1",
             "11 Seccomp:\t2",
             "11 Uid:\t65534\t65534\t65534\t65534",
         }) {
        EXPECT_THAT(said, testing::HasSubstr(line));
    }
}

TEST(Template, ACloneInANamespaceOfOneUserStaysItButLosesItsRights) {
    if (!Pool(CLONE_NEWUSER).ok()) {
        GTEST_SKIP()
            << "no user namespaces here: a sysctl forbids them, or the root is a changed one";
    }
    TemplateOptions options;
    options.uid = 65534;
    options.gid = 65534;
    Prepared prepared = Prepare({TargetProgram(), "threads"}, options);
    ASSERT_EQ(prepared.error, "");
    const Pool pool(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET);
    ASSERT_TRUE(pool.ok());
    CloneRequest request;
    request.adopted = true;
    const Restored restored = Restore(*prepared.made, pool, std::move(request));
    ASSERT_EQ(restored.error, "");
    EXPECT_THAT(restored.talk.Ask('c'), StartsWith("ok "));
    const int32_t pid = PidOf(restored.clone.pidfd);
    size_t threads = 0;
    const std::string tasks = fmt::format("/proc/{}/task", pid);
    for (const auto& task : std::filesystem::directory_iterator(tasks)) {
        const std::string status = ReadText(task.path().string() + "/status");
        for (const char* line :
             {"CapEff:\t0000000000000000",
              "CapPrm:\t0000000000000000",
              "CapBnd:\t0000000000000000",
              "CapInh:\t0000000000000000",
              "CapAmb:\t0000000000000000",
              "NoNewPrivs:\t1",
              "Uid:\t0\t0\t0\t0"}) {
            EXPECT_THAT(status, testing::HasSubstr(line));
        }
        ++threads;
    }
    EXPECT_EQ(threads, 11U);
}

TEST(Template, ACloneMayBeTheChildOfItsSandboxsFirstProcess) {
    Prepared prepared = Prepare({TargetProgram(), "threads"});
    ASSERT_EQ(prepared.error, "");
    for (int i = 0; i < 3; ++i) {
        const Pool pool(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS);
        ASSERT_TRUE(pool.ok());
        int ready[2] = {-1, -1};
        ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
        ASSERT_EQ(::write(ready[1], "", 1), 1);
        const os::Fd read_end(ready[0]);
        const os::Fd write_end(ready[1]);
        CloneRequest request;
        request.adopted = true;
        request.restrict_files = true;
        request.ready_fd = read_end.get();
        const Restored restored = Restore(*prepared.made, pool, std::move(request));
        ASSERT_EQ(restored.error, "");
        EXPECT_THAT(restored.talk.Ask('c'), StartsWith("ok 1 2 "));
        const std::string status =
            ReadText(fmt::format("/proc/{}/status", PidOf(restored.clone.pidfd)));
        EXPECT_THAT(status, testing::HasSubstr(fmt::format("PPid:\t{}\n", pool.pid())));
        siginfo_t info{};
        EXPECT_EQ(
            ::waitid(
                P_PIDFD,
                static_cast<id_t>(restored.clone.pidfd.get()),
                &info,
                WEXITED | WNOHANG | __WALL),
            -1);
    }
}

TEST(Template, AMissingStandInIsAnErrorAndTheNextCloneWorks) {
    Prepared prepared = Prepare({TargetProgram()});
    ASSERT_EQ(prepared.error, "");
    const Pool pool;
    CloneRequest request;
    request.sandbox_pidfd = pool.pidfd();
    const auto refused = prepared.made->MakeClone(request);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().message(), "clone: a stand-in is missing: Bad file descriptor");
    const Pool second;
    const Restored restored = Restore(*prepared.made, second);
    ASSERT_EQ(restored.error, "");
    EXPECT_THAT(restored.talk.Ask('p'), StartsWith("ok 1 "));
}

TEST(Template, ClonesOutliveATemplateThatIsKilled) {
    Prepared prepared = Prepare({TargetProgram(), "threads"});
    ASSERT_EQ(prepared.error, "");
    const Pool pool;
    const Restored restored = Restore(*prepared.made, pool);
    ASSERT_EQ(restored.error, "");
    ASSERT_EQ(::kill(prepared.made->pid(), SIGKILL), 0);
    const Pool second;
    EXPECT_THAT(Restore(*prepared.made, second).error, testing::HasSubstr("the template"));
    prepared.made.reset();
    EXPECT_THAT(restored.talk.Ask('c'), StartsWith("ok 1 "));
}

// Killed at many points of a clone, the template leaves nothing behind but the sandbox's own. The
// clone's parent then goes to the machine's first process, and the sandbox waits for that to reap
// it: half a second here and there.
TEST(Template, KilledAtAnyPointOfACloneLeavesNothing) {
    Prepared prepared = Prepare({TargetProgram(), "threads", "files"});
    ASSERT_EQ(prepared.error, "");
    prepared.made.reset();
    const os::Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    const TemplateOptions options{
        .image_fd = prepared.picture.file.get(), .root_fd = root.get(), .uid = 65534};
    for (int i = 0; i < 10; ++i) {
        auto made = Template::Start(*prepared.picture.image, options);
        ASSERT_TRUE(made.ok()) << made.error().message();
        const Pool pool(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS);
        const auto [ours, theirs] = testing_support::StreamPair();
        CloneRequest request;
        request.sandbox_pidfd = pool.pidfd();
        request.namespaces = pool.namespaces();
        request.stand_ins = {theirs.get()};
        request.adopted = true;
        ASSERT_TRUE((*made)->control().RequestClone(request).ok());
        const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(i * 120);
        while (std::chrono::steady_clock::now() < until) {
        }
        ASSERT_EQ(::kill((*made)->pid(), SIGKILL), 0);
    }
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG | __WALL), -1);
    EXPECT_EQ(errno, ECHILD);
}

TEST(Template, AFileThatChangedIsRefused) {
    Prepared prepared = Prepare({TargetProgram()});
    ASSERT_EQ(prepared.error, "");
    Image image = *prepared.picture.image;
    image.files.at(image.memory.exe).mtime_s += 1;
    const os::Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    const auto made =
        Template::Start(image, {.image_fd = prepared.picture.file.get(), .root_fd = root.get()});
    EXPECT_FALSE(made.ok());
}

// Values that only the process chose: whatever they are, an error or a dead clone is the worst.
TEST(Template, HostileValuesOfAnImageHarmOnlyTheirClone) {
    Prepared prepared = Prepare({TargetProgram(), "threads", "files"});
    ASSERT_EQ(prepared.error, "");
    const os::Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    const TemplateOptions options{
        .image_fd = prepared.picture.file.get(), .root_fd = root.get(), .uid = 65534};

    struct Change {
        const char* what;
        void (*make)(Image&);
    };

    const std::array<Change, 15> changes = {{
        {"tid of pid 1", [](Image& image) { image.threads[0].tid = 1; }},
        {"tid of another thread",
         [](Image& image) { image.threads[2].tid = image.threads[1].tid; }},
        {"tid beyond pid_max", [](Image& image) { image.threads[1].tid = 0x7ffffff0; }},
        {"thread pointer", [](Image& image) { image.threads[1].registers[kFsBase] = ~0ULL - 8; }},
        {"leader's thread pointer",
         [](Image& image) { image.threads[0].registers[kFsBase] = 0x8000000000000000; }},
        {"gs", [](Image& image) { image.threads[3].registers[kGsBase] = ~0ULL; }},
        {"rseq", [](Image& image) { image.threads[1].rseq_address = 0x10001; }},
        {"robust list", [](Image& image) { image.threads[1].robust_list_bytes = 7; }},
        {"instruction pointer", [](Image& image) { image.threads[0].registers[kRip] = 0xfff; }},
        {"instruction pointer of the kernel",
         [](Image& image) { image.threads[0].registers[kRip] = 0xffffffff81000000; }},
        {"stack pointer", [](Image& image) { image.threads[0].registers[kRsp] = 0; }},
        {"vector state", [](Image& image) { image.threads[0].xstate.assign(2696, '\xff'); }},
        {"flags", [](Image& image) { image.threads[0].registers[kEflags] = ~0ULL; }},
        {"working directory", [](Image& image) { image.process.working_directory = "/root/x"; }},
        {"entropy",
         [](Image& image) { image.entropy_calls = {{EntropyKind::kRandPoll, 0x10000}}; }},
    }};
    for (const Change& change : changes) {
        SCOPED_TRACE(change.what);
        Image image = *prepared.picture.image;
        change.make(image);
        auto made = Template::Start(image, options);
        if (!made.ok()) {
            continue;
        }
        const Pool pool;
        const Restored restored = Restore(**made, pool);
        if (restored.error.empty()) {
            // It may go on, end, or be killed; the template knows nothing of it.
            restored.talk.Send('p');
            pollfd poll_fd{restored.talk.fd(), POLLIN, 0};
            EXPECT_GE(::poll(&poll_fd, 1, 100), 0);
        }
        EXPECT_EQ(::kill((*made)->pid(), 0), 0);
        EXPECT_TRUE((*made)->ReadMemory().ok());
    }
    // And the good one still works.
    const Pool pool;
    EXPECT_EQ(Restore(*prepared.made, pool).error, "");
}

TEST(Template, AKilledSandboxIsAnErrorAndTheNextCloneWorks) {
    Prepared prepared = Prepare({TargetProgram()});
    ASSERT_EQ(prepared.error, "");
    for (const bool adopted : {false, true}) {
        const Pool pool;
        ASSERT_EQ(::kill(pool.pid(), SIGKILL), 0);
        siginfo_t info{};
        ASSERT_EQ(
            ::waitid(P_PID, static_cast<id_t>(pool.pid()), &info, WEXITED | WNOWAIT | __WALL), 0);
        CloneRequest request;
        request.adopted = adopted;
        EXPECT_NE(Restore(*prepared.made, pool, std::move(request)).error, "");
        const Pool second;
        const Restored restored = Restore(*prepared.made, second);
        ASSERT_EQ(restored.error, "");
        EXPECT_THAT(restored.talk.Ask('p'), StartsWith("ok 1 "));
    }
}

TEST(Template, MountsThatNeverComeAreAnError) {
    Prepared prepared = Prepare({TargetProgram()});
    ASSERT_EQ(prepared.error, "");
    const Pool pool;
    int ready[2] = {-1, -1};
    ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
    const os::Fd read_end(ready[0]);
    ::close(ready[1]);
    CloneRequest request;
    request.ready_fd = read_end.get();
    EXPECT_THAT(
        Restore(*prepared.made, pool, std::move(request)).error,
        testing::HasSubstr("wait for the sandbox's mounts"));
}

TEST(WorkingSet, ARecordedOneMakesClonesThatAnswerAsBefore) {
    Prepared prepared = Prepare({TargetProgram(), "heap", "threads", "files"});
    ASSERT_EQ(prepared.error, "");
    std::vector<WorkingSetRange> ranges;
    {
        const Pool pool;
        const Restored restored = Restore(*prepared.made, pool);
        ASSERT_EQ(restored.error, "");
        EXPECT_THAT(restored.talk.Ask('c'), StartsWith("ok 1 "));
        auto read = ReadWorkingSet(*prepared.picture.image, restored.clone.pid);
        ASSERT_TRUE(read.ok()) << read.error().message();
        ranges = *std::move(read);
    }
    const auto written = [](const WorkingSetRange& range) { return range.written; };
    EXPECT_TRUE(std::any_of(ranges.begin(), ranges.end(), written));
    EXPECT_FALSE(std::all_of(ranges.begin(), ranges.end(), written));
    const std::string text = EncodeWorkingSet(ranges, *prepared.picture.image);
    const auto decoded = DecodeWorkingSet(text, *prepared.picture.image);
    ASSERT_TRUE(decoded.ok()) << decoded.error().message();
    ASSERT_EQ(decoded->size(), ranges.size());
    ASSERT_TRUE(prepared.made->SetWorkingSet(*decoded).ok());
    // The same, but known when the template is made.
    const os::Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    TemplateOptions options{.image_fd = prepared.picture.file.get(), .root_fd = root.get()};
    options.working_set = *decoded;
    const auto knowing = Template::Start(*prepared.picture.image, options);
    ASSERT_TRUE(knowing.ok()) << knowing.error().message();
    for (Template* made : {prepared.made.get(), knowing->get()}) {
        for (const bool populate : {false, true, false}) {
            const Pool pool;
            CloneRequest request;
            request.populate = populate;
            const Restored restored = Restore(*made, pool, std::move(request));
            ASSERT_EQ(restored.error, "");
            EXPECT_THAT(restored.talk.Ask('c'), StartsWith("ok 1 "));
            EXPECT_THAT(restored.talk.Ask('b'), StartsWith("ok 2 "));
        }
    }
}

TEST(WorkingSet, WhatIsNotOneIsRefused) {
    Image image;
    Area area;
    area.start = 0x10000;
    area.end = 0x20000;
    image.areas = {area};
    const std::string good = EncodeWorkingSet({{0x10000, 1, true}, {0x12000, 2, false}}, image);
    EXPECT_TRUE(DecodeWorkingSet(good, image).ok());
    EXPECT_TRUE(DecodeWorkingSet(EncodeWorkingSet({}, image), image).ok());
    for (size_t size = 0; size < good.size(); ++size) {
        EXPECT_FALSE(DecodeWorkingSet(good.substr(0, size), image).ok()) << size;
        std::string damaged = good;
        damaged[size] = static_cast<char>(damaged[size] ^ 0x10);
        EXPECT_FALSE(DecodeWorkingSet(damaged, image).ok()) << size;
    }
    EXPECT_FALSE(DecodeWorkingSet(good + std::string(16, '\0'), image).ok());
    Image other = image;
    other.pages_checksum = 1;
    EXPECT_FALSE(DecodeWorkingSet(good, other).ok());
    for (const std::vector<WorkingSetRange>& bad : std::vector<std::vector<WorkingSetRange>>{
             {{0x10001, 1, true}},
             {{0x10000, 0, true}},
             {{0x10000, 17, true}},
             {{0x10000, 1ULL << 61, true}},
             {{0x20000, 1, true}},
             {{0x12000, 1, true}, {0x10000, 1, true}},
             {{0x10000, 2, true}, {0x11000, 1, false}},
             {{~0ULL << 12, 1, true}},
         }) {
        EXPECT_FALSE(DecodeWorkingSet(EncodeWorkingSet(bad, image), image).ok()) << bad[0].address;
    }
}

// A group of the memory controller; empty where none can be made.
std::string MakeGroup(const std::string& name) {
    for (const char* root : {"/sys/fs/cgroup/memory/", "/sys/fs/cgroup/"}) {
        const std::string group = root + name;
        if (::access((std::string(root) + "cgroup.procs").c_str(), W_OK) == 0 &&
            ::mkdir(group.c_str(), 0755) == 0) {
            return group;
        }
    }
    return {};
}

TEST(Template, ACloneIsInItsControlGroupAlone) {
    const std::string group = MakeGroup(fmt::format("hearth-clone-test-{}", ::getpid()));
    if (group.empty()) {
        GTEST_SKIP() << "no control group can be made";
    }
    Prepared prepared = Prepare({TargetProgram(), "heap"});
    ASSERT_EQ(prepared.error, "");
    for (const bool adopted : {false, true}) {
        const os::Fd procs(::open((group + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
        ASSERT_TRUE(procs.valid());
        const Pool pool;
        CloneRequest request;
        request.adopted = adopted;
        request.cgroup_fds = {procs.get()};
        Restored restored = Restore(*prepared.made, pool, std::move(request));
        EXPECT_EQ(restored.error, "");
        EXPECT_THAT(restored.talk.Ask('p'), StartsWith("ok 1 "));
        EXPECT_EQ(
            ReadText(group + "/cgroup.procs"), fmt::format("{}\n", PidOf(restored.clone.pidfd)));
        // Empty again before the group can go.
        const os::Fd other(::open(
            (group.substr(0, group.rfind('/')) + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
        const std::string pid = std::to_string(PidOf(restored.clone.pidfd));
        EXPECT_EQ(::write(other.get(), pid.data(), pid.size()), static_cast<ssize_t>(pid.size()));
    }
    EXPECT_EQ(::rmdir(group.c_str()), 0);
}

// One after the other; HEARTH_SOAK_COUNT for more.
TEST(Template, ManyClonesAllAnswerAndLeaveNothing) {
    const int clones = SoakCount(50);
    Prepared prepared = Prepare({TargetProgram(), "heap", "threads", "files"});
    ASSERT_EQ(prepared.error, "");
    const auto descriptors_of_template = [&] {
        size_t count = 0;
        const std::string path = fmt::format("/proc/{}/fd", prepared.made->pid());
        for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(path)) {
            ++count;
        }
        return count;
    };
    const size_t descriptors = descriptors_of_template();
    const auto memory = prepared.made->ReadMemory();
    ASSERT_TRUE(memory.ok());
    for (int i = 0; i < clones; ++i) {
        const Pool pool;
        CloneRequest request;
        request.adopted = i % 2 == 0;
        const Restored restored = Restore(*prepared.made, pool, std::move(request));
        ASSERT_EQ(restored.error, "") << i;
        ASSERT_THAT(restored.talk.Ask(i % 10 == 0 ? 'c' : 'p'), StartsWith("ok 1 2 ")) << i;
    }
    EXPECT_EQ(descriptors_of_template(), descriptors);
    const auto after = prepared.made->ReadMemory();
    ASSERT_TRUE(after.ok());
    EXPECT_LT(after->resident_bytes, memory->resident_bytes + (1 << 20));
}

constexpr const char* kPython = R"(
import json, os, random, ssl, sys, uuid, secrets, subprocess, threading, gc
context = ssl.create_default_context()
ssl.RAND_bytes(4)
os.write(0, b"ready\n")
while True:
    command = os.read(0, 1)
    if not command:
        break
    if command == b"b":
        gc.collect()
        t = threading.Thread(target=lambda: None); t.start(); t.join()
        assert subprocess.run(["/bin/echo", "hi"], capture_output=True).stdout == b"hi\n"
    values = [str(uuid.uuid4()), ssl.RAND_bytes(8).hex(), secrets.token_hex(8)]
    os.write(0, b"ok " + json.dumps(values).encode() + b"\n")
)";

TEST(Template, PythonClonesAgreeOnNothingRandom) {
    if (::access("/usr/bin/python3", X_OK) != 0) {
        GTEST_SKIP() << "no /usr/bin/python3";
    }
    Prepared prepared = Prepare({"/usr/bin/python3", "-c", kPython});
    ASSERT_EQ(prepared.error, "");
    std::set<std::string> seen;
    const int clones = SoakCount(20);
    for (int i = 0; i < clones; ++i) {
        const Pool pool;
        const Restored restored = Restore(*prepared.made, pool);
        ASSERT_EQ(restored.error, "");
        std::string line = restored.talk.Ask(i % 2 == 0 ? 'p' : 'b');
        ASSERT_THAT(line, StartsWith("ok ["));
        std::stringstream words(line.substr(4));
        for (std::string word; words >> word;) {
            word.erase(word.find_last_not_of(",]") + 1);
            EXPECT_TRUE(seen.insert(word).second) << "again: " << word;
        }
    }
    EXPECT_EQ(seen.size(), 3U * static_cast<size_t>(clones));
}

constexpr const char* kNode = R"(
const fs = require("fs"), crypto = require("crypto"), child = require("child_process");
crypto.randomBytes(16);
setInterval(() => {}, 100000);
const stream = new (require("net").Socket)({fd: 0});
fs.promises.readFile("/proc/self/stat").then(() => stream.write("ready\n"));
stream.on("data", async (data) => {
    if (data[0] == 98) {
        await fs.promises.readFile("/proc/self/stat");
        await new Promise((resolve) => setTimeout(resolve, 1));
        await new Promise((resolve) => crypto.pbkdf2("a", "b", 10, 10, "sha256", resolve));
        if (child.execFileSync("/bin/echo", ["hi"]).toString() != "hi\n") process.exit(1);
    }
    stream.write("ok " + crypto.randomBytes(8).toString("hex") + "\n");
});
)";

TEST(Template, NodeClonesAnswerAndAgreeOnNothingRandom) {
    if (::access("/usr/bin/node", X_OK) != 0) {
        GTEST_SKIP() << "no /usr/bin/node";
    }
    Prepared prepared = Prepare({"/usr/bin/node", "-e", kNode});
    ASSERT_EQ(prepared.error, "");
    std::set<std::string> seen;
    const int clones = SoakCount(10);
    for (int i = 0; i < clones; ++i) {
        const Pool pool;
        const Restored restored = Restore(*prepared.made, pool);
        ASSERT_EQ(restored.error, "");
        const std::string line = restored.talk.Ask(i % 2 == 0 ? 'p' : 'b');
        ASSERT_THAT(line, StartsWith("ok "));
        EXPECT_TRUE(seen.insert(line).second) << "again: " << line;
    }
}

}  // namespace
}  // namespace hearth::snapshot
