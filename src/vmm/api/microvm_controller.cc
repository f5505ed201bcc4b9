#include "vmm/api/microvm_controller.h"

#include "vmm/config/config_json.h"
#include "vmm/config/faults.h"
#include "vmm/config/json_reader.h"
#include "vmm/observe/logger.h"
#include "vmm/observe/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace hearth::vmm {
namespace {

using codec::Json;

// The version of Firecracker's API that is spoken; what a client asks before it relies on a field.
constexpr std::string_view kApiVersion = "1.17.0";

Error Prefixed(std::string_view prefix, const Error& error) {
    return Error(
        error.kind(), "", fmt::format("{}{}", prefix, error.message()), 400, error.where());
}

Result<ActionReply> Done(Status status) {
    if (!status.ok()) {
        return std::move(status).error();
    }
    return ActionReply();
}

Result<ActionReply> DoneOr(std::string_view prefix, const Status& status) {
    if (!status.ok()) {
        return Prefixed(prefix, status.error());
    }
    return ActionReply();
}

std::uint64_t NowUs() {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                          std::chrono::steady_clock::now().time_since_epoch())
                                          .count());
}

// A bucket that is set replaces the one that was; one without a limit takes it away.
void MergeLimiter(
    std::optional<RateLimiterConfig>& kept, const std::optional<RateLimiterConfig>& update) {
    if (!update) {
        return;
    }
    RateLimiterConfig merged = kept.value_or(RateLimiterConfig{});
    const auto merge = [](std::optional<TokenBucketConfig>& bucket,
                          const std::optional<TokenBucketConfig>& change) {
        if (change) {
            bucket = change->unlimited() ? std::nullopt : change;
        }
    };
    merge(merged.bandwidth, update->bandwidth);
    merge(merged.ops, update->ops);
    kept = merged.bandwidth || merged.ops ? std::optional(merged) : std::nullopt;
}

}  // namespace

// One function per action; the checks of state come first.
struct MicrovmController::Visitor {
    MicrovmController& self;

    bool started() const { return self.machine_ != nullptr; }

    VmConfig& config() const { return self.resources_.config(); }

    template <class Resource>
    Result<ActionReply> Set(const Resource& resource) const {
        if (started()) {
            return faults::AfterBoot();
        }
        return Done(self.resources_.Set(resource));
    }

    Result<ActionReply> operator()(const GetInstanceInformation&) const {
        codec::JsonWriter out;
        out.BeginObject();
        out.Key("id");
        out.String(self.options_.id);
        out.Key("state");
        out.String(!started() ? "Not started" : self.paused_ ? "Paused" : "Running");
        out.Key("vmm_version");
        out.String(self.options_.version);
        out.Key("app_name");
        out.String("hearth-vmm");
        out.EndObject();
        return ActionReply(out.Take());
    }

    Result<ActionReply> operator()(const GetVersion&) const {
        codec::JsonWriter out;
        out.BeginObject();
        out.Key("firecracker_version");
        out.String(fmt::format("{}+hearth", kApiVersion));
        out.EndObject();
        return ActionReply(out.Take());
    }

    Result<ActionReply> operator()(const GetVmConfig&) const {
        return ActionReply(WriteVmConfig(config()));
    }

    Result<ActionReply> operator()(const GetMachineConfig&) const {
        return ActionReply(WriteMachineConfig(config().machine));
    }

    Result<ActionReply> operator()(const GetBalloon&) const {
        if (!config().balloon) {
            return faults::Bad("Balloon config error: No balloon device found.");
        }
        return ActionReply(WriteBalloon(*config().balloon));
    }

    Result<ActionReply> operator()(const GetBalloonStatistics&) const {
        if (!started()) {
            return faults::BeforeBoot();
        }
        if (!config().balloon) {
            return faults::Bad("Balloon config error: No balloon device found.");
        }
        if (config().balloon->stats_polling_interval_s == 0) {
            return faults::Bad(
                "Balloon config error: Statistics for the balloon device are not enabled");
        }
        auto statistics = self.machine_->ReadBalloonStatistics();
        if (!statistics.ok()) {
            return Prefixed("Balloon config error: ", statistics.error());
        }
        return ActionReply(WriteBalloonStatistics(*statistics));
    }

