#pragma once

#include "storage/objects/body_core.h"

#include <memory>

namespace hearth::storage {

std::unique_ptr<BodySink> MakeUpload(BodyCore& core, BodyOptions options);

}  // namespace hearth::storage
