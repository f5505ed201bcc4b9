#pragma once

#include "aws/front/context.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/result.h"
#include "codec/crypto/master_key.h"

#include <chrono>
#include <string>
#include <string_view>

namespace hearth::aws {

// Temporary credentials.
struct SessionCredentials {
    std::string access_key_id;
    std::string secret_access_key;
    std::string session_token;
    WallClock::time_point expiration;
};

struct RoleSession {
    AccountId account;
    // The last part of the role's ARN, without the path.
    std::string role_name;
    // AROA...
    std::string role_id;
    std::string session_name;
    std::chrono::seconds duration{3600};
};

// Gives out temporary credentials and knows them again. Nothing is stored: the session token is the
// session itself, sealed with AES-256-GCM under the master key, so sessions outlive restarts, cost
// no look-up, and end with their expiry. docs/decisions/0001-sealed-session-tokens.md. Safe from
// any thread.
class SessionIssuer final {
  public:
    SessionIssuer(const codec::MasterKey& master_key, WallClock& clock, Random& random);

    // Credentials of a role: AssumeRole, and what a function finds in its environment.
    SessionCredentials IssueForRole(const RoleSession& session) const;

    // Credentials that stand for `caller` itself (GetSessionToken).
    SessionCredentials IssueFor(const Caller& caller, std::chrono::seconds duration) const;

    // Who a role session is: arn:aws:sts::<account>:assumed-role/<role>/<session>.
    static Caller CallerOf(const RoleSession& session);

    // A session as it comes back in X-Amz-Security-Token.
    struct Opened {
        std::string access_key_id;
        std::string secret_access_key;
        Caller caller;
        WallClock::time_point expiration;
    };

    // Whether the token says that it is from a Hearth: such a one is never merely believed.
    static bool IsOurs(std::string_view session_token);

    // Error kInvalid when the token was not made by this cloud. The caller checks expiry.
    Result<Opened> Open(std::string_view session_token) const;

  private:
    // Tokens of AWS begin with the first 16 characters, which some tools look at.
    static constexpr std::string_view kTokenPrefix = "IQoJb3JpZ2luX2VjSGVhcnRo";

    SessionCredentials Seal(const Caller& caller, std::chrono::seconds duration) const;

    codec::SealingKey key_;
    WallClock& clock_;
    Random& random_;
};

}  // namespace hearth::aws
