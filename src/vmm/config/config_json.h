#pragma once

#include "base/result.h"
#include "codec/json/json.h"
#include "vmm/config/config.h"

#include <string>
#include <string_view>

// The resources as JSON, in and out. Reading is strict (json_reader.h); what Firecracker knows and
// Hearth does not have is an error that says so, unless its value asks for nothing.
namespace hearth::vmm {

// PUT (`all`): a whole machine configuration, what is left out is the default. PATCH: any part.
Result<MachineConfigUpdate> ParseMachineConfig(const codec::Json& json, bool all);
Result<BootSourceConfig> ParseBootSource(const codec::Json& json);
Result<DriveConfig> ParseDrive(const codec::Json& json);
Result<DriveUpdate> ParseDriveUpdate(const codec::Json& json);
Result<NetworkInterfaceConfig> ParseNetworkInterface(const codec::Json& json);
Result<NetworkInterfaceUpdate> ParseNetworkInterfaceUpdate(const codec::Json& json);
Result<VsockConfig> ParseVsock(const codec::Json& json);
Result<BalloonConfig> ParseBalloon(const codec::Json& json);
Result<EntropyConfig> ParseEntropy(const codec::Json& json);
Result<SerialConfig> ParseSerial(const codec::Json& json);
Result<LoggerConfig> ParseLogger(const codec::Json& json);
Result<MetricsConfig> ParseMetrics(const codec::Json& json);
Result<MmdsConfig> ParseMmdsConfig(const codec::Json& json);

// "Error", "warn", "INFO"...: any case.
std::optional<LogLevel> ParseLogLevel(std::string_view text);
std::optional<MacAddress> ParseMac(std::string_view text);
std::optional<Ipv4Address> ParseIpv4(std::string_view text);
std::string WriteMac(const MacAddress& mac);
std::string WriteIpv4(const Ipv4Address& address);

std::string WriteMachineConfig(const MachineConfig& config);
std::string WriteBalloon(const BalloonConfig& config);
std::string WriteBalloonStatistics(const BalloonStatistics& statistics);

// GET /vm/config: every resource under its name, as a configuration file has it.
std::string WriteVmConfig(const VmConfig& config);

}  // namespace hearth::vmm
