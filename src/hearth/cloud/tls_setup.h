#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "hearth/cloud/options.h"

#include <memory>

namespace hearth::http {
class TlsContext;
}

namespace hearth::cloud {

// The certificate that --tls asks for, from the data directory (the working directory) or the given
// descriptors; null for --tls off.
Result<std::shared_ptr<http::TlsContext>> MakeTls(const CloudOptions& options, WallClock& clock);

}  // namespace hearth::cloud
