#pragma once

#include "storage/records/record_codec.h"

// Lambda's records are kept as all services' are.
namespace hearth::lambda {

using storage::FieldReader;
using storage::FieldWriter;

}  // namespace hearth::lambda