    Result<ActionReply> operator()(const GetMmds&) const { return ActionReply(self.mmds_->Text()); }

    static Result<ActionReply> Stored(const Status& status) {
        if (status.ok()) {
            return ActionReply();
        }
        const bool too_large = status.error().http_status() == 413;
        return Error(
            Error::Kind::kInvalid,
            "",
            fmt::format(
                "{}{}",
                too_large ? "MMDS limit exceeded error: " : "MMDS error: ",
                status.error().message()),
            too_large ? 413 : 400);
    }

    Result<ActionReply> operator()(const PutMmds& request) const {
        return Stored(self.mmds_->Put(request.value));
    }

    Result<ActionReply> operator()(const PatchMmds& request) const {
        return Stored(self.mmds_->Patch(request.value));
    }

    Result<ActionReply> operator()(const StartInstance&) const {
        if (started()) {
            return faults::AfterBoot();
        }
        if (!config().boot_source) {
            return faults::Bad(
                "Start microvm error: Cannot start microvm without kernel configuration.");
        }
        auto machine = self.start_(config());
        if (!machine.ok()) {
            return Prefixed("Start microvm error: ", machine.error());
        }
        self.machine_ = std::move(*machine);
        vmmlog::Info("The microVM was started.");
        // As Firecracker does: one line of metrics when the instance starts.
        if (auto status = self.WriteMetrics(); !status.ok()) {
            vmmlog::Error("{}", status.error().message());
        }
        return ActionReply();
    }

    Result<ActionReply> operator()(const FlushMetrics&) const {
        return started() ? Done(self.WriteMetrics()) : Result<ActionReply>(faults::BeforeBoot());
    }

    Result<ActionReply> operator()(const SendCtrlAltDel&) const {
        if (!started()) {
            return faults::BeforeBoot();
        }
        return DoneOr("Internal VMM error: ", self.machine_->SendCtrlAltDel());
    }

    Result<ActionReply> Change(
        std::string_view name, bool paused, Status (RunningMachine::*change)()) const {
        if (!started()) {
            return faults::BeforeBoot();
        }
        const std::uint64_t began_us = NowUs();
        const auto status = (self.machine_.get()->*change)();
        if (!status.ok()) {
            return Prefixed("Internal VMM error: ", status.error());
        }
        self.paused_ = paused;
        const std::uint64_t took_us = NowUs() - began_us;
        metrics::Get("latencies_us", fmt::format("{}_vm", name), true).Store(took_us);
        metrics::Get("latencies_us", fmt::format("vmm_{}_vm", name), true).Store(took_us);
        vmmlog::Info("'{} vm' VMM action took {} us.", name, took_us);
        return ActionReply();
    }

    Result<ActionReply> operator()(const PauseVm&) const {
        return Change("pause", true, &RunningMachine::Pause);
    }

    Result<ActionReply> operator()(const ResumeVm&) const {
        return Change("resume", false, &RunningMachine::Resume);
    }

    Result<ActionReply> operator()(const DriveUpdate& update) const {
        if (!started()) {
            return faults::BeforeBoot();
        }
        auto& drives = config().drives;
        const auto drive = std::ranges::find(drives, update.drive_id, &DriveConfig::drive_id);
        constexpr std::string_view kPrefix =
            "Drive config error: Unable to patch the block device: ";
        if (drive == drives.end()) {
            return faults::Bad(fmt::format(
                "{}Device manager error: Could not find a virtio device of the id {}. Please "
                "verify the request arguments.",
                kPrefix,
                update.drive_id));
        }
        if (!update.path_on_host && !update.rate_limiter) {
            return faults::Bad(fmt::format(
                "{}Device manager error: Running method expected different backend. Please "
                "verify the request arguments.",
                kPrefix));
        }
        const auto status = self.machine_->UpdateDrive(update);
        if (!status.ok()) {
            return faults::Bad(fmt::format(
                "{}{}. Please verify the request arguments.", kPrefix, status.error().message()));
        }
        drive->path_on_host = update.path_on_host.value_or(drive->path_on_host);
        MergeLimiter(drive->rate_limiter, update.rate_limiter);
        return ActionReply();
    }

