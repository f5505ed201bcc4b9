#include "vmm/machine/microvm.h"

#include "vmm/machine/signals.h"
#include "vmm/machine/tiny_guest.h"
#include "vmm/machine/tiny_kernel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>

namespace hearth::vmm {
namespace {

using testing::WriteTinyKernel;

// Descriptors that this process has open.
std::size_t OpenDescriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator("/proc/self/fd")) {
        ++count;
    }
    return count;
}

#if __has_feature(thread_sanitizer)
constexpr std::size_t kOwnThreads = 2;  // one is the sanitizer's
#else
constexpr std::size_t kOwnThreads = 1;
#endif

// Waits until this thread is the only one. A thread that was joined is for a moment still in the
// kernel's list; one that leaked is there for ever, and the test's deadline tells.
void AwaitBeingAlone() {
    std::size_t count = 0;
    do {
        count = 0;
        for ([[maybe_unused]] const auto& entry :
             std::filesystem::directory_iterator("/proc/self/task")) {
            ++count;
        }
    } while (count != kOwnThreads);
}

#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
// What was freed is kept for a while, to find who uses it still.
constexpr long kGrowthKibMax = 64 << 10;
#else
constexpr long kGrowthKibMax = 2 << 10;
#endif

class MicrovmTest : public ::testing::Test {
  protected:
    void SetUp() override {
        HEARTH_SKIP_WITHOUT_KVM();
        ASSERT_TRUE(VcpuThread::InstallKickHandler().ok());
        ASSERT_EQ(::pipe2(console_, O_CLOEXEC), 0);
        // So that reading what the guest said never waits.
        ASSERT_EQ(::fcntl(console_[0], F_SETFL, O_NONBLOCK), 0);
        directory_ =
            std::filesystem::temp_directory_path() / ("microvm-test-" + std::to_string(::getpid()));
        std::filesystem::create_directories(directory_);
    }

    void TearDown() override {
        ::close(console_[0]);
        ::close(console_[1]);
        if (!directory_.empty()) {
            std::filesystem::remove_all(directory_);
        }
    }

    VmConfig Config(const std::vector<std::uint8_t>& code) {
        VmConfig config;
        config.machine.mem_size_mib = 16;
        config.boot_source = BootSourceConfig{
            .kernel_image_path = WriteTinyKernel(directory_, code),
            .initrd_path = std::nullopt,
            .boot_args = "quiet"};
        return config;
    }

    MicrovmOptions Options() {
        MicrovmOptions options;
        options.console_out = console_[1];
        options.ended = [this](int exit_code) {
            exit_code_ = exit_code;
            loop_->Stop();
        };
        return options;
    }

    // Runs the machine to its end and gives what it said.
    std::string RunToEnd(const VmConfig& config) {
        loop_ = EventLoop::Create().value();
        exit_code_ = -1;
        auto machine = Microvm::Start(config, *loop_, Options());
        EXPECT_TRUE(machine.ok()) << machine.error().message();
        if (machine.ok()) {
            loop_->Run();
        }
        return Console();
    }

    std::string Console() {
        std::string text(4096, '\0');
        const ssize_t count = ::read(console_[0], text.data(), text.size());
        text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
        return text;
    }

    std::filesystem::path directory_;
    int console_[2] = {-1, -1};
    std::unique_ptr<EventLoop> loop_;
    int exit_code_ = -1;
};

TEST_F(MicrovmTest, KernelSpeaksAndResets) {
    EXPECT_EQ(RunToEnd(Config(testing::kSayHiAndReset)), "hi");
    EXPECT_EQ(exit_code_, kExitOk);
}

TEST_F(MicrovmTest, KernelIsEnteredAsLinuxWantsIt) {
    // The zero page is in RSI: its boot flag goes to the console, low byte first.
    EXPECT_EQ(RunToEnd(Config(testing::kSayBootFlagAndReset)), "\x55\xaa");
    EXPECT_EQ(exit_code_, kExitOk);
}

