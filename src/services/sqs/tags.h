#pragma once

#include "base/result.h"

#include <map>
#include <string>
#include <string_view>

namespace hearth::sqs {

// Whether `given` may join the tags `present`. Source: Amazon SQS Developer Guide, "Amazon SQS
// cost allocation tags".
//   errors  InvalidParameterValue
Status CheckTags(
    std::string_view queue_name,
    const std::map<std::string, std::string>& given,
    const std::map<std::string, std::string>& present);

}  // namespace hearth::sqs
