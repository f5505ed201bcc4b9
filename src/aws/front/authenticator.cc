#include "aws/front/authenticator.h"

#include "aws/auth/errors.h"

#include <algorithm>
#include <utility>

namespace hearth::aws {
namespace {

using Kind = SignatureProblem::Kind;

constexpr size_t kRegionBytesMax = 32;

SignatureProblem UnknownKey() {
    return {Kind::kUnknownKey, "The security token included in the request is invalid."};
}

SignatureProblem ExpiredSession() {
    return {Kind::kExpiredSession, "The security token included in the request is expired"};
}

// It becomes part of storage keys and ARNs, so only what a region can look like.
bool IsRegion(std::string_view text) {
    return !text.empty() && text.size() <= kRegionBytesMax && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

bool IsAccountId(std::string_view text) {
    return text.size() == 12 &&
           std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Caller RootOf(const AccountId& account) {
    Caller caller;
    caller.type = Caller::Type::kRoot;
    caller.account = account;
    caller.arn = "arn:aws:iam::" + account.text() + ":root";
    caller.user_id = account.text();
    return caller;
}

Authenticator::Authenticator(
    RootCredentials root, const SessionIssuer& sessions, const WallClock& clock, bool enforce)
    : root_(std::move(root)), sessions_(sessions), clock_(clock), enforce_(enforce) {}

std::optional<SignatureProblem> Authenticator::Verify(
    const SignedParts& request,
    const Authorization& authorization,
    std::string_view signing_name,
    std::string_view secret) const {
    if (auto problem = CheckTimeAndScope(authorization, signing_name, clock_.Now())) {
        return problem;
    }
    return CheckSignature(request, authorization, secret);
}

Task<Result<Authenticator::Identity>> Authenticator::Identify(
    const SignedParts& request,
    std::string_view signing_name,
    model::Protocol protocol,
    const DoorIdentity* door) const {
    Identity identity;
    const auto authorization = ParseAuthorization(request);
    if (!authorization) {
        if (enforce_ || authorization.error().kind != Kind::kMissing) {
            co_return SignatureError(authorization.error(), protocol);
        }
        identity.caller = door != nullptr ? door->role : RootOf(AccountId(kRootAccount));
        if (door == nullptr) {
            identity.caller.type = Caller::Type::kAnonymous;
        }
        co_return identity;
    }
    if (!IsRegion(authorization->region)) {
        co_return SignatureError(
            {Kind::kDoesNotMatch, "Credential should be scoped to a valid region. "}, protocol);
    }
    identity.region = authorization->region;

    // The keys that are known without asking anybody.
    if (authorization->access_key_id == root_.access_key_id) {
        if (!authorization->session_token.empty()) {
            co_return SignatureError(UnknownKey(), protocol);
        }
        if (auto problem = Verify(request, *authorization, signing_name, root_.secret_access_key)) {
            co_return SignatureError(*problem, protocol);
        }
        identity.caller = RootOf(AccountId(kRootAccount));
        identity.caller.access_key_id = root_.access_key_id;
        identity.caller.verified = true;
        co_return identity;
    }
    if (!authorization->session_token.empty()) {
        auto session = sessions_.Open(authorization->session_token);
        if (session.ok()) {
            if (session->access_key_id != authorization->access_key_id) {
                co_return SignatureError(UnknownKey(), protocol);
            }
            if (auto problem =
                    Verify(request, *authorization, signing_name, session->secret_access_key)) {
                co_return SignatureError(*problem, protocol);
            }
            if (session->expiration <= clock_.Now()) {
                co_return SignatureError(ExpiredSession(), protocol);
            }
            identity.caller = std::move(session->caller);
            co_return identity;
        }
        if (SessionIssuer::IsOurs(authorization->session_token)) {
            co_return SignatureError(UnknownKey(), protocol);
        }
    }
    if (directory_ != nullptr) {
        // The request's views stay alive: the gateway holds it until the answer is made.
        HEARTH_CO_TRY(
            std::optional<AccessKey> key, co_await directory_->Find(authorization->access_key_id));
        if (key) {
            if (!key->active || !authorization->session_token.empty()) {
                co_return SignatureError(UnknownKey(), protocol);
            }
            if (auto problem = Verify(request, *authorization, signing_name, key->secret)) {
                co_return SignatureError(*problem, protocol);
            }
            directory_->NoteUse(
                authorization->access_key_id, signing_name, authorization->region, clock_.Now());
            identity.caller = std::move(key->caller);
            identity.caller.access_key_id = authorization->access_key_id;
            identity.caller.verified = true;
            co_return identity;
        }
    }

    // Nobody knows it.
    if (enforce_) {
        co_return SignatureError(UnknownKey(), protocol);
    }
    if (door != nullptr) {
        identity.caller = door->role;
    } else {
        identity.caller = RootOf(AccountId(
            IsAccountId(authorization->access_key_id) ? std::string(authorization->access_key_id)
                                                      : std::string(kRootAccount)));
    }
    identity.caller.access_key_id = authorization->access_key_id.substr(0, 128);
    identity.caller.verified = false;
    co_return identity;
}

}  // namespace hearth::aws
