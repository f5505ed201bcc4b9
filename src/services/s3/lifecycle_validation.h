#pragma once

#include "base/result.h"

#include "gen/s3/types_fwd.gen.h"

#include <vector>

namespace hearth::s3 {

// What S3 demands of a lifecycle configuration besides its schema. Pure.
//   errors  MalformedXML, InvalidArgument, InvalidRequest with S3's texts
// Source: S3 User Guide, "Lifecycle configuration elements", "Lifecycle and ... transitions"; the
// texts are S3's own.
Status CheckLifecycle(const std::vector<model::LifecycleRule>& rules);

}  // namespace hearth::s3
