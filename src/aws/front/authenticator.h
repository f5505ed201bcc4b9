#pragma once

#include "aws/auth/access_key_directory.h"
#include "aws/auth/claimed_signature.h"
#include "aws/auth/root_credentials.h"
#include "aws/auth/session_issuer.h"
#include "aws/auth/sigv4.h"
#include "aws/front/context.h"
#include "aws/front/doors.h"
#include "aws/model/descriptor.h"
#include "base/clock.h"
#include "rt/task.h"

#include <optional>
#include <string>
#include <string_view>

namespace hearth::aws {

// Who calls? A key that Hearth knows (the root key, IAM users' keys, sessions it issued) is always
// verified. Of the others, `open` mode believes what they say: a key id of twelve digits is that
// account's root, any other key and no key at all the root of account 000000000000. `enforce`
// refuses them. Through a function's door an unknown key counts as the function's own role.
class Authenticator final {
  public:
    Authenticator(
        RootCredentials root, const SessionIssuer& sessions, const WallClock& clock, bool enforce);

    // IAM's; null: there are no users. Before the first request.
    void SetDirectory(AccessKeyDirectory* directory) { directory_ = directory; }

    bool enforce() const { return enforce_; }

    struct Identity {
        Caller caller;
        // Of the credential scope; empty: the request named none.
        std::string region;
    };

    // `service` is where the request was routed to. `door`: null for calls from outside.
    Task<Result<Identity>> Identify(
        const SignedParts& request,
        std::string_view signing_name,
        model::Protocol protocol,
        const DoorIdentity* door) const;

    // The same for a signature of another scheme.
    Task<Result<Identity>> IdentifyBy(
        ClaimedSignature& signature, std::string_view signing_name, const DoorIdentity* door) const;

    // Who a request without a signature is from, in open mode.
    Identity Unsigned(const DoorIdentity* door) const;

  private:
    class HeaderSignature;

    RootCredentials root_;
    const SessionIssuer& sessions_;
    const WallClock& clock_;
    const bool enforce_;
    AccessKeyDirectory* directory_ = nullptr;
};

// arn:aws:iam::<account>:root
Caller RootOf(const AccountId& account);

}  // namespace hearth::aws
