#include "sandbox/snapshot/dumper.h"

#include "os/channel.h"
#include "os/file.h"
#include "sandbox/snapshot/identity.h"
#include "sandbox/snapshot/tracee.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>

// Dumps of living processes. They need the right to trace, which root has in containers too unless
// a filter forbids ptrace; then these tests fail, and say so, since nothing else would notice.
namespace hearth::snapshot {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr uint32_t kConnection = 3;

// A process that answers one-letter commands on its descriptor 0.
class Target final {
  public:
    explicit Target(std::vector<std::string> argv) {
        int ends[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        ours_ = os::Fd(ends[0]);
        const os::Fd theirs(ends[1]);
        struct stat status{};
        EXPECT_EQ(::fstat(theirs.get(), &status), 0);
        inode_ = status.st_ino;
        std::vector<char*> arguments;
        for (std::string& argument : argv) {
            arguments.push_back(argument.data());
        }
        arguments.push_back(nullptr);
        pid_ = ::fork();
        EXPECT_GE(pid_, 0);
        if (pid_ == 0) {
            const int null = ::open("/dev/null", O_RDWR);
            ::dup2(theirs.get(), 0);
            ::dup2(null, 1);
            ::dup2(null, 2);
            ::syscall(SYS_close_range, 3, ~0U, 0);
            ::execv(arguments[0], arguments.data());
            ::_exit(127);
        }
    }

    Target(const Target&) = delete;
    Target& operator=(const Target&) = delete;

    ~Target() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

    std::string ReadLine() const {
        std::string line;
        for (char byte = 0; ::read(ours_.get(), &byte, 1) == 1 && byte != '\n';) {
            line += byte;
        }
        return line;
    }

    std::string Ask(char command) const {
        EXPECT_EQ(::write(ours_.get(), &command, 1), 1);
        return ReadLine();
    }

    pid_t pid() const { return pid_; }

    uint64_t inode() const { return inode_; }

    int connection() const { return ours_.get(); }

  private:
    os::Fd ours_;
    uint64_t inode_ = 0;
    pid_t pid_ = -1;
};

struct Dumped {
    std::string error;
    int kind = -1;
    DumpReport report;
    os::Fd image;
};

// As the engine does it: in a child, whose report comes through a pipe.
Dumped DumpInChild(DumpRequest request) {
    Dumped dumped;
    dumped.image = os::Fd(::memfd_create("image", MFD_CLOEXEC));
    request.image_fd = dumped.image.get();
    auto pipe = os::Pipe();
    EXPECT_TRUE(pipe.ok());
    const pid_t child = ::fork();
    if (child == 0) {
        const auto result = Dump(request);
        std::string packet(sizeof(DumpReport), '\0');
        if (result.ok()) {
            std::memcpy(packet.data(), &*result, sizeof(DumpReport));
        } else {
            packet = static_cast<char>(result.error().kind()) + result.error().message();
            packet.resize(std::max(packet.size(), sizeof(DumpReport) + 1), ' ');
        }
        ::_exit(::write(pipe->second.get(), packet.data(), packet.size()) > 0 ? 0 : 1);
    }
    pipe->second.Close();
    std::string packet(64 << 10, '\0');
    const ssize_t got = ::read(pipe->first.get(), packet.data(), packet.size());
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    packet.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (packet.size() == sizeof(DumpReport)) {
        std::memcpy(&dumped.report, packet.data(), sizeof(DumpReport));
    } else if (!packet.empty()) {
        dumped.kind = packet[0];
        dumped.error = packet.substr(1);
    } else {
        dumped.error = "no report";
    }
    return dumped;
}

DumpRequest RequestFor(const Target& target) {
    DumpRequest request;
    request.pid = target.pid();
    request.stand_ins = {{.inode = target.inode(), .id = kConnection}};
    request.kill = false;
    return request;
}

std::string TargetProgram() {
    // Beside the test, or in the folder below.
    std::string self(4096, '\0');
    const ssize_t got = ::readlink("/proc/self/exe", self.data(), self.size());
    self.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    return self.substr(0, self.rfind('/')) + "/testing/snapshot_target";
}

const Area* FindArea(const Image& image, uint64_t address) {
    for (const Area& area : image.areas) {
        if (address >= area.start && address < area.end) {
            return &area;
        }
    }
    return nullptr;
}

TEST(Dumper, AProcessGoesOnAfterADumpAndTheImageHoldsIt) {
    const Target target({TargetProgram(), "heap", "threads", "files"});
    ASSERT_EQ(target.ReadLine(), "ready");
    EXPECT_THAT(target.Ask('c'), StartsWith("ok 1 "));
    const Dumped dumped = DumpInChild(RequestFor(target));
    ASSERT_EQ(dumped.error, "");
    EXPECT_EQ(dumped.report.threads, 11U);
    // 8 MB of pattern and little else: holes and reservations are not in it.
    EXPECT_GT(dumped.report.image_bytes, 8U << 20);
    EXPECT_LT(dumped.report.image_bytes, 10U << 20);
    EXPECT_THAT(target.Ask('c'), StartsWith("ok 2 "));
    EXPECT_THAT(target.Ask('b'), StartsWith("ok 3 "));

    const auto image = ReadImage(dumped.image.get());
    ASSERT_TRUE(image.ok()) << image.error().message();
    EXPECT_TRUE(CheckPages(dumped.image.get(), *image).ok());
    EXPECT_EQ(image->process.pid, target.pid());
    EXPECT_EQ(image->threads.front().name, "snapshot me");
    EXPECT_NE(image->signals[SIGUSR1 - 1].handler, 0U);
    EXPECT_EQ(image->files.at(image->memory.exe).path, TargetProgram());
    for (const Thread& thread : image->threads) {
        // Everyone waits in a system call and stands right before it again.
        const Area* area = FindArea(*image, thread.registers[kRip]);
        ASSERT_NE(area, nullptr);
        EXPECT_NE(area->protection & PROT_EXEC, 0U);
        EXPECT_NE(thread.rseq_address, 0U);
        EXPECT_NE(thread.clear_child_tid, 0U);
    }
    std::vector<OpenFileKind> kinds;
    for (const OpenFile& file : image->open_files) {
        kinds.push_back(file.kind);
    }
    using enum OpenFileKind;
    EXPECT_THAT(
        kinds,
        testing::UnorderedElementsAre(
            kStandIn,
            kDevice,  // stdout and stderr
            kPath,    // the file, under two numbers
            kDevice,  // /dev/null
            kPipe,
            kPipe,
            kSocketPair,
            kSocketPair,
            kEventFd,
            kTimerFd,
            kEpoll,
            kFreshSocket));
    const int root = ::open("/", O_PATH | O_DIRECTORY);
    const Status same = CheckIdentity(*image, root);
    EXPECT_TRUE(same.ok()) << same.error().message();
    ::close(root);
}

TEST(Dumper, ManyDumpsOfOneProcessDoNotDisturbIt) {
    const Target target({TargetProgram(), "heap", "threads", "files"});
    ASSERT_EQ(target.ReadLine(), "ready");
    for (int i = 0; i < 10; ++i) {
        const Dumped dumped = DumpInChild(RequestFor(target));
        ASSERT_EQ(dumped.error, "");
        ASSERT_THAT(target.Ask('c'), StartsWith("ok "));
    }
}

TEST(Dumper, AFilterThatKillsOnOurSystemCallsIsSuspended) {
    const Target target({TargetProgram(), "heap", "deny"});
    ASSERT_EQ(target.ReadLine(), "ready");
    const Dumped dumped = DumpInChild(RequestFor(target));
    ASSERT_EQ(dumped.error, "");
    EXPECT_THAT(target.Ask('p'), StartsWith("ok "));
}

TEST(Dumper, KilledWhenAskedTo) {
    const Target target({TargetProgram(), "threads"});
    ASSERT_EQ(target.ReadLine(), "ready");
    DumpRequest request = RequestFor(target);
    request.kill = true;
    const Dumped dumped = DumpInChild(request);
    ASSERT_EQ(dumped.error, "");
    EXPECT_TRUE(ReadImage(dumped.image.get()).ok());
    char byte = 0;
    EXPECT_EQ(::read(target.connection(), &byte, 1), 0);
}

struct Refused {
    const char* kind;
    const char* reason;
};

TEST(Dumper, WhatCannotBeSnapshottedIsRefusedAndGoesOn) {
    for (const Refused& refused : {
             Refused{"child", "child processes"},
             Refused{"shared", "shared memory"},
             Refused{"memfd", "could be shared"},
             Refused{"deleted", "is deleted"},
             Refused{"lock", "holds a lock"},
             Refused{"inotify", "cannot hold"},
             Refused{"io_uring", "[io_uring]"},
             Refused{"signalfd", "cannot hold"},
             Refused{"pidfd", "pidfd"},
             Refused{"timer", "POSIX timers"},
             Refused{"alarm", "interval timer"},
             Refused{"rights", "different rights"},
             Refused{"watch", "which is closed"},
             Refused{"unmapped", "vdso"},
         }) {
        // The machine may not allow it: EFAULT and EINVAL are of one that does.
        if (std::string_view(refused.kind) == "io_uring" &&
            ::syscall(SYS_io_uring_setup, 0, nullptr) < 0 && errno != EFAULT && errno != EINVAL) {
            continue;
        }
        const Target target({TargetProgram(), refused.kind});
        ASSERT_EQ(target.ReadLine(), "ready");
        const Dumped dumped = DumpInChild(RequestFor(target));
        EXPECT_EQ(dumped.kind, static_cast<int>(Error::Kind::kUnimplemented)) << dumped.error;
        EXPECT_THAT(dumped.error, HasSubstr(refused.reason));
        EXPECT_THAT(target.Ask('p'), StartsWith("ok "));
    }
}

TEST(Dumper, FilesThatClonesWouldLoseAreAReason) {
    const Target target({TargetProgram()});
    ASSERT_EQ(target.ReadLine(), "ready");
    std::string folder = "/tmp/hearth-dumper-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    DumpRequest request = RequestFor(target);
    request.empty_directories = {"/no/such/directory", folder};
    EXPECT_EQ(DumpInChild(request).error, "");
    std::ofstream(folder + "/kept") << "x";
    EXPECT_THAT(DumpInChild(request).error, HasSubstr("keeps files in " + folder));
    ::unlink((folder + "/kept").c_str());
    ::rmdir(folder.c_str());
}

TEST(Dumper, APendingSignalIsNotRest) {
    const Target target({TargetProgram(), "pending"});
    ASSERT_EQ(target.ReadLine(), "ready");
    const Dumped dumped = DumpInChild(RequestFor(target));
    EXPECT_EQ(dumped.kind, static_cast<int>(Error::Kind::kUnavailable)) << dumped.error;
    EXPECT_THAT(target.Ask('p'), StartsWith("ok "));
}

TEST(Dumper, AHelperThatIsKilledTakesTheProcessAlong) {
    const Target target({TargetProgram(), "threads"});
    ASSERT_EQ(target.ReadLine(), "ready");
    auto pipe = os::Pipe();
    ASSERT_TRUE(pipe.ok());
    const pid_t helper = ::fork();
    if (helper == 0) {
        const auto stopped = Tracee::Seize(target.pid());
        (void)!::write(pipe->second.get(), stopped.ok() ? "y" : "n", 1);
        ::pause();
        ::_exit(0);
    }
    char byte = 0;
    ASSERT_EQ(::read(pipe->first.get(), &byte, 1), 1);
    EXPECT_EQ(byte, 'y');
    ::kill(helper, SIGKILL);
    ::waitpid(helper, nullptr, 0);
    EXPECT_EQ(::read(target.connection(), &byte, 1), 0);
}

TEST(Dumper, AMappedFileThatWasReplacedDoesNotFit) {
    // A copy of the program, replaced by another copy after the dump.
    std::string folder = "/tmp/hearth-dumper-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    const std::string program = folder + "/program";
    const auto copy = [&] {
        std::ifstream from(TargetProgram(), std::ios::binary);
        std::ofstream(program + ".new", std::ios::binary) << from.rdbuf();
        ::chmod((program + ".new").c_str(), 0755);
        ::rename((program + ".new").c_str(), program.c_str());
    };
    copy();
    const Target target({program});
    ASSERT_EQ(target.ReadLine(), "ready");
    const Dumped dumped = DumpInChild(RequestFor(target));
    ASSERT_EQ(dumped.error, "");
    const auto image = ReadImage(dumped.image.get());
    ASSERT_TRUE(image.ok());
    const os::Fd root(::open("/", O_PATH | O_DIRECTORY));
    EXPECT_TRUE(CheckIdentity(*image, root.get()).ok());
    copy();
    const Status changed = CheckIdentity(*image, root.get());
    ASSERT_FALSE(changed.ok());
    EXPECT_THAT(changed.error().message(), HasSubstr("is another file"));
    // And a process of the old one cannot be dumped any more.
    EXPECT_THAT(DumpInChild(RequestFor(target)).error, HasSubstr("deleted"));
    ::unlink(program.c_str());
    ::rmdir(folder.c_str());
}

TEST(Dumper, BytesThatWaitOnAConnectionAreNotRest) {
    const Target target({TargetProgram()});
    ASSERT_EQ(target.ReadLine(), "ready");
    // Stopped, it cannot read what we write.
    ASSERT_EQ(::kill(target.pid(), SIGSTOP), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(target.pid(), &status, WUNTRACED), target.pid());
    ASSERT_EQ(::write(target.connection(), "p", 1), 1);
    const Dumped dumped = DumpInChild(RequestFor(target));
    EXPECT_EQ(dumped.kind, static_cast<int>(Error::Kind::kUnavailable)) << dumped.error;
    ASSERT_EQ(::kill(target.pid(), SIGCONT), 0);
    EXPECT_THAT(target.ReadLine(), StartsWith("ok 1 "));
}

TEST(Dumper, AnotherProcessAtTheOtherEndIsRefused) {
    const Target target({TargetProgram()});
    ASSERT_EQ(target.ReadLine(), "ready");
    DumpRequest request = RequestFor(target);
    request.stand_ins.clear();
    const Dumped dumped = DumpInChild(request);
    EXPECT_THAT(dumped.error, HasSubstr("unix socket to another process"));
}

TEST(Dumper, AProcessThatIsNotThereIsAnError) {
    DumpRequest request;
    request.pid = 0x3ffffe;
    EXPECT_NE(DumpInChild(request).error, "");
}

TEST(Dumper, MemoryBeyondTheLimitIsRefused) {
    const Target target({TargetProgram(), "heap"});
    ASSERT_EQ(target.ReadLine(), "ready");
    DumpRequest request = RequestFor(target);
    request.memory_bytes_max = 4 << 20;
    EXPECT_THAT(DumpInChild(request).error, HasSubstr("more than 4 MB"));
    EXPECT_THAT(target.Ask('c'), StartsWith("ok "));
}

constexpr const char* kPython = R"(
import json, os, random, ssl, sys, uuid
ssl.create_default_context()
os.write(0, b"ready\n")
while True:
    command = os.read(0, 1)
    if not command:
        break
    answer = {"uuid": str(uuid.uuid4()), "random": random.random()}
    os.write(0, b"ok " + json.dumps(answer).encode() + b"\n")
)";

TEST(Dumper, Python) {
    if (::access("/usr/bin/python3", X_OK) != 0) {
        GTEST_SKIP() << "no /usr/bin/python3";
    }
    const Target target({"/usr/bin/python3", "-c", kPython});
    ASSERT_EQ(target.ReadLine(), "ready");
    const Dumped dumped = DumpInChild(RequestFor(target));
    ASSERT_EQ(dumped.error, "");
    EXPECT_THAT(target.Ask('p'), StartsWith("ok "));
    const auto image = ReadImage(dumped.image.get());
    ASSERT_TRUE(image.ok()) << image.error().message();
    // libcrypto's RAND_poll, which keeps clones from drawing the same numbers.
    EXPECT_EQ(image->entropy_calls.size(), 1U);
    fmt::print(
        "python: image {} KB, {} pages, {} zero, frozen {} us of which memory {} us, write {} us\n",
        dumped.report.image_bytes >> 10,
        dumped.report.pages,
        dumped.report.zero_pages,
        dumped.report.frozen_ns / 1000,
        dumped.report.memory_ns / 1000,
        dumped.report.write_ns / 1000);
}

constexpr const char* kNode = R"(
const fs = require("fs"), crypto = require("crypto");
crypto.randomBytes(16);
setInterval(() => {}, 100000);
const stream = new (require("net").Socket)({fd: 0});
fs.promises.readFile("/proc/self/stat").then(() => stream.write("ready\n"));
stream.on("data", () => stream.write("ok " + crypto.randomUUID() + "\n"));
)";

TEST(Dumper, Node) {
    if (::access("/usr/bin/node", X_OK) != 0) {
        GTEST_SKIP() << "no /usr/bin/node";
    }
    const Target target({"/usr/bin/node", "-e", kNode});
    ASSERT_EQ(target.ReadLine(), "ready");
    const Dumped dumped = DumpInChild(RequestFor(target));
    ASSERT_EQ(dumped.error, "");
    EXPECT_THAT(target.Ask('p'), StartsWith("ok "));
    const auto image = ReadImage(dumped.image.get());
    ASSERT_TRUE(image.ok()) << image.error().message();
    EXPECT_GE(image->threads.size(), 7U);
    EXPECT_GE(image->entropy_calls.size(), 1U);
    fmt::print(
        "node: image {} KB, {} pages, {} zero, frozen {} us of which memory {} us, write {} us\n",
        dumped.report.image_bytes >> 10,
        dumped.report.pages,
        dumped.report.zero_pages,
        dumped.report.frozen_ns / 1000,
        dumped.report.memory_ns / 1000,
        dumped.report.write_ns / 1000);
}

}  // namespace
}  // namespace hearth::snapshot
