#include "services/s3/control_errors.h"
#include "services/s3/control_operations.h"
#include "services/s3/errors.h"
#include "services/s3/value_or_empty.h"

#include <algorithm>

namespace hearth::s3 {
namespace {

constexpr size_t kRoutingRulesMax = 50;

Status CheckProtocol(const std::optional<std::string>& protocol) {
    if (protocol && *protocol != "http" && *protocol != "https") {
        return errors::InvalidRequest(
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be "
            "selected automatically.");
    }
    return Status();
}

bool IsNumber(std::string_view text, int least, int most) {
    if (text.size() != 3 ||
        !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
        return false;
    }
    const int value = std::atoi(std::string(text).c_str());
    return value >= least && value <= most;
}

Status CheckRoutingRule(const model::RoutingRule& rule) {
    if (!rule.redirect) {
        return errors::MalformedXml();
    }
    const model::Redirect& redirect = *rule.redirect;
    if (!redirect.host_name && !redirect.http_redirect_code && !redirect.protocol &&
        !redirect.replace_key_prefix_with && !redirect.replace_key_with) {
        return errors::InvalidRequest("Redirect cannot be empty.");
    }
    if (redirect.replace_key_prefix_with && redirect.replace_key_with) {
        return errors::InvalidRequest(
            "You can only define ReplaceKeyPrefix or ReplaceKey but not both.");
    }
    HEARTH_RETURN_IF_ERROR(CheckProtocol(redirect.protocol));
    if (redirect.http_redirect_code && !IsNumber(*redirect.http_redirect_code, 300, 399)) {
        return errors::InvalidRequest(
            "The provided HTTP redirect code (" + *redirect.http_redirect_code +
            ") is not valid. Valid codes are 3XX except 300.");
    }
    if (rule.condition) {
        const model::Condition& condition = *rule.condition;
        if (!condition.key_prefix_equals && !condition.http_error_code_returned_equals) {
            return errors::InvalidRequest(
                "Condition cannot be empty. To redirect all requests without a condition, the "
                "condition element shouldn't be present.");
        }
        if (condition.http_error_code_returned_equals &&
            !IsNumber(*condition.http_error_code_returned_equals, 400, 599)) {
            return errors::InvalidRequest(
                "The provided HTTP error code (" + *condition.http_error_code_returned_equals +
                ") is not valid. Valid codes are 4XX or 5XX.");
        }
    }
    return Status();
}

Status CheckWebsite(const std::optional<model::WebsiteConfiguration>& configuration) {
    if (!configuration) {
        return errors::MalformedXml();
    }
    if (configuration->redirect_all_requests_to) {
        if (configuration->index_document || configuration->error_document ||
            configuration->routing_rules) {
            return errors::InvalidArgument(
                "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.",
                "RedirectAllRequestsTo",
                "not null");
        }
        if (ValueOrEmpty(configuration->redirect_all_requests_to->host_name).empty()) {
            return errors::MalformedXml();
        }
        return CheckProtocol(configuration->redirect_all_requests_to->protocol);
    }
    if (!configuration->index_document) {
        return errors::InvalidArgument(
            "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty",
            "IndexDocument",
            "null");
    }
    const std::string suffix = ValueOrEmpty(configuration->index_document->suffix);
    if (suffix.empty() || suffix.find('/') != std::string::npos) {
        return errors::InvalidArgument(
            "The IndexDocument Suffix is not well formed", "IndexDocument", suffix);
    }
    if (configuration->error_document && ValueOrEmpty(configuration->error_document->key).empty()) {
        return errors::MalformedXml();
    }
    if (configuration->routing_rules) {
        if (configuration->routing_rules->empty()) {
            return errors::MalformedXml();
        }
        if (configuration->routing_rules->size() > kRoutingRulesMax) {
            return errors::InvalidRequest("The number of routing rules must be no greater than 50");
        }
        for (const model::RoutingRule& rule : *configuration->routing_rules) {
            HEARTH_RETURN_IF_ERROR(CheckRoutingRule(rule));
        }
    }
    return Status();
}

}  // namespace

Task<Result<model::PutBucketWebsite::Output>> ControlOperations::PutBucketWebsite(
    aws::RequestContext& context, model::PutBucketWebsite::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_RETURN_IF_ERROR(CheckWebsite(input.website_configuration));
    HEARTH_CO_RETURN_IF_ERROR(co_await Write(
        std::move(bucket),
        std::string(setting::kWebsite),
        EncodeSetting(model::PutBucketWebsite::Descriptor(), &input)));
    co_return model::PutBucketWebsite::Output();
}

Task<Result<model::GetBucketWebsite::Output>> ControlOperations::GetBucketWebsite(
    aws::RequestContext& context, model::GetBucketWebsite::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_TRY(auto put, Read<model::PutBucketWebsite>(*bucket, setting::kWebsite));
    if (!put || !put->website_configuration) {
        co_return errors::NoSuchWebsiteConfiguration(bucket->record.name);
    }
    model::GetBucketWebsite::Output output;
    output.redirect_all_requests_to =
        std::move(put->website_configuration->redirect_all_requests_to);
    output.index_document = std::move(put->website_configuration->index_document);
    output.error_document = std::move(put->website_configuration->error_document);
    output.routing_rules = std::move(put->website_configuration->routing_rules);
    co_return output;
}

Task<Result<model::DeleteBucketWebsite::Output>> ControlOperations::DeleteBucketWebsite(
    aws::RequestContext& context, model::DeleteBucketWebsite::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_RETURN_IF_ERROR(
        co_await Write(std::move(bucket), std::string(setting::kWebsite), std::nullopt));
    co_return model::DeleteBucketWebsite::Output();
}

}  // namespace hearth::s3
