#include "services/lambda/function_record.h"

#include "codec/crypto/crypto.h"
#include "codec/crypto/master_key.h"
#include "services/lambda/function_name.h"
#include "services/lambda/record_codec.h"

namespace hearth::lambda {
namespace {

// Never reused, never renumbered.
enum Number : uint8_t {
    kRevisionId = 1,
    kEnvironmentRevision = 2,
    kDescription = 3,
    kRuntime = 4,
    kHandler = 5,
    kRole = 6,
    kMemoryMb = 7,
    kTimeoutS = 8,
    kEphemeralStorageMb = 9,
    kArchitecture = 10,
    kPackageType = 11,
    kCodeBlob = 12,
    kCodeSha256 = 13,
    kCodeSize = 14,
    kHotReloadDirectory = 15,
    kSealedEnvironment = 16,
    kTracingMode = 17,
    kLogFormat = 18,
    kLogGroup = 19,
    kApplicationLogLevel = 20,
    kSystemLogLevel = 21,
    kIgnored = 22,
    kLastModified = 23,
    kUpdateRuntimeOn = 24,
    kRuntimeVersionArn = 25,
    kLayer = 30,  // one field each, in order
    kCodeUnzippedSize = 31,
    kSnapStart = 40,
    kDeadLetterTarget = 41,
};

constexpr uint8_t kVariable = 1;

std::string EncodeEnvironment(const std::map<std::string, std::string>& variables) {
    FieldWriter writer;
    for (const auto& [name, value] : variables) {
        writer.Pair(kVariable, name, value);
    }
    return writer.Take();
}

Result<std::map<std::string, std::string>> DecodeEnvironment(std::string_view bytes) {
    std::map<std::string, std::string> variables;
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return variables;
        }
        if (field->number == kVariable) {
            HEARTH_TRY(const auto pair, FieldReader::Pair(*field));
            variables.emplace(pair.key, pair.value);
        }
    }
}

// LayerUse: 1 ARN, 2 blob, 3 SHA-256, 4 size, 5 unzipped size.
std::string EncodeLayer(const LayerUse& layer) {
    FieldWriter writer;
    writer.Text(1, layer.arn);
    writer.Text(2, layer.code_blob);
    writer.Text(3, layer.code_sha256);
    writer.Integer(4, layer.code_size);
    writer.Integer(5, layer.unzipped_size);
    return writer.Take();
}

Result<LayerUse> DecodeLayer(std::string_view bytes) {
    LayerUse layer;
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return layer;
        }
        switch (field->number) {
            case 1:
                layer.arn = field->bytes;
                break;
            case 2:
                layer.code_blob = field->bytes;
                break;
            case 3:
                layer.code_sha256 = field->bytes;
                break;
            case 4: {
                HEARTH_TRY(layer.code_size, FieldReader::Integer(*field));
                break;
            }
            case 5: {
                HEARTH_TRY(layer.unzipped_size, FieldReader::Integer(*field));
                break;
            }
            default:
                break;
        }
    }
}

void WriteSettings(const FunctionRecord& record, FieldWriter& writer) {
    writer.Text(kDescription, record.description);
    writer.Text(kRuntime, record.runtime);
    writer.Text(kHandler, record.handler);
    writer.Text(kRole, record.role);
    writer.Integer(kMemoryMb, record.memory_mb);
    writer.Integer(kTimeoutS, record.timeout_s);
    writer.Integer(kEphemeralStorageMb, record.ephemeral_storage_mb);
    writer.Text(kArchitecture, record.architecture);
    writer.Text(kPackageType, record.package_type);
    writer.Text(kCodeSha256, record.code_sha256);
    writer.Text(kHotReloadDirectory, record.hot_reload_directory);
    writer.Text(kTracingMode, record.tracing_mode);
    writer.Text(kLogFormat, record.log_format);
    writer.Text(kLogGroup, record.log_group);
    if (record.application_log_level) {
        writer.Text(kApplicationLogLevel, *record.application_log_level);
    }
    if (record.system_log_level) {
        writer.Text(kSystemLogLevel, *record.system_log_level);
    }
    for (const auto& [name, value] : record.ignored) {
        writer.Pair(kIgnored, name, value);
    }
    for (const LayerUse& layer : record.layers) {
        writer.Text(kLayer, EncodeLayer(layer));
    }
    if (record.snap_start) {
        writer.Integer(kSnapStart, 1);
    }
    if (!record.dead_letter_target.empty()) {
        writer.Text(kDeadLetterTarget, record.dead_letter_target);
    }
}

std::string SealContext(const FunctionRecord& record) {
    return "lambda/environment/" + record.QualifiedArn();
}

}  // namespace

std::string FunctionRecord::Arn() const {
    return FunctionArn(account, region, name);
}

std::string FunctionRecord::QualifiedArn() const {
    return FunctionArn(account, region, name, version);
}

