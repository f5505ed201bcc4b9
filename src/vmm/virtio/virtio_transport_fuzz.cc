// Any sequence of register accesses and ring changes, to a balloon (most queues, configuration that
// is written) and an entropy source.
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/device_fuzz.h"
#include "vmm/virtio/entropy.h"

namespace {

using namespace hearth::vmm::virtio;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    FuzzInput input(data, size);
    std::shared_ptr<Device> device;
    if (input.Take<std::uint8_t>() % 2 == 0) {
        device = *BalloonDevice::Create(
            {.amount_mib = 1, .stats_polling_interval_s = 100, .free_page_reporting = true});
    } else {
        device = *EntropyDevice::Create({});
    }
    FakeDriver driver(device);
    if (input.Take<std::uint8_t>() % 2 == 0) {
        driver.Start();
    }
    PlayDriver(driver, input);
    return 0;
}
