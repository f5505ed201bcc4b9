#pragma once

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

// What IAM stores, and its JSON form. Timestamps are milliseconds since 1970 on the wall clock.
namespace hearth::iam {

enum class PrincipalKind { kUser, kGroup, kRole };

// "user", "group", "role": in ARNs and in storage keys.
std::string_view KindName(PrincipalKind kind);
// "User", "Group", "Role": in AWS's error messages.
std::string_view KindTitle(PrincipalKind kind);

// A user, group or role with all that hangs on it.
struct Principal {
    PrincipalKind kind = PrincipalKind::kUser;
    AccountId account;
    std::string name;
    std::string path = "/";
    // AIDA, AGPA or AROA and 17 letters or digits.
    std::string id;
    WallClock::time_point created;
    std::map<std::string, std::string> inline_policies;
    // ARNs in the order of attachment.
    std::vector<std::string> attached_policies;
    std::map<std::string, std::string> tags;
    std::optional<std::string> permissions_boundary;

    // Roles.
    std::string trust_policy;
    std::optional<std::string> description;
    int32_t max_session_duration_s = 3600;

    // Users: ids of access keys in order of creation, and groups.
    std::vector<std::string> access_keys;
    std::set<std::string> groups;

    // Groups: user names.
    std::set<std::string> members;

    // arn:aws:iam::<account>:<kind><path><name>
    std::string Arn() const;
    std::string Encode() const;
    static Result<Principal> Decode(std::string_view json);
};

struct PolicyVersionRecord {
    std::string document;
    WallClock::time_point created;
};

// A customer managed policy.
struct ManagedPolicy {
    AccountId account;
    std::string name;
    std::string path = "/";
    std::string id;  // ANPA...
    std::optional<std::string> description;
    WallClock::time_point created;
    WallClock::time_point updated;
    // By number: 1 is "v1".
    std::map<int, PolicyVersionRecord> versions;
    int default_version = 1;
    int next_version = 2;
    std::map<std::string, std::string> tags;

    std::string Arn() const;
    std::string Encode() const;
    static Result<ManagedPolicy> Decode(std::string_view json);
};

// Above accounts, by access key id.
struct AccessKeyRecord {
    std::string id;
    AccountId account;
    std::string user_name;
    std::string user_arn;
    std::string user_id;
    bool active = true;
    WallClock::time_point created;
    // AES-256-GCM under the master key, for the context of this id.
    std::string sealed_secret;
    std::optional<WallClock::time_point> last_used;
    std::string last_service;
    std::string last_region;

    std::string Encode() const;
    static Result<AccessKeyRecord> Decode(std::string_view json);
};

}  // namespace hearth::iam
