#include "services/sqs/addresses.h"
#include "services/sqs/attribute_values.h"
#include "services/sqs/errors.h"
#include "services/sqs/sqs_service.h"

#include <utility>

namespace hearth::sqs {

Task<Result<model::GetQueueAttributes::Output>> SqsService::GetQueueAttributes(
    aws::RequestContext& context, model::GetQueueAttributes::Input input) {
    HEARTH_CO_TRY(
        const Found found, co_await FindQueue(context, input.queue_url, "GetQueueAttributes"));
    model::GetQueueAttributes::Output output;
    const auto names = std::move(input.attribute_names).value_or(std::vector<std::string>());
    if (names.empty()) {
        co_return output;
    }
    std::optional<QueueCounts> counts;
    if (AsksForCounts(names)) {
        HEARTH_CO_TRY(counts, co_await engine_->Counts(found.address));
    }
    HEARTH_CO_TRY(
        auto shown,
        ShowAttributes(found.address, *found.record, names, counts ? &*counts : nullptr));
    if (!shown.empty()) {
        output.attributes = std::move(shown);
    }
    co_return output;
}

Task<Result<model::SetQueueAttributes::Output>> SqsService::SetQueueAttributes(
    aws::RequestContext& context, model::SetQueueAttributes::Input input) {
    HEARTH_CO_TRY(const Found found, co_await FindOwnQueue(context, input.queue_url));
    if (!input.attributes || input.attributes->empty()) {
        co_return errors::MissingParameter("Attribute.Name");
    }
    HEARTH_CO_RETURN_IF_ERROR(TakeOutUnsupported(context, *input.attributes));
    QueueRecord wanted = *found.record;
    HEARTH_CO_RETURN_IF_ERROR(ApplyAttributes(*input.attributes, false, wanted));
    HEARTH_CO_RETURN_IF_ERROR(
        co_await CheckRedrive(found.address, wanted.settings, *input.attributes));
    const auto change = [given = std::move(*input.attributes)](QueueRecord& record) {
        return ApplyAttributes(given, false, record);
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await engine_->Update(found.address, change));
    co_return model::SetQueueAttributes::Output();
}

}  // namespace hearth::sqs
