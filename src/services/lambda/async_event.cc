#include "services/lambda/async_event.h"

#include "services/lambda/record_codec.h"

namespace hearth::lambda {
namespace {

// Numbers of stored fields: never reused.
enum EventField : uint8_t {
    kAccount = 1,
    kRegion = 2,
    kName = 3,
    kQualifier = 4,
    kFunctionId = 5,
    kRequestId = 6,
    kPayload = 7,
    kClientContext = 8,
    kTraceHeader = 9,
    kRecursions = 10,
    kFailures = 11,
};

enum ReportField : uint8_t {
    kReportAccount = 1,
    kReportRegion = 2,
    kFunctionArn = 3,
    kRoleArn = 4,
    kTargetArn = 5,
    kBody = 6,
    kDeadLetter = 7,
    kReportRequestId = 8,
    kErrorCode = 9,
    kErrorMessage = 10,
    kReportTraceHeader = 11,
    kObjectKey = 12,
};

Status ReadSmall(const FieldReader::Field& field, int32_t& into) {
    HEARTH_TRY(const int64_t value, FieldReader::Integer(field));
    into = static_cast<int32_t>(value);
    return Status();
}

}  // namespace

std::string EncodeAsyncEvent(const AsyncEvent& event) {
    FieldWriter writer;
    writer.Text(kAccount, event.account.text());
    writer.Text(kRegion, event.region.text());
    writer.Text(kName, event.name);
    writer.Text(kQualifier, event.qualifier);
    writer.Text(kFunctionId, event.function_id);
    writer.Text(kRequestId, event.request_id);
    writer.Text(kPayload, event.payload);
    if (!event.client_context.empty()) {
        writer.Text(kClientContext, event.client_context);
    }
    writer.Text(kTraceHeader, event.trace_header);
    writer.Integer(kRecursions, event.recursions);
    writer.Integer(kFailures, event.failures);
    return writer.Take();
}

Result<AsyncEvent> DecodeAsyncEvent(std::string_view bytes) {
    AsyncEvent event;
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return event;
        }
        const auto text = [&] { return std::string(field->bytes); };
        switch (field->number) {
            case kAccount:
                event.account = AccountId(text());
                break;
            case kRegion:
                event.region = Region(text());
                break;
            case kName:
                event.name = text();
                break;
            case kQualifier:
                event.qualifier = text();
                break;
            case kFunctionId:
                event.function_id = text();
                break;
            case kRequestId:
                event.request_id = text();
                break;
            case kPayload:
                event.payload = text();
                break;
            case kClientContext:
                event.client_context = text();
                break;
            case kTraceHeader:
                event.trace_header = text();
                break;
            case kRecursions:
                HEARTH_RETURN_IF_ERROR(ReadSmall(*field, event.recursions));
                break;
            case kFailures:
                HEARTH_RETURN_IF_ERROR(ReadSmall(*field, event.failures));
                break;
            default:
                break;  // written by a newer Hearth
        }
    }
}

std::string EncodeAsyncReport(const AsyncReport& report) {
    FieldWriter writer;
    writer.Text(kReportAccount, report.account.text());
    writer.Text(kReportRegion, report.region.text());
    writer.Text(kFunctionArn, report.function_arn);
    writer.Text(kRoleArn, report.role_arn);
    writer.Text(kTargetArn, report.target_arn);
    writer.Text(kBody, report.body);
    if (report.dead_letter) {
        writer.Integer(kDeadLetter, 1);
        writer.Integer(kErrorCode, report.error_code);
        writer.Text(kErrorMessage, report.error_message);
    }
    writer.Text(kReportRequestId, report.request_id);
    writer.Text(kReportTraceHeader, report.trace_header);
    if (!report.object_key.empty()) {
        writer.Text(kObjectKey, report.object_key);
    }
    return writer.Take();
}

Result<AsyncReport> DecodeAsyncReport(std::string_view bytes) {
    AsyncReport report;
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return report;
        }
        const auto text = [&] { return std::string(field->bytes); };
        switch (field->number) {
            case kReportAccount:
                report.account = AccountId(text());
                break;
            case kReportRegion:
                report.region = Region(text());
                break;
            case kFunctionArn:
                report.function_arn = text();
                break;
            case kRoleArn:
                report.role_arn = text();
                break;
            case kTargetArn:
                report.target_arn = text();
                break;
            case kBody:
                report.body = text();
                break;
            case kDeadLetter:
                report.dead_letter = true;
                break;
            case kReportRequestId:
                report.request_id = text();
                break;
            case kErrorCode:
                HEARTH_RETURN_IF_ERROR(ReadSmall(*field, report.error_code));
                break;
            case kErrorMessage:
                report.error_message = text();
                break;
            case kReportTraceHeader:
                report.trace_header = text();
                break;
            case kObjectKey:
                report.object_key = text();
                break;
            default:
                break;
        }
    }
}

}  // namespace hearth::lambda
