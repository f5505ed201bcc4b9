#pragma once

#include "storage/objects/body_core.h"

#include <memory>
#include <vector>

namespace hearth::storage {

Task<Result<std::unique_ptr<BodySource>>> OpenDownload(
    BodyCore& core, std::vector<StoredBody> bodies, OpenOptions options);

}  // namespace hearth::storage
