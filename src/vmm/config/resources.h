#pragma once

#include "vmm/config/config.h"

// The configuration of a microVM before its start, as it grows. Each method takes one resource,
// checks it against what is there already, and keeps it or says why not, in Firecracker's words; a
// refused one changes nothing.
namespace hearth::vmm {

class Resources final {
  public:
    Status Set(const MachineConfigUpdate& update);
    Status Set(const BootSourceConfig& source);  // opens both files to see that they can be read
    Status Set(const DriveConfig& drive);        // replaces the drive of that id
    Status Set(const NetworkInterfaceConfig& interface);
    Status Set(const VsockConfig& vsock);
    Status Set(const BalloonConfig& balloon);
    Status Set(const EntropyConfig& entropy);
    Status Set(const SerialConfig& serial);
    Status Set(const MmdsConfig& mmds);

    VmConfig& config() { return config_; }

    const VmConfig& config() const { return config_; }

  private:
    VmConfig config_;
};

}  // namespace hearth::vmm
