#include "services/s3/bucket_settings.h"

#include "aws/protocol/json.h"
#include "base/log.h"
#include "codec/json/json.h"
#include "services/s3/value_or_empty.h"

#include "gen/s3/operations.gen.h"

#include <algorithm>

namespace hearth::s3 {
namespace {

using aws::model::Member;

const Member& PayloadOf(const aws::model::Operation& put) {
    const Member* payload = put.input == nullptr ? nullptr : put.input->Payload();
    CHECK(payload != nullptr, "{} has no payload", put.name);
    return *payload;
}

// The record of a setting, when it is there and was not taken away.
const std::string* Configured(const BucketSettings::Records& records, std::string_view kind) {
    const auto it = records.find(kind);
    return it == records.end() || it->second == setting::kRemoved ? nullptr : &it->second;
}

bool WasRemoved(const BucketSettings::Records& records, std::string_view kind) {
    const auto it = records.find(kind);
    return it != records.end() && it->second == setting::kRemoved;
}

CorsRules CompileCors(model::CORSConfiguration configuration) {
    std::vector<CorsRule> rules;
    for (model::CORSRule& from : ValueOrEmpty(configuration.cors_rules)) {
        CorsRule rule;
        rule.origins = ValueOrEmpty(std::move(from.allowed_origins));
        rule.methods = ValueOrEmpty(std::move(from.allowed_methods));
        rule.allowed_headers = ValueOrEmpty(std::move(from.allowed_headers));
        for (std::string& name : rule.allowed_headers) {
            std::transform(name.begin(), name.end(), name.begin(), [](char c) {
                return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
            });
        }
        rule.expose_headers = ValueOrEmpty(std::move(from.expose_headers));
        rule.max_age_s = from.max_age_seconds;
        rules.push_back(std::move(rule));
    }
    return CorsRules(std::move(rules));
}

std::vector<std::pair<std::string, std::string>> TagPairs(
    const std::optional<std::vector<model::Tag>>& tags) {
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const model::Tag& tag : ValueOrEmpty(tags)) {
        pairs.emplace_back(tag.key.value_or(""), tag.value.value_or(""));
    }
    return pairs;
}

CloudClock::time_point OnCloud(WallClock::time_point time) {
    return CloudClock::time_point(time.time_since_epoch());
}

LifecycleRule CompileLifecycleRule(const model::LifecycleRule& from) {
    LifecycleRule rule;
    rule.id = from.id.value_or("");
    rule.enabled = from.status == "Enabled";
    rule.prefix = from.prefix.value_or("");
    if (from.filter) {
        const model::LifecycleRuleFilter& filter = *from.filter;
        if (filter.prefix) {
            rule.prefix = *filter.prefix;
        }
        if (filter.tag) {
            rule.tags.emplace_back(filter.tag->key.value_or(""), filter.tag->value.value_or(""));
        }
        rule.size_greater_than = filter.object_size_greater_than;
        rule.size_less_than = filter.object_size_less_than;
        if (filter.and_) {
            rule.prefix = filter.and_->prefix.value_or("");
            rule.tags = TagPairs(filter.and_->tags);
            rule.size_greater_than = filter.and_->object_size_greater_than;
            rule.size_less_than = filter.and_->object_size_less_than;
        }
    }
    if (from.expiration) {
        if (from.expiration->days) {
            rule.expiration = LifecycleTime{from.expiration->days, std::nullopt};
        } else if (from.expiration->date) {
            rule.expiration = LifecycleTime{std::nullopt, OnCloud(*from.expiration->date)};
        }
        rule.expired_delete_marker = from.expiration->expired_object_delete_marker.value_or(false);
    }
    for (const model::Transition& step : ValueOrEmpty(from.transitions)) {
        LifecycleTransition transition;
        if (step.date) {
            transition.when.date = OnCloud(*step.date);
        } else {
            transition.when.days = step.days.value_or(0);
        }
        transition.storage_class = step.storage_class.value_or("");
        rule.transitions.push_back(std::move(transition));
    }
    if (from.noncurrent_version_expiration) {
        rule.noncurrent_expiration_days =
            from.noncurrent_version_expiration->noncurrent_days.value_or(0);
        rule.noncurrent_expiration_newer_versions =
            from.noncurrent_version_expiration->newer_noncurrent_versions.value_or(0);
    }
    for (const model::NoncurrentVersionTransition& step :
         ValueOrEmpty(from.noncurrent_version_transitions)) {
        rule.noncurrent_transitions.push_back(
            {step.noncurrent_days.value_or(0),
             step.newer_noncurrent_versions.value_or(0),
             step.storage_class.value_or("")});
    }
    if (from.abort_incomplete_multipart_upload) {
        rule.abort_multipart_days =
            from.abort_incomplete_multipart_upload->days_after_initiation.value_or(0);
    }
    return rule;
}

WebsiteRules CompileWebsite(const model::WebsiteConfiguration& from) {
    WebsiteRules rules;
    if (from.redirect_all_requests_to) {
        rules.redirect_all = true;
        rules.redirect_host = from.redirect_all_requests_to->host_name.value_or("");
        rules.redirect_protocol = from.redirect_all_requests_to->protocol.value_or("");
        return rules;
    }
    if (from.index_document) {
        rules.index_suffix = from.index_document->suffix.value_or("");
    }
    if (from.error_document) {
        rules.error_key = from.error_document->key.value_or("");
    }
    for (const model::RoutingRule& rule : ValueOrEmpty(from.routing_rules)) {
        WebsiteRoutingRule routing;
        if (rule.condition) {
            routing.key_prefix = rule.condition->key_prefix_equals.value_or("");
            routing.error_code =
                std::atoi(rule.condition->http_error_code_returned_equals.value_or("0").c_str());
        }
        if (rule.redirect) {
            routing.redirect.host = rule.redirect->host_name.value_or("");
            routing.redirect.protocol = rule.redirect->protocol.value_or("");
            routing.redirect.replace_key = rule.redirect->replace_key_with;
            routing.redirect.replace_prefix = rule.redirect->replace_key_prefix_with;
            if (rule.redirect->http_redirect_code) {
                routing.redirect.status = std::atoi(rule.redirect->http_redirect_code->c_str());
            }
        }
        rules.routing.push_back(std::move(routing));
    }
    return rules;
}

TieringRule CompileTiering(const model::IntelligentTieringConfiguration& from) {
    TieringRule rule;
    rule.id = from.id.value_or("");
    if (from.filter) {
        rule.prefix = from.filter->prefix.value_or("");
        if (from.filter->tag) {
            rule.tags.emplace_back(
                from.filter->tag->key.value_or(""), from.filter->tag->value.value_or(""));
        }
        if (from.filter->and_) {
            rule.prefix = from.filter->and_->prefix.value_or("");
            rule.tags = TagPairs(from.filter->and_->tags);
        }
    }
    for (const model::Tiering& tier : ValueOrEmpty(from.tierings)) {
        (tier.access_tier == "DEEP_ARCHIVE_ACCESS" ? rule.deep_archive_days : rule.archive_days) =
            tier.days;
    }
    return rule;
}

std::shared_ptr<const NotificationRules> CompileNotificationSetting(
    const model::PutBucketNotificationConfiguration::Input& put) {
    NotificationRules rules = CompileNotifications(ValueOrEmpty(put.notification_configuration));
    return rules.all().empty() ? nullptr
                               : std::make_shared<const NotificationRules>(std::move(rules));
}

LoggingTarget CompileLogging(const model::LoggingEnabled& from) {
    LoggingTarget target;
    target.bucket = from.target_bucket.value_or("");
    target.prefix = from.target_prefix.value_or("");
    if (from.target_object_key_format && from.target_object_key_format->partitioned_prefix) {
        target.partitioned = true;
        target.by_delivery_time =
            from.target_object_key_format->partitioned_prefix->partition_date_source ==
            "DeliveryTime";
    }
    return target;
}

}  // namespace

