#pragma once

#include "vmm/virtio/metrics.h"

#include <string>

// A device's own counters into the monitor's metrics, under Firecracker's names. Counters that do
// not go to the monitor directly: devices know nothing of who reads them.
namespace hearth::vmm {

void StoreMetrics(const virtio::BalloonMetrics& counters);
void StoreMetrics(const std::string& drive_id, const virtio::BlockMetrics& counters);
void StoreMetrics(const std::string& iface_id, const virtio::NetMetrics& counters);
void StoreMetrics(const virtio::VsockMetrics& counters);
void StoreMetrics(const virtio::EntropyMetrics& counters);

}  // namespace hearth::vmm