TEST_F(MicrovmTest, TripleFaultIsTheGuestsEnd) {
    EXPECT_EQ(RunToEnd(Config(testing::kTripleFault)), "");
    EXPECT_EQ(exit_code_, kExitOk);
}

TEST_F(MicrovmTest, MachineThatCannotBeBuiltLeavesNothing) {
    loop_ = EventLoop::Create().value();
    const std::size_t descriptors = OpenDescriptors();
    VmConfig config = Config(testing::kSayHiAndReset);
    config.drives.push_back({.drive_id = "gone", .path_on_host = "/nowhere/at/all"});
    const auto machine = Microvm::Start(config, *loop_, Options());
    ASSERT_FALSE(machine.ok());
    EXPECT_EQ(OpenDescriptors(), descriptors);
    AwaitBeingAlone();
}

TEST_F(MicrovmTest, ManyInARowLeaveNoDescriptorThreadOrMemory) {
    const VmConfig config = Config(testing::kSayHiAndReset);
    ASSERT_EQ(RunToEnd(config), "hi");
    loop_.reset();
    const std::size_t descriptors = OpenDescriptors();
    rusage before = {};
    ::getrusage(RUSAGE_SELF, &before);
    for (int round = 0; round < 30; ++round) {
        ASSERT_EQ(RunToEnd(config), "hi");
        loop_.reset();
        ASSERT_EQ(OpenDescriptors(), descriptors);
        AwaitBeingAlone();
    }
    rusage after = {};
    ::getrusage(RUSAGE_SELF, &after);
    // The peak of one machine is the peak of thirty.
    EXPECT_LT(after.ru_maxrss, before.ru_maxrss + kGrowthKibMax);
}

TEST_F(MicrovmTest, PausedMachineIsDestroyedWithoutItsGuestsHelp) {
    loop_ = EventLoop::Create().value();
    auto machine = Microvm::Start(Config(testing::kSpin), *loop_, Options());
    ASSERT_TRUE(machine.ok()) << machine.error().message();
    ASSERT_TRUE((*machine)->Pause().ok());
    ASSERT_TRUE((*machine)->Pause().ok());
    ASSERT_TRUE((*machine)->Resume().ok());
    machine->reset();
    AwaitBeingAlone();
}

