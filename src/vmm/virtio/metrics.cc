#include "vmm/virtio/metrics.h"

namespace hearth::vmm::virtio {

InterruptMetrics& interrupt_metrics() {
    static InterruptMetrics metrics;
    return metrics;
}

}  // namespace hearth::vmm::virtio
