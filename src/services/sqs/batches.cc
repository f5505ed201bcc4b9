#include "services/sqs/batches.h"

#include "gen/sqs/operations.gen.h"

#include <utility>

namespace hearth::sqs {

bool IsBatchId(std::string_view id) {
    return !id.empty() && id.size() <= kBatchIdCharactersMax && std::ranges::all_of(id, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '-' || c == '_';
    });
}

model::BatchResultErrorEntry FailedEntry(std::string id, const Error& error) {
    model::BatchResultErrorEntry entry;
    entry.id = std::move(id);
    const aws::model::ErrorInfo* info = model::Service().FindError(error.code());
    // What has no code, or one of the store, happened below, and is told to the log alone.
    const bool ours = error.code().empty() || error.kind() == Error::Kind::kInternal ||
                      (error.kind() == Error::Kind::kUnavailable && info == nullptr);
    entry.sender_fault = !ours && error.is_client_fault();
    entry.code = ours              ? std::string("InternalError")
                 : info != nullptr ? std::string(info->query_code)
                                   : error.code();
    entry.message =
        ours ? std::string("The request failed because of an internal error.") : error.message();
    return entry;
}

}  // namespace hearth::sqs
