#include "vmm/machine/microvm.h"

#include "vmm/boot/acpi.h"
#include "vmm/boot/boot_params.h"
#include "vmm/boot/cpu_state.h"
#include "vmm/boot/layout.h"
#include "vmm/event/file_lease.h"
#include "vmm/legacy/boot_timer.h"
#include "vmm/machine/signals.h"
#include "vmm/observe/logger.h"
#include "vmm/observe/metrics.h"
#include "vmm/observe/reopen.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace hearth::vmm {
namespace {

constexpr std::size_t kBytesPerMib = 1 << 20;

// What the guest's first command line words become when there is a root drive.
std::string CommandLine(const VmConfig& config) {
    std::string line = config.boot_source->boot_args.value_or(kDefaultBootArguments);
    const auto root = std::ranges::find_if(config.drives, &DriveConfig::is_root_device);
    if (root != config.drives.end()) {
        line +=
            root->partuuid ? " root=PARTUUID=" + *root->partuuid : std::string(" root=/dev/vda");
        line += root->is_read_only ? " ro" : " rw";
    }
    // There is no PCI bus; without this the kernel would probe for one by ports.
    line += " pci=off";
    return line;
}

std::uint64_t Microseconds(std::chrono::steady_clock::duration duration) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

std::uint64_t ProcessCpuMicroseconds() {
    timespec now = {};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

}  // namespace

Microvm::Microvm(EventLoop& loop, MicrovmOptions options, GuestMemory memory, Kvm kvm, Vm vm)
    : loop_(loop),
      options_(std::move(options)),
      started_(Clock::now()),
      memory_(std::move(memory)),
      kvm_(std::move(kvm)),
      vm_(std::move(vm)),
      console_out_(options_.console_out) {}

Result<std::unique_ptr<Microvm>> Microvm::Start(
    const VmConfig& config, EventLoop& loop, MicrovmOptions options) {
    const Clock::time_point started = Clock::now();
    const std::uint64_t started_cpu_us = ProcessCpuMicroseconds();
    if (!config.boot_source) {
        return errors::Malformed("no boot source");
    }
    HEARTH_TRY(Kvm kvm, Kvm::Open());
    if (config.machine.vcpu_count > 1 &&
        static_cast<int>(config.machine.vcpu_count) > kvm.vcpus_max()) {
        return errors::Malformed(fmt::format(
            "{} vCPUs; the host's limit is {}", config.machine.vcpu_count, kvm.vcpus_max()));
    }
    const auto layout = GuestMemory::Layout(config.machine.mem_size_mib * kBytesPerMib);
    HEARTH_TRY(
        GuestMemory memory,
        GuestMemory::Create(
            layout,
            config.machine.huge_pages == HugePages::k2M ? GuestMemory::Backing::kHugePages
                                                        : GuestMemory::Backing::kSmallPages));
    if (config.machine.huge_pages == HugePages::kTransparent) {
        for (const GuestMemory::Region& region : memory.regions()) {
            memory.PreferLargePages(region.start, region.bytes);
        }
    }
    HEARTH_TRY(Vm vm, Vm::Create(kvm));
    HEARTH_RETURN_IF_ERROR(vm.SetMemory(memory));
    std::unique_ptr<Microvm> machine(
        new Microvm(loop, std::move(options), std::move(memory), std::move(kvm), std::move(vm)));
    machine->started_ = started;
    machine->started_cpu_us_ = started_cpu_us;

    const Clock::time_point loading = Clock::now();
    boot::LoadedKernel kernel;
    std::optional<boot::LoadedInitrd> initrd;
    HEARTH_RETURN_IF_ERROR(machine->LoadImages(config, kernel, initrd));
    machine->loading_us_ = Microseconds(Clock::now() - loading);
    HEARTH_RETURN_IF_ERROR(machine->AddLegacyDevices(config));
    auto devices = DeviceSet::Create(
        config, machine->memory_, loop, machine->vm_, machine->mmio_, machine->options_.mmds);
    if (!devices.ok()) {
        return std::move(devices).error();
    }
    machine->devices_.emplace(std::move(devices).value());
    HEARTH_RETURN_IF_ERROR(
        boot::WriteBootParameters(machine->memory_, kernel, CommandLine(config), initrd));
    HEARTH_RETURN_IF_ERROR(boot::WriteAcpiTables(
        machine->memory_,
        {.vcpu_count = config.machine.vcpu_count, .virtio = machine->devices_->windows()}));
    HEARTH_RETURN_IF_ERROR(machine->AddVcpus(config, kernel));
    if (machine->options_.filter_vmm_thread) {
        HEARTH_RETURN_IF_ERROR(machine->options_.filter_vmm_thread());
    }
    HEARTH_RETURN_IF_ERROR(machine->Resume());
    return machine;
}

Microvm::~Microvm() {
    // All are told before one is waited for.
    for (const auto& vcpu : vcpus_) {
        vcpu->RequestStop();
    }
    for (const auto& vcpu : vcpus_) {
        vcpu->Join();
    }
    if (!vcpus_.empty()) {
        ReportExits();
    }
    if (watches_console_) {
        loop_.Remove(options_.console_in);
    }
    if (serial_ != nullptr) {
        loop_.Remove(serial_->room().fd());
    }
    if (!held_files_.empty()) {
        loop_.Remove(file_lease::Wanted().fd());
    }
    devices_.reset();
}

Status Microvm::LoadImages(
    const VmConfig& config, boot::LoadedKernel& kernel, std::optional<boot::LoadedInitrd>& initrd) {
    // Pages of a file are small ones.
    const boot::ImageFile::Hold hold = config.machine.huge_pages == HugePages::kNone
                                           ? boot::ImageFile::Hold(file_lease::Take)
                                           : nullptr;
    HEARTH_TRY(
        boot::ImageFile image, boot::ImageFile::Open(config.boot_source->kernel_image_path, hold));
    HEARTH_TRY(kernel, boot::LoadKernel(memory_, image));
    const std::size_t kernel_file_bytes = memory_.file_bytes();
    if (kernel_file_bytes > 0) {
        held_files_.push_back(std::move(image));
    }
    if (config.boot_source->initrd_path) {
        HEARTH_TRY(
            boot::ImageFile file, boot::ImageFile::Open(*config.boot_source->initrd_path, hold));
        HEARTH_TRY(initrd, boot::LoadInitrd(memory_, kernel, file));
        if (memory_.file_bytes() > kernel_file_bytes) {
            held_files_.push_back(std::move(file));
        }
    }
    if (held_files_.empty()) {
        return {};
    }
    return loop_.Add(file_lease::Wanted().fd(), EPOLLIN, [this](std::uint32_t) { LetGoOfFiles(); });
}

void Microvm::LetGoOfFiles() {
    file_lease::Wanted().Drain();
    const Clock::time_point started = Clock::now();
    StopVcpus();
    devices_->Drain();
    const Status detached = memory_.DetachFiles();
    if (!detached.ok()) {
        // Whoever changes the file waits until this process has ended.
        vmmlog::Error("{}", detached.error().message());
        End(kExitGeneric);
        return;
    }
    loop_.Remove(file_lease::Wanted().fd());
    held_files_.clear();
    if (!is_paused_) {
        RunVcpus();
    }
    vmmlog::Info(
        "Somebody changes the file of the kernel or initrd: the machine took a copy in {} us",
        Microseconds(Clock::now() - started));
}

Status Microvm::AddLegacyDevices(const VmConfig& config) {
    if (config.serial && config.serial->serial_out_path) {
        // A named pipe without a reader must not stop the machine's start.
        serial_file_ = os::Fd(::open(
            config.serial->serial_out_path->c_str(),
            O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK,
            0644));
        if (!serial_file_.valid()) {
            return errors::System("cannot open " + *config.serial->serial_out_path, errno);
        }
        console_out_ = serial_file_.get();
    }
    if (!serial_file_.valid() && console_out_ >= 0) {
        serial_file_ = ReopenWithoutWaiting(console_out_);
        console_out_ = serial_file_.valid() ? serial_file_.get() : console_out_;
    }
    if (config.serial && config.serial->rate_limiter) {
        const TokenBucketConfig& bucket = *config.serial->rate_limiter;
        console_limit_ = virtio::TokenBucket::Create(
            {.size = bucket.size,
             .one_time_burst = bucket.one_time_burst.value_or(0),
             .refill_time_ms = bucket.refill_time_ms},
            console_clock_->Now());
    }
    HEARTH_TRY(EventFd serial_interrupt, EventFd::Create());
    HEARTH_TRY(EventFd serial_room, EventFd::Create());
    serial_ = std::make_shared<Serial>(
        std::move(serial_interrupt),
        std::move(serial_room),
        [this](std::span<const std::byte> bytes) { ConsoleOutput(bytes); });
    HEARTH_RETURN_IF_ERROR(vm_.AddInterrupt(boot::kSerialGsi, serial_->interrupt()));
    HEARTH_RETURN_IF_ERROR(ports_.Insert(boot::kSerialPort, 8, serial_));

    HEARTH_TRY(EventFd keyboard_interrupt, EventFd::Create());
    keyboard_ = std::make_shared<I8042>(std::move(keyboard_interrupt), [this] {
        // A guest that repeats it must not fill the loop's queue.
        if (!has_reset_.exchange(true)) {
            loop_.Post([this] {
                vmmlog::Info("The guest reset its CPU");
                End(kExitOk);
            });
        }
    });
    HEARTH_RETURN_IF_ERROR(vm_.AddInterrupt(boot::kKeyboardGsi, keyboard_->interrupt()));
    HEARTH_RETURN_IF_ERROR(ports_.Insert(boot::kKeyboardPort, 5, keyboard_));

    if (options_.boot_timer) {
        const auto timer = std::make_shared<BootTimer>([this] { ReportBoot(); });
        HEARTH_RETURN_IF_ERROR(mmio_.Insert(boot::kBootTimer, boot::kVirtioMmioBytes, timer));
    }
    return WatchConsole();
}

Status Microvm::WatchConsole() {
    HEARTH_RETURN_IF_ERROR(loop_.Add(serial_->room().fd(), EPOLLIN, [this](std::uint32_t) {
        serial_->room().Drain();
        if (watches_console_) {
            // The error would say that it is not watched.
            const Status ignored = loop_.Modify(options_.console_in, EPOLLIN);
            static_cast<void>(ignored.ok());
        }
    }));
    if (options_.console_in >= 0) {
        // Files and /dev/null cannot be waited for and are no consoles.
        watches_console_ =
            loop_.Add(options_.console_in, EPOLLIN, [this](std::uint32_t) { ReadConsole(); }).ok();
    }
    return {};
}

void Microvm::ReadConsole() {
    std::array<std::byte, Serial::kInputBytesMax> buffer;
    const std::size_t room = std::min(serial_->input_room(), buffer.size());
    if (room == 0) {
        // Until the guest has read something; a paused one may take its time.
        const Status ignored = loop_.Modify(options_.console_in, 0);
        static_cast<void>(ignored.ok());
        return;
    }
    const ssize_t count = ::read(options_.console_in, buffer.data(), room);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (count <= 0) {
        loop_.Remove(options_.console_in);
        watches_console_ = false;
        return;
    }
    serial_->Input(std::span(buffer).first(static_cast<std::size_t>(count)));
}

void Microvm::ConsoleOutput(std::span<const std::byte> bytes) {
    if (console_out_ < 0) {
        return;
    }
    if (console_limit_) {
        static Counter& dropped = metrics::Get("uart", "rate_limiter_dropped_bytes");
        const std::lock_guard lock(console_mutex_);
        if (!console_limit_->Reduce(bytes.size(), console_clock_->Now()).allowed) {
            dropped.Add(bytes.size());
            return;
        }
    }
    // What cannot be written now is lost, as on a real line: a guest's console makes nobody wait.
    static Counter& missed = metrics::Get("uart", "missed_write_count");
    static Counter& written = metrics::Get("uart", "write_count");
    if (::write(console_out_, bytes.data(), bytes.size()) < 0) {
        missed.Add();
    } else {
        written.Add();
    }
}

Status Microvm::AddVcpus(const VmConfig& config, const boot::LoadedKernel& kernel) {
    HEARTH_TRY(const auto supported, kvm_.SupportedCpuid());
    const boot::CpuTopology topology = {
        .vcpu_count = config.machine.vcpu_count, .smt = config.machine.smt};
    for (std::uint32_t id = 0; id < topology.vcpu_count; ++id) {
        HEARTH_TRY(Vcpu vcpu, Vcpu::Create(vm_, id));
        HEARTH_RETURN_IF_ERROR(
            boot::PrepareVcpu(vcpu, memory_, kernel, boot::MakeCpuid(supported, id, topology)));
        VcpuThread::Hooks hooks = {
            .before_guest = options_.filter_vcpu_thread,
            .ended =
                [this, id](const VcpuThread::End& end) {
                    loop_.Post([this, id, end] {
                        if (end.is_guests) {
                            vmmlog::Info("The guest ended: {} on vCPU {}", end.reason, id);
                        } else {
                            metrics::Get("vcpu", "failures").Add();
                            vmmlog::Error("vCPU {} cannot go on: {}", id, end.reason);
                        }
                        End(end.is_guests ? kExitOk : kExitGeneric);
                    });
                },
            .first_run = nullptr};
        if (id == 0) {
            hooks.first_run = [this] {
                const std::uint64_t wall_us = Microseconds(Clock::now() - started_);
                loop_.Post([this, wall_us] { ReportFirstRun(wall_us); });
            };
        }
        vcpus_.push_back(
            std::make_unique<VcpuThread>(std::move(vcpu), ports_, mmio_, std::move(hooks)));
    }
    for (const auto& vcpu : vcpus_) {
        HEARTH_RETURN_IF_ERROR(vcpu->Start());
    }
    return {};
}

void Microvm::ReportFirstRun(std::uint64_t wall_us) {
    const std::uint64_t kvm_us = kvm_.meter()->nanoseconds.load(std::memory_order_relaxed) / 1000;
    vmmlog::Info(
        "First KVM_RUN after {} us: {} us own, {} us in {} KVM ioctls; {} us of the former took "
        "kernel and initrd",
        wall_us,
        wall_us - std::min(wall_us, kvm_us),
        kvm_us,
        kvm_.meter()->calls.load(std::memory_order_relaxed),
        loading_us_);
}

void Microvm::ReportBoot() {
    if (has_booted_.exchange(true)) {
        return;
    }
    const std::uint64_t wall_us = Microseconds(Clock::now() - started_);
    const std::uint64_t cpu_us = ProcessCpuMicroseconds() - started_cpu_us_;
    const std::uint64_t exits = io_exits();
    loop_.Post([wall_us, cpu_us, exits] {
        vmmlog::Info(
            "Guest-boot-time = {:>6} us {} ms, {:>6} CPU us {} CPU ms",
            wall_us,
            wall_us / 1000,
            cpu_us,
            cpu_us / 1000);
        vmmlog::Info("Guest-boot-exits = {}", exits);
    });
}

std::uint64_t Microvm::io_exits() const {
    std::uint64_t sum = 0;
    for (const auto& vcpu : vcpus_) {
        const ExitCounts& counts = vcpu->counts();
        sum += counts.io_in.load(std::memory_order_relaxed) +
               counts.io_out.load(std::memory_order_relaxed) +
               counts.mmio_read.load(std::memory_order_relaxed) +
               counts.mmio_write.load(std::memory_order_relaxed);
    }
    return sum;
}

void Microvm::ReportExits() const {
    std::uint64_t unclaimed = 0;
    for (const auto& vcpu : vcpus_) {
        unclaimed += vcpu->counts().unclaimed.load(std::memory_order_relaxed);
    }
    vmmlog::Info(
        "vCPU exits: {} for ports and memory, {} of them to no device", io_exits(), unclaimed);
}

void Microvm::CollectMetrics() {
    std::uint64_t io_in = 0;
    std::uint64_t io_out = 0;
    std::uint64_t mmio_read = 0;
    std::uint64_t mmio_write = 0;
    for (const auto& vcpu : vcpus_) {
        const ExitCounts& counts = vcpu->counts();
        io_in += counts.io_in.load(std::memory_order_relaxed);
        io_out += counts.io_out.load(std::memory_order_relaxed);
        mmio_read += counts.mmio_read.load(std::memory_order_relaxed);
        mmio_write += counts.mmio_write.load(std::memory_order_relaxed);
    }
    metrics::Get("vcpu", "exit_io_in").Store(io_in);
    metrics::Get("vcpu", "exit_io_out").Store(io_out);
    metrics::Get("vcpu", "exit_mmio_read").Store(mmio_read);
    metrics::Get("vcpu", "exit_mmio_write").Store(mmio_write);
    devices_->CollectMetrics();
}

void Microvm::End(int exit_code) {
    if (!has_ended_) {
        has_ended_ = true;
        options_.ended(exit_code);
    }
}

void Microvm::StopVcpus() {
    for (const auto& vcpu : vcpus_) {
        vcpu->RequestPause();
    }
    for (const auto& vcpu : vcpus_) {
        vcpu->AwaitPaused();
    }
}

void Microvm::RunVcpus() {
    for (const auto& vcpu : vcpus_) {
        vcpu->RequestRun();
    }
}

Status Microvm::Pause() {
    is_paused_ = true;
    StopVcpus();
    return {};
}

Status Microvm::Resume() {
    is_paused_ = false;
    RunVcpus();
    return {};
}

Status Microvm::SendCtrlAltDel() {
    if (!keyboard_->TriggerCtrlAltDel()) {
        return errors::Unavailable("the guest does not read its keyboard");
    }
    return {};
}

Status Microvm::UpdateDrive(const DriveUpdate& update) {
    return devices_->UpdateDrive(update);
}

Status Microvm::UpdateNetworkInterface(const NetworkInterfaceUpdate& update) {
    return devices_->UpdateNetworkInterface(update);
}

Status Microvm::UpdateBalloon(std::uint32_t amount_mib) {
    return devices_->balloon()->UpdateAmount(amount_mib);
}

Status Microvm::UpdateBalloonStatistics(std::uint16_t stats_polling_interval_s) {
    return devices_->balloon()->UpdateStatisticsInterval(stats_polling_interval_s);
}

Result<BalloonStatistics> Microvm::ReadBalloonStatistics() {
    const auto from = devices_->balloon()->statistics();
    if (!from) {
        return errors::Unavailable("the balloon has no statistics");
    }
    BalloonStatistics to;
    to.target_pages = from->target_pages;
    to.actual_pages = from->actual_pages;
    to.target_mib = from->target_mib;
    to.actual_mib = from->actual_mib;
    to.swap_in = from->swap_in;
    to.swap_out = from->swap_out;
    to.major_faults = from->major_faults;
    to.minor_faults = from->minor_faults;
    to.free_memory = from->free_memory;
    to.total_memory = from->total_memory;
    to.available_memory = from->available_memory;
    to.disk_caches = from->disk_caches;
    to.hugetlb_allocations = from->hugetlb_allocations;
    to.hugetlb_failures = from->hugetlb_failures;
    to.oom_kill = from->oom_kill;
    to.alloc_stall = from->alloc_stall;
    to.async_scan = from->async_scan;
    to.direct_scan = from->direct_scan;
    to.async_reclaim = from->async_reclaim;
    to.direct_reclaim = from->direct_reclaim;
    return to;
}

}  // namespace hearth::vmm
