#include "aws/auth/access_key_id.h"
#include "aws/auth/policy_document.h"
#include "aws/auth/session_issuer.h"
#include "services/sts/errors.h"
#include "services/sts/limits.h"
#include "services/sts/sts_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

namespace hearth::sts {
namespace {

struct RoleArn {
    AccountId account;
    std::string name;  // without the path
};

// arn:aws:iam::<12 digits>:role/<path><name>
std::optional<RoleArn> ParseRoleArn(std::string_view arn) {
    static constexpr std::string_view kHead = "arn:aws:iam::";
    static constexpr std::string_view kKind = ":role/";
    if (!arn.starts_with(kHead)) {
        return std::nullopt;
    }
    arn.remove_prefix(kHead.size());
    const std::string_view account = arn.substr(0, 12);
    const bool digits = account.size() == 12 &&
                        std::ranges::all_of(account, [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || !arn.substr(12).starts_with(kKind)) {
        return std::nullopt;
    }
    const std::string_view path = arn.substr(12 + kKind.size());
    const std::string_view name = path.substr(path.rfind('/') + 1);
    if (name.empty() || name.size() > 64) {
        return std::nullopt;
    }
    return RoleArn{AccountId(std::string(account)), std::string(name)};
}

Status CheckParameters(const model::AssumeRole::Input& input) {
    if (input.serial_number || input.token_code) {
        return errors::ParameterNotImplemented("SerialNumber");
    }
    if (input.provided_contexts && !input.provided_contexts->empty()) {
        return errors::ParameterNotImplemented("ProvidedContexts");
    }
    if ((input.tags && !input.tags->empty()) ||
        (input.transitive_tag_keys && !input.transitive_tag_keys->empty())) {
        return errors::ParameterNotImplemented("Tags");
    }
    if (input.policy) {
        return aws::CheckPolicyDocument(*input.policy, aws::PolicyKind::kIdentity);
    }
    return Status();
}

aws::TrustRequest TrustRequestOf(const aws::Caller& caller, const model::AssumeRole::Input& input) {
    aws::TrustRequest request;
    if (caller.type == aws::Caller::Type::kService) {
        request.service = caller.principal_name;
    } else {
        request.principal_arn = caller.arn;
        request.account = caller.account.text();
    }
    if (caller.type == aws::Caller::Type::kAssumedRole) {
        request.role_arn =
            "arn:aws:iam::" + caller.account.text() + ":role/" + caller.principal_name;
    }
    request.external_id = input.external_id.value_or("");
    request.role_session_name = input.role_session_name.value_or("");
    return request;
}

}  // namespace

Task<Result<model::AssumeRole::Output>> StsService::AssumeRole(
    aws::RequestContext& context, model::AssumeRole::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckParameters(input));
    const std::optional<RoleArn> arn = ParseRoleArn(*input.role_arn);
    if (!arn) {
        co_return errors::Validation(fmt::format("{} is invalid", *input.role_arn));
    }
    const aws::Caller& caller = context.caller;

    RoleDirectory::Answer role;
    if (roles_ != nullptr) {
        HEARTH_CO_TRY(role, co_await roles_->FindRole(arn->account, *input.role_arn, ""));
    }
    aws::RoleSession session;
    session.account = arn->account;
    session.session_name = *input.role_session_name;
    if (role.exists) {
        if (!aws::TrustAllows(role.trust_policy, TrustRequestOf(caller, input))) {
            co_return errors::NotAuthorizedToAssume(caller.arn, *input.role_arn);
        }
        session.role_name = role.role_name;
        session.role_id = role.role_id;
    } else if (enforce_ || role.account_has_roles) {
        // The same answer as for a role that does not trust the caller, so nobody learns which
        // roles there are.
        co_return errors::NotAuthorizedToAssume(caller.arn, *input.role_arn);
    } else {
        // An account without any role, in open mode: taken as given.
        session.role_name = arn->name;
        session.role_id = aws::UniqueIdOf("AROA", *input.role_arn);
        role.max_session_duration_s = 43'200;
    }

    session.duration =
        input.duration_seconds ? std::chrono::seconds(*input.duration_seconds) : kAssumeRoleDefault;
    if (session.duration > std::chrono::seconds(role.max_session_duration_s)) {
        co_return errors::Validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
    }
    if (caller.type == aws::Caller::Type::kAssumedRole && session.duration > kRoleChainingMax) {
        co_return errors::Validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by "
            "role chaining");
    }

    const aws::SessionCredentials made = sessions_.IssueForRole(session);
    model::AssumeRole::Output output;
    auto& credentials = output.credentials.emplace();
    credentials.access_key_id = made.access_key_id;
    credentials.secret_access_key = made.secret_access_key;
    credentials.session_token = made.session_token;
    credentials.expiration = made.expiration;
    const aws::Caller assumed = aws::SessionIssuer::CallerOf(session);
    auto& user = output.assumed_role_user.emplace();
    user.assumed_role_id = assumed.user_id;
    user.arn = assumed.arn;
    output.source_identity = input.source_identity;
    if (input.policy || (input.policy_arns && !input.policy_arns->empty())) {
        // Of the 2,048 characters that a packed session policy may have.
        const size_t size = input.policy.value_or("").size();
        output.packed_policy_size =
            static_cast<int32_t>(std::min<size_t>(100, size * 100 / 2048 + 1));
        context.response_headers.emplace_back("x-hearth-not-enforced", "policy");
    }
    co_return output;
}

}  // namespace hearth::sts
