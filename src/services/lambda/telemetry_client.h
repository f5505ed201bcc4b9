#pragma once

#include "base/result.h"
#include "os/fd.h"
#include "rt/task.h"
#include "services/lambda/telemetry_subscription.h"

#include <optional>
#include <string>
#include <string_view>

// Brings a batch of telemetry to a listener inside an environment: hostile, so nothing it says is
// believed but a status, and nothing it sends is kept.
namespace hearth::lambda {

// Connects `socket`, a new one of the environment's network, to the subscription's port on
// loopback.
Task<Status> ConnectTelemetry(int socket, uint16_t port);

// One HTTP request over a connected socket, which is of no use afterwards.
//   errors  Unavailable: it broke off, or the answer was not a success
Task<Status> PostTelemetry(
    int socket, const TelemetrySubscription& subscription, std::string_view body);

// All of `bytes` over a connected socket.
Task<Status> SendTelemetry(int socket, std::string_view bytes);

// The status of an HTTP answer's first line; nullopt while it is incomplete, 0 when it is none.
std::optional<int> ParseAnswerStatus(std::string_view head);

}  // namespace hearth::lambda
