#include "services/s3/lifecycle_rules.h"

#include "codec/timestamp/timestamp.h"
#include "codec/uri/uri.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

namespace hearth::s3 {
namespace {

// Below this size nothing is moved by default: the overhead would cost more than is saved.
constexpr uint64_t kTransitionBytesMin = 128 * 1024;

struct ClassRank {
    std::string_view name;
    int rank;
};

constexpr std::array<ClassRank, 8> kRanks = {
    {{"STANDARD", 0},
     {"REDUCED_REDUNDANCY", 0},
     {"STANDARD_IA", 1},
     {"INTELLIGENT_TIERING", 2},
     {"ONEZONE_IA", 3},
     {"GLACIER_IR", 4},
     {"GLACIER", 5},
     {"DEEP_ARCHIVE", 6}}};

bool MayMove(std::string_view from, std::string_view to) {
    if (from == "ONEZONE_IA" && to == "GLACIER_IR") {
        return false;
    }
    const int rank = StorageClassRank(from);
    return rank >= 0 && rank < StorageClassRank(to);
}

bool TagsMatch(
    const std::vector<std::pair<std::string, std::string>>& wanted,
    const std::map<std::string, std::string>* tags) {
    return std::all_of(wanted.begin(), wanted.end(), [tags](const auto& tag) {
        if (tags == nullptr) {
            return false;
        }
        const auto it = tags->find(tag.first);
        return it != tags->end() && it->second == tag.second;
    });
}

bool Matches(const LifecycleRule& rule, const LifecycleObject& object) {
    if (!rule.enabled || !object.key.starts_with(rule.prefix)) {
        return false;
    }
    if (object.delete_marker) {
        // A marker has no tags and no size to ask about.
        return rule.tags.empty() && !rule.has_size_filter();
    }
    if (rule.size_greater_than && object.size <= static_cast<uint64_t>(*rule.size_greater_than)) {
        return false;
    }
    if (rule.size_less_than && object.size >= static_cast<uint64_t>(*rule.size_less_than)) {
        return false;
    }
    return TagsMatch(rule.tags, object.tags);
}

CloudClock::time_point At(const LifecycleTime& when, CloudClock::time_point since) {
    return when.date ? *when.date : LifecycleMidnight(since, when.days.value_or(0));
}

}  // namespace

int StorageClassRank(std::string_view storage_class) {
    const auto it = std::find_if(kRanks.begin(), kRanks.end(), [storage_class](const auto& known) {
        return known.name == storage_class;
    });
    return it == kRanks.end() ? -1 : it->rank;
}

CloudClock::time_point LifecycleMidnight(CloudClock::time_point since, int32_t days) {
    return CloudClock::time_point(
        std::chrono::ceil<std::chrono::days>(since + std::chrono::days(days)).time_since_epoch());
}

std::string ExpirationHeader(const LifecycleExpiry& expiry) {
    return fmt::format(
        "expiry-date=\"{}\", rule-id=\"{}\"",
        codec::FormatRfc822(WallClock::time_point(expiry.at.time_since_epoch())),
        codec::PercentEncode(expiry.rule_id));
}

struct LifecycleRules::Due {
    LifecycleAction action;
    CloudClock::time_point at;
    std::string_view rule_id;
    std::string_view storage_class;
};

LifecycleRules::LifecycleRules(std::vector<LifecycleRule> rules, bool all_sizes)
    : rules_(std::move(rules)), all_sizes_(all_sizes) {
    for (const LifecycleRule& rule : rules_) {
        if (!rule.enabled) {
            continue;
        }
        any_enabled_ = true;
        looks_at_uploads_ = looks_at_uploads_ || rule.abort_multipart_days.has_value();
        looks_at_noncurrent_ = looks_at_noncurrent_ || rule.noncurrent_expiration_days ||
                               !rule.noncurrent_transitions.empty() || rule.expiration ||
                               rule.expired_delete_marker;
    }
}

template <class Visit>
void LifecycleRules::ForEachDue(const LifecycleObject& object, Visit visit) const {
    for (const LifecycleRule& rule : rules_) {
        if (!Matches(rule, object)) {
            continue;
        }
        if (object.delete_marker) {
            if (!object.is_current) {
                if (rule.noncurrent_expiration_days &&
                    object.newer_noncurrent >= rule.noncurrent_expiration_newer_versions) {
                    visit(
                        Due{LifecycleAction::kRemoveNoncurrent,
                            LifecycleMidnight(
                                object.noncurrent_since, *rule.noncurrent_expiration_days),
                            rule.id,
                            {}});
                }
                continue;
            }
            if (!object.only_version) {
                continue;
            }
            // Expiration in days cleans up after itself, too.
            if (rule.expired_delete_marker) {
                visit(
                    Due{LifecycleAction::kRemoveMarker,
                        LifecycleMidnight(object.modified, 0),
                        rule.id,
                        {}});
            } else if (rule.expiration && rule.expiration->days) {
                visit(
                    Due{LifecycleAction::kRemoveMarker,
                        LifecycleMidnight(object.modified, *rule.expiration->days),
                        rule.id,
                        {}});
            }
            continue;
        }

        const auto transition = [&](CloudClock::time_point at, std::string_view to) {
            const bool archive = to == "GLACIER" || to == "DEEP_ARCHIVE";
            const bool small = object.size < kTransitionBytesMin && !rule.has_size_filter() &&
                               !(all_sizes_ && archive);
            if (!small && MayMove(object.storage_class, to)) {
                visit(Due{LifecycleAction::kTransition, at, rule.id, to});
            }
        };
        if (object.is_current) {
            if (rule.expiration) {
                visit(Due{
                    LifecycleAction::kExpire, At(*rule.expiration, object.modified), rule.id, {}});
            }
            for (const LifecycleTransition& step : rule.transitions) {
                transition(At(step.when, object.modified), step.storage_class);
            }
            continue;
        }
        if (rule.noncurrent_expiration_days &&
            object.newer_noncurrent >= rule.noncurrent_expiration_newer_versions) {
            visit(
                Due{LifecycleAction::kRemoveNoncurrent,
                    LifecycleMidnight(object.noncurrent_since, *rule.noncurrent_expiration_days),
                    rule.id,
                    {}});
        }
        for (const NoncurrentTransition& step : rule.noncurrent_transitions) {
            if (object.newer_noncurrent >= step.newer_versions) {
                transition(
                    LifecycleMidnight(object.noncurrent_since, step.days), step.storage_class);
            }
        }
    }
}

LifecycleDecision LifecycleRules::Decide(
    const LifecycleObject& object, CloudClock::time_point now) const {
    LifecycleDecision decision;
    ForEachDue(object, [&](const Due& due) {
        if (due.at > now) {
            return;
        }
        const bool moves = due.action == LifecycleAction::kTransition;
        if (decision.action == LifecycleAction::kNothing ||
            (decision.action == LifecycleAction::kTransition &&
             (!moves ||
              StorageClassRank(due.storage_class) > StorageClassRank(decision.storage_class)))) {
            decision = {due.action, due.rule_id, due.storage_class};
        }
    });
    return decision;
}

std::optional<CloudClock::time_point> LifecycleRules::NextDue(
    const LifecycleObject& object, CloudClock::time_point now) const {
    std::optional<CloudClock::time_point> next;
    ForEachDue(object, [&](const Due& due) {
        if (due.at > now && (!next || due.at < *next)) {
            next = due.at;
        }
    });
    return next;
}

std::optional<LifecycleExpiry> LifecycleRules::AbortAt(
    std::string_view key, CloudClock::time_point initiated) const {
    std::optional<LifecycleExpiry> first;
    for (const LifecycleRule& rule : rules_) {
        if (!rule.enabled || !rule.abort_multipart_days || !key.starts_with(rule.prefix)) {
            continue;
        }
        const auto at = LifecycleMidnight(initiated, *rule.abort_multipart_days);
        if (!first || at < first->at) {
            first = LifecycleExpiry{rule.id, at};
        }
    }
    return first;
}

std::optional<LifecycleExpiry> LifecycleRules::ExpiryOf(const LifecycleObject& object) const {
    std::optional<LifecycleExpiry> first;
    if (!any_enabled_ || object.delete_marker || !object.is_current) {
        return first;
    }
    ForEachDue(object, [&](const Due& due) {
        if (due.action == LifecycleAction::kExpire && (!first || due.at < first->at)) {
            first = LifecycleExpiry{due.rule_id, due.at};
        }
    });
    return first;
}

const TieringRule* TieringRules::Find(
    std::string_view key, const std::map<std::string, std::string>& tags) const {
    const auto it = std::find_if(rules.begin(), rules.end(), [&](const TieringRule& rule) {
        return key.starts_with(rule.prefix) && TagsMatch(rule.tags, &tags);
    });
    return it == rules.end() ? nullptr : &*it;
}

int TierRank(std::string_view tier) {
    static constexpr std::array<std::string_view, 5> kTiers = {
        "", "INFREQUENT", "ARCHIVE_INSTANT", "ARCHIVE", "DEEP_ARCHIVE"};
    const auto it = std::find(kTiers.begin(), kTiers.end(), tier);
    return it == kTiers.end() ? 0 : static_cast<int>(it - kTiers.begin());
}

std::string_view TierOf(
    uint64_t size,
    CloudClock::time_point touched,
    const TieringRule* rule,
    CloudClock::time_point now) {
    constexpr int32_t kInfrequentDays = 30;
    constexpr int32_t kArchiveInstantDays = 90;
    if (size < kTransitionBytesMin) {
        return "";
    }
    const auto idle = [&](int32_t days) { return LifecycleMidnight(touched, days) <= now; };
    if (rule != nullptr && rule->deep_archive_days && idle(*rule->deep_archive_days)) {
        return "DEEP_ARCHIVE";
    }
    if (rule != nullptr && rule->archive_days && idle(*rule->archive_days)) {
        return "ARCHIVE";
    }
    return idle(kArchiveInstantDays) ? "ARCHIVE_INSTANT"
           : idle(kInfrequentDays)   ? "INFREQUENT"
                                     : "";
}

}  // namespace hearth::s3
