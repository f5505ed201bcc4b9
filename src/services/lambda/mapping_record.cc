#include "services/lambda/mapping_record.h"

#include "services/lambda/function_name.h"
#include "services/lambda/record_codec.h"

#include <fmt/format.h>

#include <utility>

namespace hearth::lambda {
namespace {

// Never reused, never renumbered.
enum Number : uint8_t {
    kSourceArn = 1,
    kFifo = 2,
    kFunctionName = 3,
    kQualifier = 4,
    kEnabled = 5,
    kBatchSize = 6,
    kBatchWindow = 7,
    kFilter = 8,  // one field each
    kReportBatchItemFailures = 9,
    kConcurrencyMax = 10,
    kPollersMin = 11,
    kPollersMax = 12,
    kHasMetrics = 14,
    kMetric = 15,
    kTag = 16,
    kModified = 17,
};

}  // namespace

std::string MappingRecord::Arn() const {
    return fmt::format(
        "arn:aws:lambda:{}:{}:event-source-mapping:{}", region.text(), account.text(), id);
}

std::string MappingRecord::FunctionArn() const {
    return lambda::FunctionArn(account, region, function_name, qualifier);
}

std::string EncodeMapping(const MappingRecord& record) {
    FieldWriter writer;
    writer.Text(kSourceArn, record.source_arn);
    writer.Integer(kFifo, record.fifo ? 1 : 0);
    writer.Text(kFunctionName, record.function_name);
    writer.Text(kQualifier, record.qualifier);
    writer.Integer(kEnabled, record.enabled ? 1 : 0);
    writer.Integer(kBatchSize, record.batch_size);
    writer.Integer(kBatchWindow, record.batch_window.count());
    for (const std::string& filter : record.filters) {
        writer.Text(kFilter, filter);
    }
    writer.Integer(kReportBatchItemFailures, record.report_batch_item_failures ? 1 : 0);
    if (record.concurrency_max) {
        writer.Integer(kConcurrencyMax, *record.concurrency_max);
    }
    if (record.provisioned) {
        writer.Integer(kPollersMin, record.provisioned->min);
        writer.Integer(kPollersMax, record.provisioned->max);
    }
    if (record.metrics) {
        writer.Integer(kHasMetrics, 1);
        for (const std::string& metric : *record.metrics) {
            writer.Text(kMetric, metric);
        }
    }
    for (const auto& [key, value] : record.tags) {
        writer.Pair(kTag, key, value);
    }
    writer.Integer(kModified, UnixMs(record.modified));
    return writer.Take();
}

Result<MappingRecord> DecodeMapping(
    std::string_view bytes, AccountId account, Region region, std::string id) {
    MappingRecord record;
    record.account = std::move(account);
    record.region = std::move(region);
    record.id = std::move(id);
    const auto pollers = [&record]() -> ProvisionedPollers& {
        if (!record.provisioned) {
            record.provisioned.emplace();
        }
        return *record.provisioned;
    };
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return record;
        }
        switch (field->number) {
            case kSourceArn:
                record.source_arn = field->bytes;
                break;
            case kFunctionName:
                record.function_name = field->bytes;
                break;
            case kQualifier:
                record.qualifier = field->bytes;
                break;
            case kFilter:
                record.filters.emplace_back(field->bytes);
                break;
            case kMetric:
                if (record.metrics) {
                    record.metrics->emplace_back(field->bytes);
                }
                break;
            case kTag: {
                HEARTH_TRY(const auto tag, FieldReader::Pair(*field));
                record.tags.emplace(tag.key, tag.value);
                break;
            }
            case kFifo:
            case kEnabled:
            case kBatchSize:
            case kBatchWindow:
            case kReportBatchItemFailures:
            case kConcurrencyMax:
            case kPollersMin:
            case kPollersMax:
            case kHasMetrics:
            case kModified: {
                HEARTH_TRY(const int64_t value, FieldReader::Integer(*field));
                if (field->number == kFifo) {
                    record.fifo = value != 0;
                } else if (field->number == kEnabled) {
                    record.enabled = value != 0;
                } else if (field->number == kBatchSize) {
                    record.batch_size = static_cast<int32_t>(value);
                } else if (field->number == kBatchWindow) {
                    record.batch_window = std::chrono::seconds(value);
                } else if (field->number == kReportBatchItemFailures) {
                    record.report_batch_item_failures = value != 0;
                } else if (field->number == kConcurrencyMax) {
                    record.concurrency_max = static_cast<int32_t>(value);
                } else if (field->number == kPollersMin) {
                    pollers().min = static_cast<int32_t>(value);
                } else if (field->number == kPollersMax) {
                    pollers().max = static_cast<int32_t>(value);
                } else if (field->number == kHasMetrics) {
                    record.metrics.emplace();
                } else {
                    record.modified = WallClock::time_point(std::chrono::milliseconds(value));
                }
                break;
            }
            default:
                break;  // written by a newer Hearth
        }
    }
}

}  // namespace hearth::lambda
