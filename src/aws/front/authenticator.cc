#include "aws/front/authenticator.h"

#include "aws/auth/errors.h"

#include <algorithm>
#include <utility>

namespace hearth::aws {
namespace {

using Kind = SignatureProblem::Kind;

constexpr size_t kRegionBytesMax = 32;

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

// The Authorization header of Signature Version 4, as all services but S3 take it.
class Authenticator::HeaderSignature final : public ClaimedSignature {
  public:
    HeaderSignature(
        const SignedParts& request,
        const Authorization& authorization,
        std::string_view signing_name,
        model::Protocol protocol)
        : request_(request),
          authorization_(authorization),
          signing_name_(signing_name),
          protocol_(protocol) {}

    std::string_view access_key_id() const override { return authorization_.access_key_id; }

    std::string_view session_token() const override { return authorization_.session_token; }

    std::string_view region() const override { return authorization_.region; }

    std::optional<Error> Verify(std::string_view secret, WallClock::time_point now) override {
        auto problem = CheckTimeAndScope(authorization_, signing_name_, now);
        if (!problem) {
            problem = CheckSignature(request_, authorization_, secret);
        }
        if (problem) {
            return SignatureError(*problem, protocol_);
        }
        return std::nullopt;
    }

    Error BadRegion() const override {
        return SignatureError(
            {Kind::kDoesNotMatch, "Credential should be scoped to a valid region. "}, protocol_);
    }

    Error UnknownKey() const override {
        return SignatureError(
            {Kind::kUnknownKey, "The security token included in the request is invalid."},
            protocol_);
    }

    Error BadToken() const override { return UnknownKey(); }

    Error ExpiredSession() const override {
        return SignatureError(
            {Kind::kExpiredSession, "The security token included in the request is expired"},
            protocol_);
    }

  private:
    const SignedParts& request_;
    const Authorization& authorization_;
    std::string_view signing_name_;
    model::Protocol protocol_;
};

Task<Result<Authenticator::Identity>> Authenticator::Identify(
    const SignedParts& request,
    std::string_view signing_name,
    model::Protocol protocol,
    const DoorIdentity* door) const {
    const auto authorization = ParseAuthorization(request);
    if (!authorization) {
        if (enforce_ || authorization.error().kind != Kind::kMissing) {
            co_return SignatureError(authorization.error(), protocol);
        }
        co_return Unsigned(door);
    }
    HeaderSignature signature(request, *authorization, signing_name, protocol);
    co_return co_await IdentifyBy(signature, signing_name, door);
}

Authenticator::Identity Authenticator::Unsigned(const DoorIdentity* door) const {
    Identity identity;
    identity.caller = door != nullptr ? door->role : RootOf(AccountId(kRootAccount));
    if (door == nullptr) {
        identity.caller.type = Caller::Type::kAnonymous;
    }
    return identity;
}

Task<Result<Authenticator::Identity>> Authenticator::IdentifyBy(
    ClaimedSignature& signature, std::string_view signing_name, const DoorIdentity* door) const {
    Identity identity;
    const std::string_view key_id = signature.access_key_id();
    const std::string_view token = signature.session_token();
    if (!IsRegion(signature.region())) {
        co_return signature.BadRegion();
    }
    identity.region = signature.region();

    // The keys that are known without asking anybody.
    if (key_id == root_.access_key_id) {
        if (!token.empty()) {
            co_return signature.BadToken();
        }
        if (auto problem = signature.Verify(root_.secret_access_key, clock_.Now())) {
            co_return *std::move(problem);
        }
        identity.caller = RootOf(AccountId(kRootAccount));
        identity.caller.access_key_id = root_.access_key_id;
        identity.caller.verified = true;
        co_return identity;
    }
    if (!token.empty()) {
        auto session = sessions_.Open(token);
        if (session.ok()) {
            if (session->access_key_id != key_id) {
                co_return signature.BadToken();
            }
            if (auto problem = signature.Verify(session->secret_access_key, clock_.Now())) {
                co_return *std::move(problem);
            }
            if (session->expiration <= clock_.Now()) {
                co_return signature.ExpiredSession();
            }
            identity.caller = std::move(session->caller);
            co_return identity;
        }
        if (SessionIssuer::IsOurs(token)) {
            co_return signature.BadToken();
        }
    }
    if (directory_ != nullptr) {
        // The request's views stay alive: the gateway holds it until the answer is made.
        HEARTH_CO_TRY(std::optional<AccessKey> key, co_await directory_->Find(key_id));
        if (key) {
            if (!key->active) {
                co_return signature.UnknownKey();
            }
            if (!token.empty()) {
                co_return signature.BadToken();
            }
            if (auto problem = signature.Verify(key->secret, clock_.Now())) {
                co_return *std::move(problem);
            }
            directory_->NoteUse(key_id, signing_name, identity.region, clock_.Now());
            identity.caller = std::move(key->caller);
            identity.caller.access_key_id = key_id;
            identity.caller.verified = true;
            co_return identity;
        }
    }

    // Nobody knows it.
    if (enforce_) {
        co_return signature.UnknownKey();
    }
    if (door != nullptr) {
        identity.caller = door->role;
    } else {
        identity.caller = RootOf(
            AccountId(IsAccountId(key_id) ? std::string(key_id) : std::string(kRootAccount)));
    }
    identity.caller.access_key_id = key_id.substr(0, 128);
    identity.caller.verified = false;
    co_return identity;
}

}  // namespace hearth::aws