TEST_F(MicrovmTest, GuestThatFloodsAConsoleNobodyReadsCanBePaused) {
    // The pipe is full before the guest begins.
    ASSERT_EQ(::fcntl(console_[1], F_SETFL, O_NONBLOCK), 0);
    const std::string block(4096, '.');
    while (::write(console_[1], block.data(), block.size()) > 0) {
    }
    ASSERT_EQ(::fcntl(console_[1], F_SETFL, 0), 0);
    loop_ = EventLoop::Create().value();
    auto machine = Microvm::Start(Config(testing::kSpeakForever), *loop_, Options());
    ASSERT_TRUE(machine.ok()) << machine.error().message();
    for (int round = 0; round < 50; ++round) {
        ASSERT_TRUE((*machine)->Pause().ok());
        ASSERT_TRUE((*machine)->Resume().ok());
    }
    // The descriptor that others share still waits.
    EXPECT_EQ(::fcntl(console_[1], F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(MicrovmTest, GuestThatResetsForEverFillsNoQueue) {
    loop_ = EventLoop::Create().value();
    int endings = 0;
    MicrovmOptions options = Options();
    options.ended = [&](int) {
        ++endings;
        loop_->Stop();
    };
    auto machine = Microvm::Start(Config(testing::kResetForever), *loop_, std::move(options));
    ASSERT_TRUE(machine.ok()) << machine.error().message();
    while ((*machine)->io_exits() < 2000) {
        loop_->RunOnce(1);
    }
    loop_->Run();
    EXPECT_EQ(endings, 1);
}

TEST_F(MicrovmTest, ConsoleInputReachesTheGuest) {
    int input[2] = {-1, -1};
    ASSERT_EQ(::pipe2(input, O_CLOEXEC), 0);
    ASSERT_EQ(::write(input[1], "q", 1), 1);
    loop_ = EventLoop::Create().value();
    MicrovmOptions options = Options();
    options.console_in = input[0];
    // Waits for the line status to say that there is data, says it back and resets.
    auto machine =
        Microvm::Start(Config(testing::kEchoOneByteAndReset), *loop_, std::move(options));
    ASSERT_TRUE(machine.ok()) << machine.error().message();
    loop_->Run();
    EXPECT_EQ(Console(), "q");
    machine->reset();
    ::close(input[0]);
    ::close(input[1]);
}

// A machine whose kernel shares its pages with a file that somebody changes.
class SharedKernelTest : public MicrovmTest {
  protected:
    void SetUp() override {
        MicrovmTest::SetUp();
        if (IsSkipped()) {
            return;
        }
        config_ = Config(testing::kSpin);
        path_ = testing::WriteImage(
            directory_, testing::LargeKernelImage(testing::kTellTaleAndReset, 'o'));
        ASSERT_EQ(::pipe2(input_, O_CLOEXEC), 0);
        loop_ = EventLoop::Create().value();
    }

    void TearDown() override {
        ::close(input_[0]);
        ::close(input_[1]);
        MicrovmTest::TearDown();
    }

    Result<std::unique_ptr<Microvm>> Start() {
        MicrovmOptions options = Options();
        options.console_in = input_[0];
        return Microvm::Start(config_, *loop_, std::move(options));
    }

    // The byte that the guest finds in its kernel now, far behind the code.
    std::string TellTale() {
        EXPECT_EQ(::write(input_[1], "?", 1), 1);
        loop_->Run();
        return Console();
    }

    // Opens the file as soon as the machine has let go of it, and empties it.
    void Truncate() {
        int fd = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd >= 0) {
            ::close(fd);
            GTEST_SKIP() << "NOT TESTED: no leases on files of " << directory_;
        }
        while (fd < 0) {
            ASSERT_EQ(errno, EWOULDBLOCK);
            loop_->RunOnce(10);
            fd = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK);
        }
        EXPECT_EQ(::ftruncate(fd, 0), 0);
        ::close(fd);
    }

    VmConfig config_;
    std::string path_;
    int input_[2] = {-1, -1};
};

TEST_F(SharedKernelTest, MachineKeepsItsKernelWhenTheFileChanges) {
    const auto machine = Start();
    ASSERT_TRUE(machine.ok()) << machine.error().message();
    Truncate();
    EXPECT_EQ(TellTale(), "o");
    EXPECT_EQ(exit_code_, kExitOk);
}

TEST_F(SharedKernelTest, PausedMachineKeepsItAndStaysPaused) {
    const auto machine = Start();
    ASSERT_TRUE(machine.ok()) << machine.error().message();
    ASSERT_TRUE((*machine)->Pause().ok());
    Truncate();
    EXPECT_EQ(Console(), "");
    ASSERT_TRUE((*machine)->Resume().ok());
    EXPECT_EQ(TellTale(), "o");
}

TEST_F(SharedKernelTest, FileThatSomebodyHasOpenForWritingIsCopied) {
    const int fd = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    const auto machine = Start();
    ASSERT_TRUE(machine.ok()) << machine.error().message();
    EXPECT_EQ(::ftruncate(fd, 0), 0);
    ::close(fd);
    EXPECT_EQ(TellTale(), "o");
}

TEST_F(SharedKernelTest, MachinesAfterOneAnotherLeaveNoLeaseOrDescriptor) {
    std::size_t descriptors = 0;
    for (int round = 0; round < 5; ++round) {
        {
            const auto machine = Start();
            ASSERT_TRUE(machine.ok()) << machine.error().message();
            EXPECT_EQ(TellTale(), "o");
        }
        loop_ = EventLoop::Create().value();
        // The first has made the event that all share.
        descriptors = round == 0 ? OpenDescriptors() : descriptors;
        EXPECT_EQ(OpenDescriptors(), descriptors);
        const int fd = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK);
        EXPECT_GE(fd, 0);
        ::close(fd);
    }
}

}  // namespace
}  // namespace hearth::vmm
