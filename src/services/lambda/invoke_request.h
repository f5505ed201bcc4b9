#pragma once

#include "aws/front/context.h"
#include "base/result.h"
#include "services/lambda/invoker.h"

#include <optional>
#include <string>

// What the two synchronous calls, Invoke and InvokeWithResponseStream, say alike.
namespace hearth::lambda {

struct InvokeFields {
    std::optional<std::string> payload;
    // X-Amz-Client-Context: base64 of a JSON object.
    std::optional<std::string> client_context;
    std::optional<std::string> log_type;
    std::optional<std::string> tenant_id;
};

// Checked; without the function's ARN.
//   errors  RequestEntityTooLargeException, InvalidRequestContentException,
//           InvalidParameterValueException
Result<InvokeRequest> MakeInvokeRequest(const aws::RequestContext& context, InvokeFields fields);

}  // namespace hearth::lambda
