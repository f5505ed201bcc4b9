#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "vmm/api/controller.h"
#include "vmm/boot/image_file.h"
#include "vmm/boot/kernel_loader.h"
#include "vmm/config/config.h"
#include "vmm/event/bus.h"
#include "vmm/event/event_loop.h"
#include "vmm/kvm/vm.h"
#include "vmm/legacy/i8042.h"
#include "vmm/legacy/serial.h"
#include "vmm/machine/device_set.h"
#include "vmm/machine/vcpu_thread.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/virtio/rate_limiter.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace hearth::vmm {

struct MicrovmOptions {
    // The metadata that network interfaces may answer; may be null.
    std::shared_ptr<MmdsDataStore> mmds;
    // Whether the guest finds the boot timer.
    bool boot_timer = false;
    // The serial port's ends; -1 is none. Watched and written, never closed.
    int console_in = -1;
    int console_out = -1;
    // The system call filters, each on its thread just before it meets the guest; may be empty.
    std::function<Status()> filter_vcpu_thread;
    std::function<Status()> filter_vmm_thread;
    // On the VMM thread, once, when the guest has ended by itself.
    std::function<void(int exit_code)> ended;
};

// A machine, running. It is built whole or not at all, and gone without a trace when destroyed.
//
// VMM thread, which runs `loop`. Vcpus run on threads of their own and call the devices on the
// port and memory buses; all else happens on the loop.
class Microvm final : public RunningMachine {
  public:
    // Builds and starts it. `loop` outlives the machine.
    static Result<std::unique_ptr<Microvm>> Start(
        const VmConfig& config, EventLoop& loop, MicrovmOptions options);

    ~Microvm() override;

    Status Pause() override;
    Status Resume() override;
    Status SendCtrlAltDel() override;
    Status UpdateDrive(const DriveUpdate& update) override;
    Status UpdateNetworkInterface(const NetworkInterfaceUpdate& update) override;
    Status UpdateBalloon(std::uint32_t amount_mib) override;
    Status UpdateBalloonStatistics(std::uint16_t stats_polling_interval_s) override;
    Result<BalloonStatistics> ReadBalloonStatistics() override;
    void CollectMetrics() override;

    // All vCPUs' exits that brought the guest to the monitor: ports and memory.
    std::uint64_t io_exits() const;

  private:
    using Clock = std::chrono::steady_clock;

    Microvm(EventLoop& loop, MicrovmOptions options, GuestMemory memory, Kvm kvm, Vm vm);

    Status LoadImages(
        const VmConfig& config,
        boot::LoadedKernel& kernel,
        std::optional<boot::LoadedInitrd>& initrd);
    // The files that the guest's memory shares pages with are about to change.
    void LetGoOfFiles();
    void StopVcpus();
    void RunVcpus();
    Status AddLegacyDevices(const VmConfig& config);
    Status WatchConsole();
    void ReadConsole();
    Status AddVcpus(const VmConfig& config, const boot::LoadedKernel& kernel);
    void ConsoleOutput(std::span<const std::byte> bytes);
    void ReportFirstRun(std::uint64_t wall_us);
    void ReportBoot();
    void ReportExits() const;
    void End(int exit_code);

    EventLoop& loop_;
    MicrovmOptions options_;
    Clock::time_point started_;
    std::uint64_t started_cpu_us_ = 0;
    std::uint64_t loading_us_ = 0;
    GuestMemory memory_;
    // Whose pages the guest's memory shares.
    std::vector<boot::ImageFile> held_files_;
    bool is_paused_ = false;
    Kvm kvm_;
    Vm vm_;
    Bus ports_;
    Bus mmio_;
    std::shared_ptr<Serial> serial_;
    std::shared_ptr<I8042> keyboard_;
    os::Fd serial_file_;
    int console_out_ = -1;
    std::mutex console_mutex_;
    std::shared_ptr<MonotonicClock> console_clock_ = MonotonicClock::System();
    std::optional<virtio::TokenBucket> console_limit_;
    bool watches_console_ = false;
    std::optional<DeviceSet> devices_;
    std::vector<std::unique_ptr<VcpuThread>> vcpus_;
    std::atomic<bool> has_reset_ = false;
    std::atomic<bool> has_booted_ = false;
    bool has_ended_ = false;
};

}  // namespace hearth::vmm
