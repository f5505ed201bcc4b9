#pragma once

#include <chrono>

// Source: STS API Reference, AssumeRole and GetSessionToken, 2025. Ranges that the model states are
// checked by the gateway and are not repeated here.
namespace hearth::sts {

inline constexpr std::chrono::seconds kAssumeRoleDefault{3600};
// A role that assumes a role.
inline constexpr std::chrono::seconds kRoleChainingMax{3600};

inline constexpr std::chrono::seconds kSessionTokenDefault{43'200};
// For the root user, whatever is asked for.
inline constexpr std::chrono::seconds kSessionTokenRootMax{3600};

}  // namespace hearth::sts
