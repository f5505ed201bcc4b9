#pragma once

#include "base/clock.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What becomes of objects with time: a bucket's lifecycle configuration in the form it is decided
// with, and the decisions. Pure.
// Source: S3 User Guide, "Managing the lifecycle of objects", "Lifecycle configuration elements",
// "Conflicts between lifecycle configuration rules".
namespace hearth::s3 {

// Days count from the object's age; an action is due at the next midnight UTC after them.
struct LifecycleTime {
    std::optional<int32_t> days;
    // Midnight UTC.
    std::optional<CloudClock::time_point> date;
};

struct LifecycleTransition {
    LifecycleTime when;
    std::string storage_class;
};

struct NoncurrentTransition {
    int32_t days = 0;
    // That many newer noncurrent versions stay as they are.
    int32_t newer_versions = 0;
    std::string storage_class;
};

struct LifecycleRule {
    std::string id;
    bool enabled = true;

    std::string prefix;
    std::vector<std::pair<std::string, std::string>> tags;
    std::optional<int64_t> size_greater_than;
    std::optional<int64_t> size_less_than;

    std::optional<LifecycleTime> expiration;
    bool expired_delete_marker = false;
    std::vector<LifecycleTransition> transitions;
    std::optional<int32_t> noncurrent_expiration_days;
    int32_t noncurrent_expiration_newer_versions = 0;
    std::vector<NoncurrentTransition> noncurrent_transitions;
    std::optional<int32_t> abort_multipart_days;

    bool has_size_filter() const { return size_greater_than || size_less_than; }
};

// What a decision looks at. Strings live as long as the call.
struct LifecycleObject {
    std::string_view key;
    uint64_t size = 0;
    const std::map<std::string, std::string>* tags = nullptr;
    std::string_view storage_class = "STANDARD";
    CloudClock::time_point modified;
    bool delete_marker = false;
    bool is_current = true;
    // For noncurrent versions: when a newer one took its place, and how many noncurrent ones are
    // newer.
    CloudClock::time_point noncurrent_since;
    int32_t newer_noncurrent = 0;
    // For a current delete marker: no other version is left.
    bool only_version = false;
};

enum class LifecycleAction : uint8_t {
    kNothing,
    kExpire,            // a current version: deleted, or covered by a marker
    kRemoveMarker,      // a delete marker with nothing behind it
    kRemoveNoncurrent,  // for good
    kTransition,        // to `storage_class`
};

struct LifecycleDecision {
    LifecycleAction action = LifecycleAction::kNothing;
    // Of the rule that decided.
    std::string_view rule_id;
    std::string_view storage_class;
};

// The x-amz-expiration header's content.
struct LifecycleExpiry {
    std::string_view rule_id;
    CloudClock::time_point at;
};

class LifecycleRules final {
  public:
    // `all_sizes`: "varies_by_storage_class": small objects too move to the archive classes.
    LifecycleRules(std::vector<LifecycleRule> rules, bool all_sizes);

    // What is due now. Where several actions are, permanent deletion comes before transition, and
    // the cheaper class before the dearer one.
    LifecycleDecision Decide(const LifecycleObject& object, CloudClock::time_point now) const;

    // When something becomes due that is not yet; nullopt: never, as far as rules can say now.
    std::optional<CloudClock::time_point> NextDue(
        const LifecycleObject& object, CloudClock::time_point now) const;

    // An upload begun at `initiated` is to be aborted at this time, by that rule.
    std::optional<LifecycleExpiry> AbortAt(
        std::string_view key, CloudClock::time_point initiated) const;

    // When a current version (or one about to be written) will expire.
    std::optional<LifecycleExpiry> ExpiryOf(const LifecycleObject& object) const;

    // Whether any rule is enabled, and whether any looks at that part.
    bool any_enabled() const { return any_enabled_; }

    bool looks_at_noncurrent() const { return looks_at_noncurrent_; }

    bool looks_at_uploads() const { return looks_at_uploads_; }

    const std::vector<LifecycleRule>& rules() const { return rules_; }

  private:
    struct Due;

    template <class Visit>
    void ForEachDue(const LifecycleObject& object, Visit visit) const;

    std::vector<LifecycleRule> rules_;
    bool all_sizes_ = false;
    bool any_enabled_ = false;
    bool looks_at_noncurrent_ = false;
    bool looks_at_uploads_ = false;
};

// The first midnight UTC at or after `days` after `since`.
CloudClock::time_point LifecycleMidnight(CloudClock::time_point since, int32_t days);

// `expiry-date="Fri, 21 Dec 2012 00:00:00 GMT", rule-id="..."`, the value of x-amz-expiration.
std::string ExpirationHeader(const LifecycleExpiry& expiry);

// How far down a class is: an object moves only to a greater number. Unknown classes: -1.
int StorageClassRank(std::string_view storage_class);

// Intelligent-Tiering's opt-in archive tiers.
struct TieringRule {
    std::string id;
    std::string prefix;
    std::vector<std::pair<std::string, std::string>> tags;
    // Days without access; nullopt: never.
    std::optional<int32_t> archive_days;
    std::optional<int32_t> deep_archive_days;
};

struct TieringRules {
    std::vector<TieringRule> rules;

    // The first that matches, in order of id; nullptr: none.
    const TieringRule* Find(
        std::string_view key, const std::map<std::string, std::string>& tags) const;
};

// The tier that an object of INTELLIGENT_TIERING belongs into when nobody has read or written it
// since `touched`: empty (read often), "INFREQUENT", "ARCHIVE_INSTANT", or, where `rule` says so,
// "ARCHIVE", "DEEP_ARCHIVE". What is too small stays in the first.
std::string_view TierOf(
    uint64_t size,
    CloudClock::time_point touched,
    const TieringRule* rule,
    CloudClock::time_point now);

// How far down a tier is; 0 for the first.
int TierRank(std::string_view tier);

}  // namespace hearth::s3