    Result<ActionReply> operator()(const NetworkInterfaceUpdate& update) const {
        if (!started()) {
            return faults::BeforeBoot();
        }
        auto& interfaces = config().network_interfaces;
        const auto interface =
            std::ranges::find(interfaces, update.iface_id, &NetworkInterfaceConfig::iface_id);
        if (interface == interfaces.end()) {
            return faults::Bad(fmt::format(
                "Network config error: Could not find a virtio device of the id {}.",
                update.iface_id));
        }
        const auto status = self.machine_->UpdateNetworkInterface(update);
        if (!status.ok()) {
            return Prefixed("Network config error: ", status.error());
        }
        MergeLimiter(interface->rx_rate_limiter, update.rx_rate_limiter);
        MergeLimiter(interface->tx_rate_limiter, update.tx_rate_limiter);
        return ActionReply();
    }

    Result<ActionReply> operator()(const UpdateBalloon& update) const {
        if (!started()) {
            return faults::BeforeBoot();
        }
        if (!config().balloon) {
            return faults::Bad("Balloon update error: No balloon device found.");
        }
        if (update.amount_mib > config().machine.mem_size_mib) {
            return faults::Bad("Balloon update error: Amount of pages requested is too large.");
        }
        const auto status = self.machine_->UpdateBalloon(update.amount_mib);
        if (status.ok()) {
            config().balloon->amount_mib = update.amount_mib;
        }
        return DoneOr("Balloon update error: ", status);
    }

    Result<ActionReply> operator()(const UpdateBalloonStatistics& update) const {
        if (!started()) {
            return faults::BeforeBoot();
        }
        if (!config().balloon) {
            return faults::Bad("Balloon update error: No balloon device found.");
        }
        auto& interval_s = config().balloon->stats_polling_interval_s;
        if ((interval_s == 0) != (update.stats_polling_interval_s == 0)) {
            return faults::Bad(
                "Balloon update error: Cannot enable/disable the statistics after boot.");
        }
        if (interval_s == 0) {
            return ActionReply();  // off, and stays off
        }
        const auto status = self.machine_->UpdateBalloonStatistics(update.stats_polling_interval_s);
        if (status.ok()) {
            interval_s = update.stats_polling_interval_s;
        }
        return DoneOr("Balloon update error: ", status);
    }

    Result<ActionReply> operator()(const MachineConfigUpdate& update) const { return Set(update); }

    Result<ActionReply> operator()(const BootSourceConfig& source) const { return Set(source); }

    Result<ActionReply> operator()(const DriveConfig& drive) const { return Set(drive); }

    Result<ActionReply> operator()(const NetworkInterfaceConfig& interface) const {
        return Set(interface);
    }

    Result<ActionReply> operator()(const VsockConfig& vsock) const { return Set(vsock); }

    Result<ActionReply> operator()(const BalloonConfig& balloon) const { return Set(balloon); }

    Result<ActionReply> operator()(const EntropyConfig& entropy) const { return Set(entropy); }

    Result<ActionReply> operator()(const SerialConfig& serial) const { return Set(serial); }

    Result<ActionReply> operator()(const LoggerConfig& logger) const {
        if (started()) {
            return faults::AfterBoot();
        }
        HEARTH_RETURN_IF_ERROR(vmmlog::Configure(logger));
        config().logger = logger;
        return ActionReply();
    }

    Result<ActionReply> operator()(const MetricsConfig& wanted) const {
        if (started()) {
            return faults::AfterBoot();
        }
        HEARTH_RETURN_IF_ERROR(metrics::Configure(wanted.metrics_path));
        config().metrics = wanted;
        return ActionReply();
    }

    Result<ActionReply> operator()(const MmdsConfig& mmds) const {
        auto reply = Set(mmds);
        if (reply.ok()) {
            self.mmds_->config = mmds;
        }
        return reply;
    }
};

MicrovmController::MicrovmController(InstanceOptions options, MachineStarter start)
    : options_(std::move(options)),
      start_(std::move(start)),
      mmds_(std::make_shared<MmdsDataStore>(options_.mmds_bytes_max)) {
    mmds_->tokens.SetScope(fmt::format("microvmid={}", options_.id));
}

MicrovmController::~MicrovmController() = default;

