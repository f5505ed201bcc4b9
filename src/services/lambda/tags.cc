#include "services/lambda/errors.h"
#include "services/lambda/lambda_service.h"
#include "services/lambda/mapping_operations.h"
#include "services/lambda/settings.h"

#include "gen/lambda/types.gen.h"

namespace hearth::lambda {
namespace {

// Of what can have tags at AWS; of these Hearth has functions and event source mappings.
Status CheckResource(const std::string& arn) {
    if (arn.starts_with("arn:aws:lambda:") && arn.find(":function:") != std::string::npos) {
        return Status();
    }
    return errors::Validation(
        arn,
        "resource",
        "Member must satisfy regular expression pattern: "
        "arn:(aws[a-zA-Z-]*):lambda:[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:\\d{12}:("
        "function:"
        "[a-zA-Z0-9-_]+(:(\\$LATEST|[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)|code-signing-config:"
        "csc-"
        "[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]"
        "{4}-"
        "[0-9a-fA-F]{12})");
}

// Tags belong to functions as a whole.
Status CheckTaggable(const FunctionReference& reference) {
    if (!reference.qualifier.empty()) {
        return errors::InvalidParameterValue(
            "Tags on function aliases and versions are not supported. Please specify a function "
            "ARN.");
    }
    return Status();
}

}  // namespace

Task<Result<model::TagResource::Output>> LambdaService::TagResource(
    aws::RequestContext& context, model::TagResource::Input input) {
    if (mappings_ && EventSourceMappings::IsMapping(*input.resource)) {
        HEARTH_CO_RETURN_IF_ERROR(
            co_await mappings_->ChangeTags(context, *input.resource, *input.tags, {}));
        context.response_status = 204;
        co_return model::TagResource::Output();
    }
    HEARTH_CO_RETURN_IF_ERROR(CheckResource(*input.resource));
    HEARTH_CO_TRY(
        const FunctionReference reference, co_await SharedReference(context, input.resource));
    HEARTH_CO_RETURN_IF_ERROR(CheckTaggable(reference));
    const FunctionKey key = KeyOf(reference);
    if (input.tags->empty()) {
        co_return errors::InvalidParameterValue(
            "An error occurred and the request cannot be processed.");
    }
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(auto head, co_await transaction.FindHead(key));
        if (!head) {
            co_return errors::FunctionNotFound(*input.resource);
        }
        HEARTH_CO_RETURN_IF_ERROR(AddTags(*input.tags, head->tags));
        transaction.PutHead(key, *head);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    context.response_status = 204;
    co_return model::TagResource::Output();
}

Task<Result<model::UntagResource::Output>> LambdaService::UntagResource(
    aws::RequestContext& context, model::UntagResource::Input input) {
    if (mappings_ && EventSourceMappings::IsMapping(*input.resource)) {
        HEARTH_CO_RETURN_IF_ERROR(
            co_await mappings_->ChangeTags(context, *input.resource, {}, *input.tag_keys));
        context.response_status = 204;
        co_return model::UntagResource::Output();
    }
    HEARTH_CO_RETURN_IF_ERROR(CheckResource(*input.resource));
    HEARTH_CO_TRY(
        const FunctionReference reference, co_await SharedReference(context, input.resource));
    HEARTH_CO_RETURN_IF_ERROR(CheckTaggable(reference));
    const FunctionKey key = KeyOf(reference);
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(auto head, co_await transaction.FindHead(key));
        if (!head) {
            co_return errors::FunctionNotFound(*input.resource);
        }
        for (const std::string& tag_key : *input.tag_keys) {
            head->tags.erase(tag_key);
        }
        transaction.PutHead(key, *head);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    context.response_status = 204;
    co_return model::UntagResource::Output();
}

Task<Result<model::ListTags::Output>> LambdaService::ListTags(
    aws::RequestContext& context, model::ListTags::Input input) {
    if (mappings_ && EventSourceMappings::IsMapping(*input.resource)) {
        model::ListTags::Output output;
        HEARTH_CO_TRY(output.tags, co_await mappings_->ListTags(context, *input.resource));
        co_return output;
    }
    HEARTH_CO_RETURN_IF_ERROR(CheckResource(*input.resource));
    HEARTH_CO_TRY(
        const FunctionReference reference, co_await SharedReference(context, input.resource));
    HEARTH_CO_RETURN_IF_ERROR(CheckTaggable(reference));
    HEARTH_CO_TRY(const auto head, co_await store_.FindHead(KeyOf(reference)));
    if (!head) {
        co_return errors::FunctionNotFound(*input.resource);
    }
    model::ListTags::Output output;
    output.tags = head->tags;
    co_return output;
}

}  // namespace hearth::lambda
