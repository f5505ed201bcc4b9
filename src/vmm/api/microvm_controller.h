#pragma once

#include "vmm/api/controller.h"
#include "vmm/config/resources.h"
#include "vmm/mmds/data_store.h"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

// The controller of the program: what may be asked before the start and what after it, with
// Firecracker's words for what may not; the configuration that grows request by request; the data
// store of the guest's metadata; and, once started, the machine.
namespace hearth::vmm {

struct InstanceOptions {
    std::string id = "anonymous-instance";
    std::string version;
    std::size_t mmds_bytes_max = 51'200;
};

class MicrovmController final : public Controller {
  public:
    MicrovmController(InstanceOptions options, MachineStarter start);
    ~MicrovmController() override;

    Result<ActionReply> Do(const ActionRequest& request) override;

    // What a network device asks; lives as long as the controller. One thread: the VMM's.
    std::shared_ptr<MmdsDataStore> mmds() const { return mmds_; }

    const VmConfig& config() const { return resources_.config(); }

    bool started() const { return machine_ != nullptr; }

    // Collects the machine's counters and writes a line of metrics.
    Status WriteMetrics();

    // Before the machine's parts (event loop, KVM) go.
    void DestroyMachine() { machine_.reset(); }

  private:
    struct Visitor;

    InstanceOptions options_;
    MachineStarter start_;
    Resources resources_;
    std::shared_ptr<MmdsDataStore> mmds_;
    std::unique_ptr<RunningMachine> machine_;
    bool paused_ = false;
};

// The JSON of a file of metadata (--metadata) into the data store.
Status LoadMetadata(MicrovmController& controller, std::string_view text);

// Every part of a configuration file, done as if each had come over the API, in the order in which
// they depend on each other; then the start.
Status ConfigureFromFile(Controller& controller, std::string_view text);

}  // namespace hearth::vmm
