#pragma once

#include <cstddef>
#include <cstdint>

// Quotas of IAM. Source: IAM User Guide, "IAM and AWS STS quotas", read 2026-11.
namespace hearth::iam {

inline constexpr size_t kAccessKeysPerUserMax = 2;
inline constexpr size_t kGroupsPerUserMax = 10;
inline constexpr size_t kAttachedPoliciesMax = 10;
inline constexpr size_t kPolicyVersionsMax = 5;
// A path of 512 characters, a name of 128, and what stands before them.
inline constexpr size_t kPolicyArnCharactersMax = 680;
inline constexpr size_t kRoleNameCharactersMax = 64;
inline constexpr size_t kTagsMax = 50;
inline constexpr size_t kManagedPolicyCharactersMax = 6144;
inline constexpr size_t kTrustPolicyCharactersMax = 2048;
inline constexpr size_t kUserInlineCharactersMax = 2048;
inline constexpr size_t kGroupInlineCharactersMax = 5120;
inline constexpr size_t kRoleInlineCharactersMax = 10240;
inline constexpr int32_t kListItemsDefault = 100;

}  // namespace hearth::iam
