#pragma once

#include "base/error.h"

#include <string>

// What the engine can answer, with the codes of SQS's JSON protocol; the model knows the older
// names of the query protocol.
namespace hearth::sqs::queue_errors {

Error QueueDoesNotExist();
Error QueueNameExists(const std::string& name);
Error QueueDeletedRecently();
Error PurgeQueueInProgress(const std::string& name);
// `why` follows "The input receipt handle is invalid."; empty for the usual text.
Error ReceiptHandleIsInvalid(const std::string& handle);
Error MessageNotInflight();
Error OverLimit(const std::string& message);
Error InvalidParameterValue(std::string message);
Error ResourceNotFound(std::string message);

}  // namespace hearth::sqs::queue_errors
