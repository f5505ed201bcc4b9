#include "services/s3/lifecycle_validation.h"

#include "codec/timestamp/timestamp.h"
#include "services/s3/errors.h"
#include "services/s3/lifecycle_rules.h"
#include "services/s3/value_or_empty.h"

#include "gen/s3/types.gen.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <set>

namespace hearth::s3 {
namespace {

constexpr size_t kRulesMax = 1'000;
constexpr size_t kIdMax = 255;
// Nothing goes to the infrequent-access classes sooner; nor on to an archive.
constexpr int32_t kInfrequentDaysMin = 30;
constexpr int32_t kNewerVersionsMax = 100;

Error Argument(std::string message) {
    return Error(Error::Kind::kInvalid, "InvalidArgument", std::move(message), 400);
}

// The filter as S3 names it in its messages.
std::string Describe(const model::LifecycleRule& rule) {
    if (!rule.filter) {
        return fmt::format("prefix '{}'", rule.prefix.value_or(""));
    }
    std::vector<std::string> parts;
    const auto add = [&parts](
                         const std::optional<std::string>& prefix,
                         const std::vector<model::Tag>& tags,
                         const std::optional<int64_t>& greater,
                         const std::optional<int64_t>& less) {
        if (prefix) {
            parts.push_back("prefix=" + *prefix);
        }
        for (const model::Tag& tag : tags) {
            parts.push_back(
                fmt::format("tag: key={}, value={}", tag.key.value_or(""), tag.value.value_or("")));
        }
        if (greater) {
            parts.push_back(fmt::format("size greater than {}", *greater));
        }
        if (less) {
            parts.push_back(fmt::format("size less than {}", *less));
        }
    };
    const model::LifecycleRuleFilter& filter = *rule.filter;
    add(filter.prefix,
        filter.tag ? std::vector<model::Tag>{*filter.tag} : std::vector<model::Tag>(),
        filter.object_size_greater_than,
        filter.object_size_less_than);
    if (filter.and_) {
        add(filter.and_->prefix,
            ValueOrEmpty(filter.and_->tags),
            filter.and_->object_size_greater_than,
            filter.and_->object_size_less_than);
    }
    return parts.empty() ? "filter '(all)'"
                         : fmt::format("filter '({})'", fmt::join(parts, " and "));
}

bool HasTags(const model::LifecycleRule& rule) {
    return rule.filter && (rule.filter->tag || (rule.filter->and_ && rule.filter->and_->tags &&
                                                !rule.filter->and_->tags->empty()));
}

bool HasSizes(const model::LifecycleRule& rule) {
    const auto& filter = rule.filter;
    return filter && (filter->object_size_greater_than || filter->object_size_less_than ||
                      (filter->and_ && (filter->and_->object_size_greater_than ||
                                        filter->and_->object_size_less_than)));
}

Status CheckSizes(const std::optional<int64_t>& greater, const std::optional<int64_t>& less) {
    if ((greater && *greater < 0) || (less && *less <= 0)) {
        return Argument("Object size in a filter must be a positive number of bytes");
    }
    if (greater && less && *greater >= *less) {
        return errors::InvalidRequest(
            "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.");
    }
    return Status();
}

Status CheckTag(const model::Tag& tag) {
    if (!tag.key || !tag.value) {
        return errors::MalformedXml();
    }
    if (tag.key->empty() || tag.key->size() > 4 * 128) {
        return errors::InvalidRequest("A Tag's Key must be a length between 1 and 128.");
    }
    if (tag.value->size() > 4 * 256) {
        return errors::InvalidRequest("A Tag's Value must be a length between 0 and 256.");
    }
    return Status();
}

Status CheckPrefix(const std::optional<std::string>& prefix) {
    if (prefix && prefix->size() > 1'024) {
        return errors::InvalidRequest("The maximum size of a prefix is 1024.");
    }
    return Status();
}

Status CheckFilter(const model::LifecycleRuleFilter& filter) {
    const int parts = (filter.prefix ? 1 : 0) + (filter.tag ? 1 : 0) +
                      (filter.object_size_greater_than ? 1 : 0) +
                      (filter.object_size_less_than ? 1 : 0) + (filter.and_ ? 1 : 0);
    if (parts > 1) {
        return errors::MalformedXml();
    }
    HEARTH_RETURN_IF_ERROR(CheckPrefix(filter.prefix));
    if (filter.tag) {
        HEARTH_RETURN_IF_ERROR(CheckTag(*filter.tag));
    }
    HEARTH_RETURN_IF_ERROR(
        CheckSizes(filter.object_size_greater_than, filter.object_size_less_than));
    if (!filter.and_) {
        return Status();
    }
    const auto tags = ValueOrEmpty(filter.and_->tags);
    const size_t predicates = tags.size() + (filter.and_->prefix ? 1 : 0) +
                              (filter.and_->object_size_greater_than ? 1 : 0) +
                              (filter.and_->object_size_less_than ? 1 : 0);
    if (predicates < 2) {
        return errors::MalformedXml();
    }
    HEARTH_RETURN_IF_ERROR(CheckPrefix(filter.and_->prefix));
    std::set<std::string> keys;
    for (const model::Tag& tag : tags) {
        HEARTH_RETURN_IF_ERROR(CheckTag(tag));
        if (!keys.insert(*tag.key).second) {
            return errors::InvalidRequest("Duplicate Tag Keys are not allowed.");
        }
    }
    return CheckSizes(filter.and_->object_size_greater_than, filter.and_->object_size_less_than);
}

Status CheckMidnight(WallClock::time_point date) {
    if (date != std::chrono::floor<std::chrono::days>(date)) {
        return errors::InvalidArgument(
            "'Date' must be at midnight GMT", "Date", codec::FormatIso8601(date, true));
    }
    return Status();
}

Status CheckExpiration(const model::LifecycleRule& rule) {
    const model::LifecycleExpiration& expiration = *rule.expiration;
    const int parts = (expiration.date ? 1 : 0) + (expiration.days ? 1 : 0) +
                      (expiration.expired_object_delete_marker ? 1 : 0);
    if (parts != 1) {
        return errors::MalformedXml();
    }
    if (expiration.days && *expiration.days <= 0) {
        return Argument("'Days' for Expiration action must be a positive integer");
    }
    if (expiration.date) {
        HEARTH_RETURN_IF_ERROR(CheckMidnight(*expiration.date));
    }
    if (expiration.expired_object_delete_marker) {
        if (HasTags(rule)) {
            return errors::InvalidRequest(
                "ExpiredObjectDeleteMarker cannot be specified with Tags.");
        }
        if (HasSizes(rule)) {
            return errors::InvalidRequest(
                "ExpiredObjectDeleteMarker cannot be specified with Object Size.");
        }
    }
    return Status();
}

bool IsInfrequent(std::string_view storage_class) {
    return storage_class == "STANDARD_IA" || storage_class == "ONEZONE_IA";
}

// Classes that lifecycle moves objects to.
bool IsTarget(const std::optional<std::string>& storage_class) {
    return storage_class && StorageClassRank(*storage_class) > 0;
}

Status CheckTransitions(const model::LifecycleRule& rule) {
    const auto transitions = ValueOrEmpty(rule.transitions);
    std::set<std::string> classes;
    for (const model::Transition& step : transitions) {
        if (step.days.has_value() == step.date.has_value() || !IsTarget(step.storage_class)) {
            return errors::MalformedXml();
        }
        if (!classes.insert(*step.storage_class).second) {
            return errors::InvalidRequest(fmt::format(
                "'StorageClass' must be different for 'Transition' actions in same 'Rule' with {}",
                Describe(rule)));
        }
        if (step.days.has_value() != transitions.front().days.has_value()) {
            return errors::InvalidRequest(fmt::format(
                "Found mixed 'Date' and 'Days' based Transition actions in lifecycle rule for {}",
                Describe(rule)));
        }
        if (rule.expiration && (rule.expiration->days || rule.expiration->date) &&
            rule.expiration->days.has_value() != step.days.has_value()) {
            return errors::InvalidRequest(fmt::format(
                "Found mixed 'Date' and 'Days' based Expiration and Transition actions in "
                "lifecycle rule for {}",
                Describe(rule)));
        }
        if (step.date) {
            HEARTH_RETURN_IF_ERROR(CheckMidnight(*step.date));
            if (rule.expiration && rule.expiration->date && *rule.expiration->date <= *step.date) {
                return Argument(fmt::format(
                    "'Date' in the Expiration action for {} must be later than 'Date' in the "
                    "Transition action",
                    Describe(rule)));
            }
            continue;
        }
        if (*step.days < 0) {
            return Argument("'Days' in Transition action must be nonnegative");
        }
        if (IsInfrequent(*step.storage_class) && *step.days < kInfrequentDaysMin) {
            return Argument(fmt::format(
                "'Days' in Transition action must be greater than or equal to 30 for storageClass "
                "'{}'",
                *step.storage_class));
        }
        if (rule.expiration && rule.expiration->days && *rule.expiration->days <= *step.days) {
            return Argument(fmt::format(
                "'Days' in the Expiration action for {} must be greater than 'Days' in the "
                "Transition action",
                Describe(rule)));
        }
    }
    for (const model::Transition& warm : transitions) {
        for (const model::Transition& cold : transitions) {
            if (!warm.days || !cold.days ||
                StorageClassRank(*warm.storage_class) >= StorageClassRank(*cold.storage_class)) {
                continue;
            }
            if (IsInfrequent(*warm.storage_class) && *cold.days < *warm.days + kInfrequentDaysMin) {
                return Argument(fmt::format(
                    "'Days' in the 'Transition' action for StorageClass '{}' for {} must be 30 "
                    "days more than '{}' in the 'Transition' action for StorageClass '{}'",
                    *cold.storage_class,
                    Describe(rule),
                    Describe(rule),
                    *warm.storage_class));
            }
            if (*cold.days <= *warm.days) {
                return Argument(fmt::format(
                    "'Days' in the 'Transition' action for StorageClass '{}' for {} must be "
                    "greater than 'Days' in the 'Transition' action for StorageClass '{}'",
                    *cold.storage_class,
                    Describe(rule),
                    *warm.storage_class));
            }
        }
    }
    return Status();
}

Status CheckNewerVersions(const std::optional<int32_t>& count, std::string_view action) {
    if (count && (*count <= 0 || *count > kNewerVersionsMax)) {
        return Argument(fmt::format(
            "'NewerNoncurrentVersions' for {} action must be a positive integer no greater than {}",
            action,
            kNewerVersionsMax));
    }
    return Status();
}

Status CheckNoncurrent(const model::LifecycleRule& rule) {
    if (rule.noncurrent_version_expiration) {
        const auto& expiration = *rule.noncurrent_version_expiration;
        if (!expiration.noncurrent_days && !expiration.newer_noncurrent_versions) {
            return errors::MalformedXml();
        }
        if (expiration.noncurrent_days && *expiration.noncurrent_days <= 0) {
            return Argument(
                "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive "
                "integer");
        }
        HEARTH_RETURN_IF_ERROR(CheckNewerVersions(
            expiration.newer_noncurrent_versions, "NoncurrentVersionExpiration"));
        if (expiration.newer_noncurrent_versions && !rule.filter) {
            return errors::InvalidRequest(
                "'NewerNoncurrentVersions' can only be specified with Filter.");
        }
    }
    std::set<std::string> classes;
    for (const auto& step : ValueOrEmpty(rule.noncurrent_version_transitions)) {
        if (!step.noncurrent_days || !IsTarget(step.storage_class)) {
            return errors::MalformedXml();
        }
        if (!classes.insert(*step.storage_class).second) {
            return errors::InvalidRequest(fmt::format(
                "'StorageClass' must be different for 'NoncurrentVersionTransition' actions in "
                "same 'Rule' with {}",
                Describe(rule)));
        }
        if (*step.noncurrent_days < 0) {
            return Argument(
                "'NoncurrentDays' in NoncurrentVersionTransition action must be nonnegative");
        }
        if (IsInfrequent(*step.storage_class) && *step.noncurrent_days < kInfrequentDaysMin) {
            return Argument(fmt::format(
                "'NoncurrentDays' in NoncurrentVersionTransition action must be greater than or "
                "equal to 30 for storageClass '{}'",
                *step.storage_class));
        }
        HEARTH_RETURN_IF_ERROR(
            CheckNewerVersions(step.newer_noncurrent_versions, "NoncurrentVersionTransition"));
        if (rule.noncurrent_version_expiration &&
            rule.noncurrent_version_expiration->noncurrent_days &&
            *rule.noncurrent_version_expiration->noncurrent_days <= *step.noncurrent_days) {
            return Argument(fmt::format(
                "'NoncurrentDays' in the NoncurrentVersionExpiration action for {} must be greater "
                "than 'NoncurrentDays' in the NoncurrentVersionTransition action",
                Describe(rule)));
        }
    }
    return Status();
}

Status CheckAbort(const model::LifecycleRule& rule) {
    const auto& days = rule.abort_incomplete_multipart_upload->days_after_initiation;
    if (!days) {
        return errors::MalformedXml();
    }
    if (*days <= 0) {
        return Argument(
            "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive "
            "integer");
    }
    if (HasTags(rule)) {
        return errors::InvalidRequest(
            "AbortIncompleteMultipartUpload cannot be specified with Tags.");
    }
    if (HasSizes(rule)) {
        return errors::InvalidRequest(
            "AbortIncompleteMultipartUpload cannot be specified with Object Size.");
    }
    return Status();
}

// The older form, with a prefix outside of a filter, allows no two rules of one action whose
// prefixes overlap.
Status CheckOverlaps(const std::vector<model::LifecycleRule>& rules) {
    using Has = bool (*)(const model::LifecycleRule&);
    static constexpr std::array<std::pair<std::string_view, Has>, 3> kActions = {
        {{"Expiration",
          [](const model::LifecycleRule& rule) { return rule.expiration.has_value(); }},
         {"Transition",
          [](const model::LifecycleRule& rule) { return rule.transitions.has_value(); }},
         {"AbortIncompleteMultipartUpload", [](const model::LifecycleRule& rule) {
              return rule.abort_incomplete_multipart_upload.has_value();
          }}}};
    for (const auto& [name, has] : kActions) {
        // Sorted, prefixes that overlap stand next to each other.
        std::vector<std::string> prefixes;
        for (const model::LifecycleRule& rule : rules) {
            if (has(rule)) {
                prefixes.push_back(rule.prefix.value_or(""));
            }
        }
        std::sort(prefixes.begin(), prefixes.end());
        for (size_t i = 1; i < prefixes.size(); ++i) {
            if (prefixes[i].starts_with(prefixes[i - 1])) {
                return errors::InvalidRequest(fmt::format(
                    "Found overlapping prefixes '{}' and '{}' for same action type '{}'",
                    prefixes[i - 1],
                    prefixes[i],
                    name));
            }
        }
    }
    return Status();
}

Status CheckRule(const model::LifecycleRule& rule) {
    if (rule.status != "Enabled" && rule.status != "Disabled") {
        return errors::MalformedXml();
    }
    if (rule.prefix.has_value() == rule.filter.has_value()) {
        return errors::MalformedXml();
    }
    if (rule.id && rule.id->size() > kIdMax) {
        return Argument("ID length should not exceed allowed limit of 255");
    }
    HEARTH_RETURN_IF_ERROR(CheckPrefix(rule.prefix));
    if (rule.filter) {
        HEARTH_RETURN_IF_ERROR(CheckFilter(*rule.filter));
    }
    if (!rule.expiration && !rule.transitions && !rule.noncurrent_version_expiration &&
        !rule.noncurrent_version_transitions && !rule.abort_incomplete_multipart_upload) {
        return errors::InvalidRequest("At least one action needs to be specified in a rule.");
    }
    if (rule.expiration) {
        HEARTH_RETURN_IF_ERROR(CheckExpiration(rule));
    }
    HEARTH_RETURN_IF_ERROR(CheckTransitions(rule));
    HEARTH_RETURN_IF_ERROR(CheckNoncurrent(rule));
    if (rule.abort_incomplete_multipart_upload) {
        HEARTH_RETURN_IF_ERROR(CheckAbort(rule));
    }
    return Status();
}

}  // namespace

Status CheckLifecycle(const std::vector<model::LifecycleRule>& rules) {
    if (rules.empty() || rules.size() > kRulesMax) {
        return errors::MalformedXml();
    }
    std::set<std::string> ids;
    bool any_prefix = false;
    for (const model::LifecycleRule& rule : rules) {
        any_prefix = any_prefix || rule.prefix.has_value();
    }
    for (const model::LifecycleRule& rule : rules) {
        if (any_prefix && rule.filter && !rule.prefix) {
            return errors::InvalidRequest("Filter element can only be used in Lifecycle V2.");
        }
        HEARTH_RETURN_IF_ERROR(CheckRule(rule));
        if (rule.id && !rule.id->empty() && !ids.insert(*rule.id).second) {
            return Argument("Rule ID must be unique. Found same ID for more than one rule");
        }
    }
    return any_prefix ? CheckOverlaps(rules) : Status();
}

}  // namespace hearth::s3
