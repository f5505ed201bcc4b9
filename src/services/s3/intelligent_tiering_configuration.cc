#include "services/s3/control_errors.h"
#include "services/s3/control_operations.h"
#include "services/s3/errors.h"
#include "services/s3/value_or_empty.h"

#include <algorithm>
#include <set>

namespace hearth::s3 {
namespace {

constexpr size_t kConfigurationsMax = 1'000;
constexpr size_t kPageSize = 100;
constexpr size_t kIdMax = 64;
constexpr int32_t kDaysMax = 730;
constexpr int32_t kArchiveDaysMin = 90;
constexpr int32_t kDeepArchiveDaysMin = 180;

Status CheckTiering(
    const std::optional<std::string>& id,
    const std::optional<model::IntelligentTieringConfiguration>& configuration) {
    if (!configuration || !configuration->id || configuration->id != id || id->empty() ||
        id->size() > kIdMax ||
        (configuration->status != "Enabled" && configuration->status != "Disabled")) {
        return errors::MalformedXml();
    }
    const auto tierings = ValueOrEmpty(configuration->tierings);
    if (tierings.empty()) {
        return errors::MalformedXml();
    }
    std::set<std::string> seen;
    for (const model::Tiering& tiering : tierings) {
        const bool deep = tiering.access_tier == "DEEP_ARCHIVE_ACCESS";
        if ((!deep && tiering.access_tier != "ARCHIVE_ACCESS") || !tiering.days ||
            !seen.insert(*tiering.access_tier).second) {
            return errors::MalformedXml();
        }
        if (*tiering.days < (deep ? kDeepArchiveDaysMin : kArchiveDaysMin) ||
            *tiering.days > kDaysMax) {
            return errors::InvalidArgument(
                deep ? "'Days' for DEEP_ARCHIVE_ACCESS must be between 180 and 730"
                     : "'Days' for ARCHIVE_ACCESS must be between 90 and 730",
                "Days",
                std::to_string(*tiering.days));
        }
    }
    if (configuration->filter) {
        const auto& filter = *configuration->filter;
        if ((filter.prefix ? 1 : 0) + (filter.tag ? 1 : 0) + (filter.and_ ? 1 : 0) > 1) {
            return errors::MalformedXml();
        }
    }
    return Status();
}

std::string Kind(const std::optional<std::string>& id) {
    return std::string(setting::kIntelligentTiering) + id.value_or("");
}

}  // namespace

Task<Result<model::PutBucketIntelligentTieringConfiguration::Output>>
ControlOperations::PutBucketIntelligentTieringConfiguration(
    aws::RequestContext& context, model::PutBucketIntelligentTieringConfiguration::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_RETURN_IF_ERROR(CheckTiering(input.id, input.intelligent_tiering_configuration));
    const std::string kind = Kind(input.id);
    const auto count =
        std::count_if(bucket->settings.begin(), bucket->settings.end(), [](const auto& record) {
            return record.first.starts_with(setting::kIntelligentTiering);
        });
    if (bucket->Setting(kind) == nullptr && static_cast<size_t>(count) >= kConfigurationsMax) {
        co_return Error(
            Error::Kind::kInvalid,
            "TooManyConfigurations",
            "You are attempting to create a new configuration but have already reached the "
            "1,000-configuration limit.",
            400);
    }
    HEARTH_CO_RETURN_IF_ERROR(co_await Write(
        std::move(bucket),
        kind,
        EncodeSetting(model::PutBucketIntelligentTieringConfiguration::Descriptor(), &input)));
    co_return model::PutBucketIntelligentTieringConfiguration::Output();
}

Task<Result<model::GetBucketIntelligentTieringConfiguration::Output>>
ControlOperations::GetBucketIntelligentTieringConfiguration(
    aws::RequestContext& context, model::GetBucketIntelligentTieringConfiguration::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_TRY(
        auto put, Read<model::PutBucketIntelligentTieringConfiguration>(*bucket, Kind(input.id)));
    if (!put) {
        co_return errors::NoSuchConfiguration(bucket->record.name);
    }
    model::GetBucketIntelligentTieringConfiguration::Output output;
    output.intelligent_tiering_configuration = std::move(put->intelligent_tiering_configuration);
    co_return output;
}

Task<Result<model::DeleteBucketIntelligentTieringConfiguration::Output>>
ControlOperations::DeleteBucketIntelligentTieringConfiguration(
    aws::RequestContext& context, model::DeleteBucketIntelligentTieringConfiguration::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const std::string kind = Kind(input.id);
    if (bucket->Setting(kind) == nullptr) {
        co_return errors::NoSuchConfiguration(bucket->record.name);
    }
    HEARTH_CO_RETURN_IF_ERROR(co_await Write(std::move(bucket), kind, std::nullopt));
    co_return model::DeleteBucketIntelligentTieringConfiguration::Output();
}

Task<Result<model::ListBucketIntelligentTieringConfigurations::Output>>
ControlOperations::ListBucketIntelligentTieringConfigurations(
    aws::RequestContext& context, model::ListBucketIntelligentTieringConfigurations::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    model::ListBucketIntelligentTieringConfigurations::Output output;
    output.continuation_token = input.continuation_token;
    output.is_truncated = false;
    // The token is the id to go on with.
    for (auto it = bucket->settings.lower_bound(Kind(input.continuation_token));
         it != bucket->settings.end() && it->first.starts_with(setting::kIntelligentTiering);
         ++it) {
        if (!output.intelligent_tiering_configuration_list) {
            output.intelligent_tiering_configuration_list.emplace();
        }
        if (output.intelligent_tiering_configuration_list->size() == kPageSize) {
            output.is_truncated = true;
            output.next_continuation_token = it->first.substr(setting::kIntelligentTiering.size());
            break;
        }
        HEARTH_CO_TRY(
            auto put, DecodeSetting<model::PutBucketIntelligentTieringConfiguration>(it->second));
        output.intelligent_tiering_configuration_list->push_back(
            ValueOrEmpty(std::move(put.intelligent_tiering_configuration)));
    }
    co_return output;
}

}  // namespace hearth::s3
