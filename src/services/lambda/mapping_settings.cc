#include "services/lambda/mapping_settings.h"

#include "codec/event_pattern/event_pattern.h"
#include "services/lambda/errors.h"
#include "services/lambda/mapping_limits.h"

#include "gen/lambda/types.gen.h"

#include <fmt/format.h>

#include <utility>

namespace hearth::lambda {
namespace {

Error Unsupported(std::string_view parameter) {
    return errors::InvalidParameterValue(
        fmt::format("Unsupported {} parameter for given event source mapping type.", parameter));
}

bool IsEmpty(const model::DestinationConfig& config) {
    const bool success = config.on_success && config.on_success->destination;
    const bool failure = config.on_failure && config.on_failure->destination;
    return !success && !failure;
}

// What streams and brokers have and queues do not.
template <class Request>
Status RefuseForQueues(const Request& request) {
    if (request.parallelization_factor) {
        return Unsupported("parallelization factor");
    }
    if (request.destination_config && !IsEmpty(*request.destination_config)) {
        return Unsupported("DestinationConfig");
    }
    if (request.maximum_record_age_in_seconds) {
        return Unsupported("maximum record age in seconds");
    }
    if (request.bisect_batch_on_function_error) {
        return Unsupported("bisect batch on function error");
    }
    if (request.maximum_retry_attempts) {
        return Unsupported("maximum retry attempts");
    }
    if (request.tumbling_window_in_seconds) {
        return Unsupported("tumbling window in seconds");
    }
    if (request.source_access_configurations && !request.source_access_configurations->empty()) {
        return Unsupported("source access configurations");
    }
    if (request.amazon_managed_kafka_event_source_config ||
        request.self_managed_kafka_event_source_config) {
        return Unsupported("Kafka event source config");
    }
    if (request.document_db_event_source_config) {
        return Unsupported("DocumentDBEventSourceConfig");
    }
    return Status();
}

Status RefuseForQueuesOnCreate(const model::CreateEventSourceMappingRequest& request) {
    if (request.starting_position) {
        return Unsupported("starting position");
    }
    if (request.starting_position_timestamp) {
        return Unsupported("starting position timestamp");
    }
    if (request.topics) {
        return Unsupported("topics");
    }
    if (request.queues) {
        return Unsupported("queues");
    }
    return Status();
}

Status ApplyFilters(const model::FilterCriteria& criteria, MappingRecord& record) {
    std::vector<std::string> patterns;
    if (criteria.filters) {
        for (const auto& filter : *criteria.filters) {
            if (!filter.pattern || !codec::EventPattern::Compile(*filter.pattern).ok()) {
                return errors::InvalidParameterValue("Invalid filter pattern definition.");
            }
            patterns.push_back(*filter.pattern);
        }
    }
    if (patterns.size() > limits::kMappingFiltersMax) {
        return errors::InvalidParameterValue(fmt::format(
            "Exceeded maximum number of filters: an event source mapping has at most {}.",
            limits::kMappingFiltersMax));
    }
    record.filters = std::move(patterns);
    return Status();
}

Status ApplyPollers(const model::ProvisionedPollerConfig& config, MappingRecord& record) {
    if (config.poller_group_name && !config.poller_group_name->empty()) {
        return Unsupported("PollerGroupName");
    }
    if (!config.minimum_pollers && !config.maximum_pollers) {
        record.provisioned.reset();
        return Status();
    }
    ProvisionedPollers pollers = record.provisioned.value_or(ProvisionedPollers());
    pollers.min = config.minimum_pollers.value_or(pollers.min);
    pollers.max = config.maximum_pollers.value_or(std::max(pollers.max, pollers.min));
    if (pollers.min < limits::kPollersMinLeast || pollers.min > limits::kPollersMinMost ||
        pollers.max < pollers.min || pollers.max > limits::kPollersMaxMost) {
        return errors::InvalidParameterValue(fmt::format(
            "MinimumPollers should be between [{}, {}] and MaximumPollers should be between "
            "[MinimumPollers, {}]",
            limits::kPollersMinLeast,
            limits::kPollersMinMost,
            limits::kPollersMaxMost));
    }
    record.provisioned = pollers;
    return Status();
}

Status RefuseOrIgnore(std::string_view setting, bool lenient, std::vector<std::string>& ignored) {
    if (!lenient) {
        return errors::NotSupported(fmt::format("{} of event source mappings", setting));
    }
    ignored.emplace_back(setting);
    return Status();
}

// What both operations have.
template <class Request>
Status Apply(
    const Request& request,
    bool lenient,
    MappingRecord& record,
    std::vector<std::string>& ignored) {
    HEARTH_RETURN_IF_ERROR(RefuseForQueues(request));
    if (request.kms_key_arn && !request.kms_key_arn->empty()) {
        HEARTH_RETURN_IF_ERROR(RefuseOrIgnore("KMSKeyArn", lenient, ignored));
    }
    if (request.metrics_config && request.metrics_config->metrics &&
        !request.metrics_config->metrics->empty()) {
        HEARTH_RETURN_IF_ERROR(RefuseOrIgnore("MetricsConfig", lenient, ignored));
        record.metrics = *request.metrics_config->metrics;
    } else if (request.metrics_config) {
        record.metrics.reset();
    }
    if (request.logging_config && request.logging_config->system_log_level) {
        HEARTH_RETURN_IF_ERROR(RefuseOrIgnore("LoggingConfig", lenient, ignored));
    }
    record.enabled = request.enabled.value_or(record.enabled);
    record.batch_size = request.batch_size.value_or(record.batch_size);
    if (request.maximum_batching_window_in_seconds) {
        record.batch_window = std::chrono::seconds(*request.maximum_batching_window_in_seconds);
    }
    if (record.fifo && record.batch_window.count() > 0) {
        return errors::InvalidParameterValue("Batching window is not supported for FIFO queues");
    }
    if (record.fifo && record.batch_size > limits::kFifoBatchSizeMax) {
        return errors::InvalidParameterValue("Batch size must not exceed 10 for FIFO queues");
    }
    if (record.batch_size > limits::kBatchSizeWithoutWindowMax &&
        record.batch_window.count() == 0) {
        return errors::InvalidParameterValue(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is "
            "greater than 10");
    }
    if (request.filter_criteria) {
        HEARTH_RETURN_IF_ERROR(ApplyFilters(*request.filter_criteria, record));
    }
    if (request.function_response_types) {
        record.report_batch_item_failures = !request.function_response_types->empty();
    }
    if (request.scaling_config) {
        record.concurrency_max = request.scaling_config->maximum_concurrency;
    }
    if (request.provisioned_poller_config) {
        HEARTH_RETURN_IF_ERROR(ApplyPollers(*request.provisioned_poller_config, record));
    }
    if (record.provisioned && record.concurrency_max) {
        return errors::InvalidParameterValue(
            "Provisioned mode for SQS ESM does not support maximum concurrency feature. Use "
            "MaximumPollers as the control mechanism and remove maximum concurrency.");
    }
    return Status();
}

}  // namespace

std::string_view SourceService(std::string_view arn) {
    constexpr std::string_view kPrefix = "arn:aws:";
    if (!arn.starts_with(kPrefix)) {
        return {};
    }
    arn.remove_prefix(kPrefix.size());
    return arn.substr(0, arn.find(':'));
}

Status ApplyMappingSettings(
    const model::CreateEventSourceMappingRequest& request,
    bool lenient,
    MappingRecord& record,
    std::vector<std::string>& ignored) {
    HEARTH_RETURN_IF_ERROR(RefuseForQueuesOnCreate(request));
    return Apply(request, lenient, record, ignored);
}

Status ApplyMappingSettings(
    const model::UpdateEventSourceMappingRequest& request,
    bool lenient,
    MappingRecord& record,
    std::vector<std::string>& ignored) {
    return Apply(request, lenient, record, ignored);
}

Status CheckVisibility(const MessageQueues::Facts& queue, int32_t function_timeout_s) {
    if (queue.visibility_timeout.count() >= function_timeout_s) {
        return Status();
    }
    return errors::InvalidParameterValue(fmt::format(
        "Queue visibility timeout: {} seconds is less than Function timeout: {} seconds",
        queue.visibility_timeout.count(),
        function_timeout_s));
}

std::string_view SettledState(const MappingRecord& record) {
    return record.enabled ? "Enabled" : "Disabled";
}

model::EventSourceMappingConfiguration ShowMapping(
    const MappingRecord& record, std::string_view state) {
    model::EventSourceMappingConfiguration shown;
    shown.uuid = record.id;
    shown.event_source_mapping_arn = record.Arn();
    shown.event_source_arn = record.source_arn;
    shown.function_arn = record.FunctionArn();
    shown.batch_size = record.batch_size;
    shown.maximum_batching_window_in_seconds = static_cast<int32_t>(record.batch_window.count());
    shown.last_modified = record.modified;
    shown.state = std::string(state);
    shown.state_transition_reason = "USER_INITIATED";
    shown.function_response_types.emplace();
    if (record.report_batch_item_failures) {
        shown.function_response_types->push_back("ReportBatchItemFailures");
    }
    if (!record.filters.empty()) {
        auto& filters = shown.filter_criteria.emplace().filters.emplace();
        for (const std::string& pattern : record.filters) {
            filters.emplace_back().pattern = pattern;
        }
    }
    if (record.concurrency_max) {
        shown.scaling_config.emplace().maximum_concurrency = *record.concurrency_max;
    }
    if (record.provisioned) {
        auto& pollers = shown.provisioned_poller_config.emplace();
        pollers.minimum_pollers = record.provisioned->min;
        pollers.maximum_pollers = record.provisioned->max;
    }
    if (record.metrics) {
        shown.metrics_config.emplace().metrics = *record.metrics;
    }
    return shown;
}

}  // namespace hearth::lambda