std::string Fingerprint(const FunctionRecord& record) {
    FieldWriter writer;
    WriteSettings(record, writer);
    std::string text = writer.Take();
    text += record.environment ? EncodeEnvironment(*record.environment) : "none";
    return codec::Sha256Base64(text);
}

std::string EncodeRecord(const FunctionRecord& record, const codec::SealingKey& key) {
    FieldWriter writer;
    WriteSettings(record, writer);
    writer.Text(kRevisionId, record.revision_id);
    writer.Text(kEnvironmentRevision, record.environment_revision);
    writer.Text(kCodeBlob, record.code_blob);
    writer.Integer(kCodeSize, record.code_size);
    writer.Integer(kCodeUnzippedSize, record.code_unzipped_size);
    writer.Integer(kLastModified, UnixMs(record.last_modified));
    if (record.update_runtime_on != "Auto") {
        writer.Text(kUpdateRuntimeOn, record.update_runtime_on);
        writer.Text(kRuntimeVersionArn, record.runtime_version_arn);
    }
    if (record.environment) {
        writer.Text(
            kSealedEnvironment,
            key.Seal(EncodeEnvironment(*record.environment), SealContext(record)));
    }
    return writer.Take();
}

Result<FunctionRecord> DecodeRecord(
    std::string_view bytes,
    const codec::SealingKey& key,
    AccountId account,
    Region region,
    std::string name,
    std::string version) {
    FunctionRecord record;
    record.account = std::move(account);
    record.region = std::move(region);
    record.name = std::move(name);
    record.version = std::move(version);
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto next, reader.Next());
        if (!next) {
            return record;
        }
        const FieldReader::Field& field = *next;
        const auto text = [&] { return std::string(field.bytes); };
        const auto small = [&](int32_t& into) -> Status {
            HEARTH_TRY(const int64_t value, FieldReader::Integer(field));
            into = static_cast<int32_t>(value);
            return Status();
        };
        switch (field.number) {
            case kRevisionId:
                record.revision_id = text();
                break;
            case kEnvironmentRevision:
                record.environment_revision = text();
                break;
            case kDescription:
                record.description = text();
                break;
            case kRuntime:
                record.runtime = text();
                break;
            case kHandler:
                record.handler = text();
                break;
            case kRole:
                record.role = text();
                break;
            case kMemoryMb:
                HEARTH_RETURN_IF_ERROR(small(record.memory_mb));
                break;
            case kTimeoutS:
                HEARTH_RETURN_IF_ERROR(small(record.timeout_s));
                break;
            case kEphemeralStorageMb:
                HEARTH_RETURN_IF_ERROR(small(record.ephemeral_storage_mb));
                break;
            case kArchitecture:
                record.architecture = text();
                break;
            case kPackageType:
                record.package_type = text();
                break;
            case kCodeBlob:
                record.code_blob = text();
                break;
            case kCodeSha256:
                record.code_sha256 = text();
                break;
            case kCodeSize: {
                HEARTH_TRY(record.code_size, FieldReader::Integer(field));
                break;
            }
            case kCodeUnzippedSize: {
                HEARTH_TRY(record.code_unzipped_size, FieldReader::Integer(field));
                break;
            }
            case kLayer: {
                HEARTH_TRY(LayerUse layer, DecodeLayer(field.bytes));
                record.layers.push_back(std::move(layer));
                break;
            }
            case kHotReloadDirectory:
                record.hot_reload_directory = text();
                break;
            case kSealedEnvironment: {
                HEARTH_TRY(const std::string plain, key.Open(field.bytes, SealContext(record)));
                HEARTH_TRY(record.environment, DecodeEnvironment(plain));
                break;
            }
            case kSnapStart:
                record.snap_start = true;
                break;
            case kDeadLetterTarget:
                record.dead_letter_target = text();
                break;
            case kTracingMode:
                record.tracing_mode = text();
                break;
            case kLogFormat:
                record.log_format = text();
                break;
            case kLogGroup:
                record.log_group = text();
                break;
            case kApplicationLogLevel:
                record.application_log_level = text();
                break;
            case kSystemLogLevel:
                record.system_log_level = text();
                break;
            case kIgnored: {
                HEARTH_TRY(const auto pair, FieldReader::Pair(field));
                record.ignored.emplace(pair.key, pair.value);
                break;
            }
            case kLastModified: {
                HEARTH_TRY(const int64_t ms, FieldReader::Integer(field));
                record.last_modified = WallClock::time_point(std::chrono::milliseconds(ms));
                break;
            }
            case kUpdateRuntimeOn:
                record.update_runtime_on = text();
                break;
            case kRuntimeVersionArn:
                record.runtime_version_arn = text();
                break;
            default:
                break;  // written by a newer Hearth
        }
    }
}

}  // namespace hearth::lambda
