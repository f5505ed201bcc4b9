#pragma once

#include "base/result.h"
#include "hearth/cloud/options.h"

#include <memory>

namespace hearth::cloud {

// Everything of the cloud process, put together: the only place that knows which store, which
// sandbox and which services there are. Used from the main thread, which is no loop.
class Cloud final {
  public:
    explicit Cloud(CloudOptions options);
    ~Cloud();

    Cloud(const Cloud&) = delete;
    Cloud& operator=(const Cloud&) = delete;

    // Opens the data directory (the working directory), starts the services in their order and then
    // accepts requests. After an error, Stop.
    //   errors  kUnavailable: worth another try; others: a restart will not cure it.
    Status Start();

    // Accepts no more, lets what is in flight end (at most kStopGrace), stops the services in the
    // opposite order, flushes the store. Idempotent.
    void Stop();

  private:
    struct Parts;

    CloudOptions options_;
    std::unique_ptr<Parts> parts_;
};

}  // namespace hearth::cloud