std::string EncodeSetting(const aws::model::Operation& put, const void* input) {
    const Member& payload = PayloadOf(put);
    const void* value = payload.Get(input);
    codec::JsonWriter writer;
    if (value == nullptr) {
        writer.BeginObject();
        writer.EndObject();
    } else {
        aws::protocol::EncodeJsonStructure(*payload.shape, value, writer);
    }
    return writer.Take();
}

Status DecodeSettingInto(const aws::model::Operation& put, std::string_view record, void* input) {
    const Member& payload = PayloadOf(put);
    auto json = codec::ParseJson(record);
    if (!json.ok()) {
        return errors::Internal("a setting of a bucket is damaged: " + json.error().message());
    }
    auto decoded = aws::protocol::DecodeJsonStructure(
        model::Service(), *payload.shape, *json, payload.Emplace(input));
    if (!decoded.ok()) {
        return errors::Internal("a setting of a bucket is damaged: " + decoded.error().message());
    }
    return Status();
}

Result<BucketSettings> BucketSettings::Compile(const Records& records) {
    BucketSettings settings;
    if (WasRemoved(records, setting::kOwnership)) {
        settings.ownership = ObjectOwnership::kObjectWriter;
    } else if (const std::string* record = Configured(records, setting::kOwnership)) {
        HEARTH_TRY(const auto input, DecodeSetting<model::PutBucketOwnershipControls>(*record));
        if (input.ownership_controls && input.ownership_controls->rules &&
            !input.ownership_controls->rules->empty()) {
            const auto& rule = input.ownership_controls->rules->front();
            settings.ownership = rule.object_ownership == "ObjectWriter"
                                     ? ObjectOwnership::kObjectWriter
                                 : rule.object_ownership == "BucketOwnerPreferred"
                                     ? ObjectOwnership::kBucketOwnerPreferred
                                     : ObjectOwnership::kBucketOwnerEnforced;
        }
    }
    if (WasRemoved(records, setting::kPublicAccessBlock)) {
        settings.public_access_block.reset();
    } else if (const std::string* record = Configured(records, setting::kPublicAccessBlock)) {
        HEARTH_TRY(const auto input, DecodeSetting<model::PutPublicAccessBlock>(*record));
        if (input.public_access_block_configuration) {
            const auto& from = *input.public_access_block_configuration;
            settings.public_access_block = PublicAccessBlock{
                from.block_public_acls.value_or(false),
                from.ignore_public_acls.value_or(false),
                from.block_public_policy.value_or(false),
                from.restrict_public_buckets.value_or(false)};
        }
    }
    if (const std::string* record = Configured(records, setting::kObjectLock)) {
        HEARTH_TRY(const auto input, DecodeSetting<model::PutObjectLockConfiguration>(*record));
        if (input.object_lock_configuration && input.object_lock_configuration->rule &&
            input.object_lock_configuration->rule->default_retention) {
            const auto& from = *input.object_lock_configuration->rule->default_retention;
            settings.default_retention = DefaultRetention{
                from.mode.value_or(""), from.days.value_or(0), from.years.value_or(0)};
        }
    }
    if (const std::string* record = Configured(records, setting::kEncryption)) {
        HEARTH_TRY(const auto input, DecodeSetting<model::PutBucketEncryption>(*record));
        if (input.server_side_encryption_configuration &&
            input.server_side_encryption_configuration->rules) {
            for (const auto& rule : *input.server_side_encryption_configuration->rules) {
                if (rule.blocked_encryption_types &&
                    rule.blocked_encryption_types->encryption_type) {
                    const auto& types = *rule.blocked_encryption_types->encryption_type;
                    settings.blocks_customer_keys =
                        std::find(types.begin(), types.end(), "SSE-C") != types.end();
                }
            }
        }
    }
    if (const std::string* record = Configured(records, setting::kLogging)) {
        HEARTH_TRY(const auto input, DecodeSetting<model::PutBucketLogging>(*record));
        if (input.bucket_logging_status && input.bucket_logging_status->logging_enabled) {
            settings.logging = CompileLogging(*input.bucket_logging_status->logging_enabled);
        }
    }
    if (const std::string* record = Configured(records, setting::kCors)) {
        HEARTH_TRY(auto input, DecodeSetting<model::PutBucketCors>(*record));
        settings.cors = std::make_shared<const CorsRules>(
            CompileCors(ValueOrEmpty(std::move(input.cors_configuration))));
    }
    if (const std::string* record = Configured(records, setting::kLifecycle)) {
        HEARTH_TRY(
            const auto input, DecodeSetting<model::PutBucketLifecycleConfiguration>(*record));
        std::vector<LifecycleRule> rules;
        if (input.lifecycle_configuration && input.lifecycle_configuration->rules) {
            for (const model::LifecycleRule& rule : *input.lifecycle_configuration->rules) {
                rules.push_back(CompileLifecycleRule(rule));
            }
        }
        const std::string* minimum = Configured(records, setting::kLifecycleMinimum);
        settings.lifecycle = std::make_shared<const LifecycleRules>(
            std::move(rules), minimum != nullptr && *minimum == "varies_by_storage_class");
    }
    if (const std::string* record = Configured(records, setting::kNotification)) {
        HEARTH_TRY(
            const auto input, DecodeSetting<model::PutBucketNotificationConfiguration>(*record));
        settings.notifications = CompileNotificationSetting(input);
    }
    if (const std::string* record = Configured(records, setting::kWebsite)) {
        HEARTH_TRY(const auto input, DecodeSetting<model::PutBucketWebsite>(*record));
        if (input.website_configuration) {
            settings.website =
                std::make_shared<const WebsiteRules>(CompileWebsite(*input.website_configuration));
        }
    }
    TieringRules tiering;
    for (auto it = records.lower_bound(setting::kIntelligentTiering);
         it != records.end() && it->first.starts_with(setting::kIntelligentTiering);
         ++it) {
        HEARTH_TRY(
            const auto input,
            DecodeSetting<model::PutBucketIntelligentTieringConfiguration>(it->second));
        if (input.intelligent_tiering_configuration &&
            input.intelligent_tiering_configuration->status == "Enabled") {
            tiering.rules.push_back(CompileTiering(*input.intelligent_tiering_configuration));
        }
    }
    if (!tiering.rules.empty()) {
        settings.tiering = std::make_shared<const TieringRules>(std::move(tiering));
    }
    return settings;
}

}  // namespace hearth::s3
