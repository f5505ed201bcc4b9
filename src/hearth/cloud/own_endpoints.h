#pragma once

#include "aws/front/admin.h"
#include "aws/front/gateway.h"
#include "flow/clock_advance.h"
#include "flow/courier.h"
#include "hearth/cloud/options.h"
#include "sandbox/host_sandbox.h"

namespace hearth::cloud {

// What the endpoints show; all of it outlives them.
struct OwnEndpointsView {
    const CloudOptions& options;
    int threads = 0;
    aws::Dispatcher& dispatcher;
    aws::Metrics& metrics;
    const WallClock& wall_clock;
    const CloudClock& cloud_clock;
    // Null without a host.
    sandbox::HostSandbox* sandbox = nullptr;
    // Null without --test-clock.
    flow::ClockAdvance* clock_advance = nullptr;
    // Null: it shows no deliveries.
    flow::Courier* courier = nullptr;
    // Set before the first request.
    aws::Gateway* gateway = nullptr;
};

// GET  /_hearth/health         what monitors ask; served only when everything has started
// GET  /_hearth/metrics        Prometheus
// GET  /_hearth/status         what `hearth status` shows
// GET  /_hearth/deliveries     lanes of the caller's account with anything pending;
// ?kind=K&lane=PART POST /_hearth/clock/advance  {"by": "90d"} or ?by=90d; with --test-clock `view`
// must outlive the endpoints.
void AddOwnEndpoints(aws::AdminEndpoints& endpoints, OwnEndpointsView& view);

}  // namespace hearth::cloud
