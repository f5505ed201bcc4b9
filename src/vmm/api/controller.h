#pragma once

#include "base/result.h"
#include "codec/json/json.h"
#include "vmm/config/config.h"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>

// The line between those who ask (the HTTP API, a configuration file) and the machine.
//
// A request becomes one ActionRequest: parsed and valid on its own. A Controller does it, on the
// VMM thread, one after the other, and answers a JSON text or an Error whose message is the
// `fault_message` and whose http_status is the status. The controller the program uses is
// MicrovmController (microvm_controller.h): it knows what is allowed when, keeps the configuration
// before the start, and asks a RunningMachine for what needs a running one.
namespace hearth::vmm {

struct GetInstanceInformation {};

struct GetVersion {};

struct GetVmConfig {};

struct GetMachineConfig {};

struct GetBalloon {};

struct GetBalloonStatistics {};

struct GetMmds {};

struct PutMmds {
    codec::Json value;
};

struct PatchMmds {
    codec::Json value;
};

struct StartInstance {};

struct FlushMetrics {};

struct SendCtrlAltDel {};

struct PauseVm {};

struct ResumeVm {};

struct UpdateBalloon {
    std::uint32_t amount_mib = 0;
};

struct UpdateBalloonStatistics {
    std::uint16_t stats_polling_interval_s = 0;
};

// PUT /machine-config says all, PATCH what changes; both come as an update.
using ActionRequest = std::variant<
    GetInstanceInformation,
    GetVersion,
    GetVmConfig,
    GetMachineConfig,
    GetBalloon,
    GetBalloonStatistics,
    GetMmds,
    PutMmds,
    PatchMmds,
    StartInstance,
    FlushMetrics,
    SendCtrlAltDel,
    PauseVm,
    ResumeVm,
    MachineConfigUpdate,
    BootSourceConfig,
    DriveConfig,
    DriveUpdate,
    NetworkInterfaceConfig,
    NetworkInterfaceUpdate,
    VsockConfig,
    BalloonConfig,
    UpdateBalloon,
    UpdateBalloonStatistics,
    EntropyConfig,
    SerialConfig,
    LoggerConfig,
    MetricsConfig,
    MmdsConfig>;

// What an action answers: a JSON text (status 200), or nothing (status 204).
using ActionReply = std::optional<std::string>;

class Controller {
  public:
    virtual ~Controller() = default;

    // On the VMM thread.
    virtual Result<ActionReply> Do(const ActionRequest& request) = 0;
};

// A microVM that was started. All on the VMM thread. The messages of its errors say what happened
// ("No such file or directory"); the controller puts Firecracker's words before them.
class RunningMachine {
  public:
    virtual ~RunningMachine() = default;

    virtual Status Pause() = 0;   // nothing to do where it is paused
    virtual Status Resume() = 0;  // nothing to do where it runs
    virtual Status SendCtrlAltDel() = 0;

    // The controller has checked that the device is there (in VmConfig).
    virtual Status UpdateDrive(const DriveUpdate& update) = 0;
    virtual Status UpdateNetworkInterface(const NetworkInterfaceUpdate& update) = 0;

    // The amount is at most the guest's memory.
    virtual Status UpdateBalloon(std::uint32_t amount_mib) = 0;
    // Only where statistics are on; never 0.
    virtual Status UpdateBalloonStatistics(std::uint16_t stats_polling_interval_s) = 0;
    virtual Result<BalloonStatistics> ReadBalloonStatistics() = 0;

    // Counters its devices keep, put into the metrics before each flush; see observe/metrics.h.
    virtual void CollectMetrics() {}
};

// Builds the machine of a complete configuration and lets it run. On the VMM thread.
using MachineStarter =
    std::function<Result<std::unique_ptr<RunningMachine>>(const VmConfig& config)>;

}  // namespace hearth::vmm