Result<ActionReply> MicrovmController::Do(const ActionRequest& request) {
    return std::visit(Visitor{*this}, request);
}

Status MicrovmController::WriteMetrics() {
    if (machine_) {
        machine_->CollectMetrics();
    }
    return metrics::Flush();
}

Status LoadMetadata(MicrovmController& controller, std::string_view text) {
    auto json = codec::ParseJson(text);
    if (!json.ok()) {
        return faults::Bad(
            "MMDS error: metadata provided not valid json: " + json.error().message());
    }
    return controller.mmds()->Put(std::move(*json));
}

namespace {

Status Tell(Controller& controller, const ActionRequest& request) {
    auto reply = controller.Do(request);
    return reply.ok() ? Status() : Status(reply.error());
}

template <class T>
Status One(
    Controller& controller,
    const Json& file,
    std::string_view name,
    Result<T> (*parse)(const Json&)) {
    const auto* value = file.Find(name);
    if (value == nullptr || value->is_null()) {
        return {};
    }
    HEARTH_TRY(auto parsed, parse(*value));
    return Tell(controller, std::move(parsed));
}

template <class T>
Status Each(
    Controller& controller,
    const Json& file,
    std::string_view name,
    Result<T> (*parse)(const Json&)) {
    const auto* value = file.Find(name);
    if (value == nullptr || value->is_null()) {
        return {};
    }
    const auto* items = value->AsArray();
    if (items == nullptr) {
        return faults::Bad(fmt::format("Invalid JSON: `{}` is not a sequence", name));
    }
    for (const auto& item : *items) {
        HEARTH_TRY(auto parsed, parse(item));
        HEARTH_RETURN_IF_ERROR(Tell(controller, std::move(parsed)));
    }
    return {};
}

Result<MachineConfigUpdate> ParseWholeMachineConfig(const Json& json) {
    return ParseMachineConfig(json, true);
}

}  // namespace

Status ConfigureFromFile(Controller& controller, std::string_view text) {
    auto parsed = codec::ParseJson(text);
    if (!parsed.ok()) {
        return faults::Bad("Invalid JSON: " + parsed.error().message());
    }
    const Json& file = *parsed;
    JsonReader reader(
        file,
        "VmmConfig",
        {"balloon",
         "drives",
         "boot-source",
         "cpu-config",
         "logger",
         "machine-config",
         "metrics",
         "mmds-config",
         "network-interfaces",
         "vsock",
         "entropy",
         "pmem",
         "serial",
         "memory-hotplug"});
    HEARTH_RETURN_IF_ERROR(reader.status());
    if (reader.Has("cpu-config")) {
        return faults::NotSupported("CPU templates.");
    }
    if (reader.Has("memory-hotplug")) {
        return faults::NotSupported("memory hotplug.");
    }
    if (const auto* pmem = reader.OptionalValue("pmem");
        pmem != nullptr && (pmem->AsArray() == nullptr || !pmem->AsArray()->empty())) {
        return faults::NotSupported("pmem devices.");
    }
    HEARTH_RETURN_IF_ERROR(One(controller, file, "logger", &ParseLogger));
    HEARTH_RETURN_IF_ERROR(One(controller, file, "metrics", &ParseMetrics));
    HEARTH_RETURN_IF_ERROR(One(controller, file, "machine-config", &ParseWholeMachineConfig));
    HEARTH_RETURN_IF_ERROR(One(controller, file, "boot-source", &ParseBootSource));
    HEARTH_RETURN_IF_ERROR(Each(controller, file, "drives", &ParseDrive));
    HEARTH_RETURN_IF_ERROR(Each(controller, file, "network-interfaces", &ParseNetworkInterface));
    HEARTH_RETURN_IF_ERROR(One(controller, file, "vsock", &ParseVsock));
    HEARTH_RETURN_IF_ERROR(One(controller, file, "balloon", &ParseBalloon));
    HEARTH_RETURN_IF_ERROR(One(controller, file, "mmds-config", &ParseMmdsConfig));
    HEARTH_RETURN_IF_ERROR(One(controller, file, "entropy", &ParseEntropy));
    HEARTH_RETURN_IF_ERROR(One(controller, file, "serial", &ParseSerial));
    return Tell(controller, StartInstance{});
}

}  // namespace hearth::vmm
