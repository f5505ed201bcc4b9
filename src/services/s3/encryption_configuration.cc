#include "services/s3/control_errors.h"
#include "services/s3/control_operations.h"
#include "services/s3/errors.h"
#include "services/s3/value_or_empty.h"

// Encryption by default. Everything is encrypted with SSE-S3 whatever is configured; other ways
// need KMS, which Hearth does not have.
namespace hearth::s3 {
namespace {

Status CheckEncryptionRule(const model::ServerSideEncryptionRule& rule) {
    if (!rule.apply_server_side_encryption_by_default) {
        return rule.blocked_encryption_types ? Status() : Status(errors::MalformedXml());
    }
    const auto& by_default = *rule.apply_server_side_encryption_by_default;
    const std::string algorithm = by_default.sse_algorithm.value_or("");
    if (algorithm != "AES256" && algorithm != "aws:kms" && algorithm != "aws:kms:dsse") {
        return errors::MalformedXml();
    }
    if (algorithm != "AES256") {
        return errors::NotImplemented(
            "Default encryption with AWS KMS keys is not implemented: Hearth has no KMS. AES256 "
            "is.",
            "SSEAlgorithm");
    }
    if (by_default.kms_master_key_id) {
        return Error(
                   Error::Kind::kInvalid,
                   "InvalidArgument",
                   "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms "
                   "or aws:kms:dsse",
                   400)
            .WithField("ArgumentName", "ApplyServerSideEncryptionByDefault");
    }
    return Status();
}

}  // namespace

Task<Result<model::PutBucketEncryption::Output>> ControlOperations::PutBucketEncryption(
    aws::RequestContext& context, model::PutBucketEncryption::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    if (!input.server_side_encryption_configuration ||
        !input.server_side_encryption_configuration->rules ||
        input.server_side_encryption_configuration->rules->size() != 1) {
        co_return errors::MalformedXml();
    }
    auto& rule = input.server_side_encryption_configuration->rules->front();
    HEARTH_CO_RETURN_IF_ERROR(CheckEncryptionRule(rule));
    rule.bucket_key_enabled = rule.bucket_key_enabled.value_or(false);
    HEARTH_CO_RETURN_IF_ERROR(co_await Write(
        std::move(bucket),
        std::string(setting::kEncryption),
        EncodeSetting(model::PutBucketEncryption::Descriptor(), &input)));
    co_return model::PutBucketEncryption::Output();
}

Task<Result<model::GetBucketEncryption::Output>> ControlOperations::GetBucketEncryption(
    aws::RequestContext& context, model::GetBucketEncryption::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_TRY(auto put, Read<model::PutBucketEncryption>(*bucket, setting::kEncryption));
    model::ServerSideEncryptionConfiguration configuration;
    if (put && put->server_side_encryption_configuration) {
        configuration = *std::move(put->server_side_encryption_configuration);
    }
    if (!configuration.rules || configuration.rules->empty()) {
        configuration.rules.emplace(1);
        configuration.rules->front().bucket_key_enabled = false;
    }
    auto& rule = configuration.rules->front();
    if (!rule.apply_server_side_encryption_by_default) {
        rule.apply_server_side_encryption_by_default.emplace();
        rule.apply_server_side_encryption_by_default->sse_algorithm = "AES256";
    }
    model::GetBucketEncryption::Output output;
    output.server_side_encryption_configuration = std::move(configuration);
    co_return output;
}

Task<Result<model::DeleteBucketEncryption::Output>> ControlOperations::DeleteBucketEncryption(
    aws::RequestContext& context, model::DeleteBucketEncryption::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_RETURN_IF_ERROR(
        co_await Write(std::move(bucket), std::string(setting::kEncryption), std::nullopt));
    co_return model::DeleteBucketEncryption::Output();
}

}  // namespace hearth::s3
