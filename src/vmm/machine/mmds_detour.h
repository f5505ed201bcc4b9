#pragma once

#include "vmm/mmds/data_store.h"
#include "vmm/virtio/net.h"

#include <memory>

namespace hearth::vmm {

// The metadata service as a network device meets it.
std::shared_ptr<virtio::FrameDetour> MakeMmdsDetour(std::shared_ptr<MmdsDataStore> store);

}  // namespace hearth::vmm
