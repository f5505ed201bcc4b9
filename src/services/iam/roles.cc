#include "aws/auth/policy_document.h"
#include "services/iam/iam_service.h"
#include "services/iam/wire.h"

#include "gen/iam/types.gen.h"

// Roles and their trust policies.
namespace hearth::iam {
namespace {

Status CheckTrustPolicy(const std::string& document) {
    if (document.size() > kTrustPolicyCharactersMax) {
        return errors::LimitExceeded(
            fmt::format("Cannot exceed quota for ACLSizePerRole: {}", kTrustPolicyCharactersMax));
    }
    return aws::CheckPolicyDocument(document, aws::PolicyKind::kTrust);
}

// As GetRole shows it: with tags and when it was last used, which Hearth does not follow.
model::Role ToFullRole(const Principal& role) {
    model::Role shape = ToRole(role);
    if (!role.tags.empty()) {
        shape.tags = ToTags(role.tags);
    }
    return shape;
}

}  // namespace

Task<Result<model::CreateRole::Output>> IamService::CreateRole(
    aws::RequestContext& context, model::CreateRole::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckTrustPolicy(*input.assume_role_policy_document));
    Principal role = MakePrincipal(context, PrincipalKind::kRole, *input.role_name, input.path);
    role.trust_policy = *input.assume_role_policy_document;
    role.description = input.description;
    role.max_session_duration_s = input.max_session_duration.value_or(3600);
    role.permissions_boundary = input.permissions_boundary;
    HEARTH_CO_RETURN_IF_ERROR(MergeTags(role.tags, input.tags));
    HEARTH_CO_RETURN_IF_ERROR(co_await CreatePrincipal(role));
    if (role.permissions_boundary) {
        context.response_headers.emplace_back(kNotEnforcedHeader, "policy");
    }
    model::CreateRole::Output output;
    output.role = ToFullRole(role);
    co_return output;
}

Task<Result<model::GetRole::Output>> IamService::GetRole(
    aws::RequestContext& context, model::GetRole::Input input) {
    HEARTH_CO_TRY(
        const Principal role,
        co_await store_.Get(context.account, PrincipalKind::kRole, *input.role_name));
    model::GetRole::Output output;
    output.role = ToFullRole(role);
    output.role->role_last_used.emplace();
    co_return output;
}

Task<Result<model::ListRoles::Output>> IamService::ListRoles(
    aws::RequestContext& context, model::ListRoles::Input input) {
    HEARTH_CO_TRY(
        auto page,
        co_await store_.List(
            context.account,
            PrincipalKind::kRole,
            PathOrRoot(input.path_prefix),
            input.marker,
            input.max_items.value_or(kListItemsDefault)));
    model::ListRoles::Output output;
    output.roles.emplace();
    for (const Principal& role : page.records) {
        output.roles->push_back(ToRole(role));
    }
    output.is_truncated = page.marker.has_value();
    output.marker = page.marker;
    co_return output;
}

Task<Result<model::UpdateRole::Output>> IamService::UpdateRole(
    aws::RequestContext& context, model::UpdateRole::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Update(
        context.account, PrincipalKind::kRole, *input.role_name, [&](Principal& role) -> Status {
            // A description that is not given becomes empty, a duration the default: as on AWS.
            role.description = input.description;
            role.max_session_duration_s = input.max_session_duration.value_or(3600);
            return {};
        }));
    co_return model::UpdateRole::Output();
}

Task<Result<model::UpdateRoleDescription::Output>> IamService::UpdateRoleDescription(
    aws::RequestContext& context, model::UpdateRoleDescription::Input input) {
    Principal changed;
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Update(
        context.account, PrincipalKind::kRole, *input.role_name, [&](Principal& role) -> Status {
            role.description = input.description;
            changed = role;
            return {};
        }));
    model::UpdateRoleDescription::Output output;
    output.role = ToFullRole(changed);
    co_return output;
}

Task<Result<model::UpdateAssumeRolePolicy::Output>> IamService::UpdateAssumeRolePolicy(
    aws::RequestContext& context, model::UpdateAssumeRolePolicy::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckTrustPolicy(*input.policy_document));
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Update(
        context.account, PrincipalKind::kRole, *input.role_name, [&](Principal& role) -> Status {
            role.trust_policy = *input.policy_document;
            return {};
        }));
    co_return model::UpdateAssumeRolePolicy::Output();
}

Task<Result<model::DeleteRole::Output>> IamService::DeleteRole(
    aws::RequestContext& context, model::DeleteRole::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(
        co_await DeletePrincipal(context.account, PrincipalKind::kRole, *input.role_name));
    co_return model::DeleteRole::Output();
}

Task<Result<model::TagRole::Output>> IamService::TagRole(
    aws::RequestContext& context, model::TagRole::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Update(
        context.account, PrincipalKind::kRole, *input.role_name, [&](Principal& role) {
            return MergeTags(role.tags, input.tags);
        }));
    co_return model::TagRole::Output();
}

Task<Result<model::UntagRole::Output>> IamService::UntagRole(
    aws::RequestContext& context, model::UntagRole::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Update(
        context.account, PrincipalKind::kRole, *input.role_name, [&](Principal& role) -> Status {
            for (const std::string& key : *input.tag_keys) {
                role.tags.erase(key);
            }
            return {};
        }));
    co_return model::UntagRole::Output();
}

Task<Result<model::ListRoleTags::Output>> IamService::ListRoleTags(
    aws::RequestContext& context, model::ListRoleTags::Input input) {
    HEARTH_CO_TRY(
        const Principal role,
        co_await store_.Get(context.account, PrincipalKind::kRole, *input.role_name));
    model::ListRoleTags::Output output;
    HEARTH_CO_RETURN_IF_ERROR(
        Paginate(ToTags(role.tags), input.marker, input.max_items, output.tags, output));
    co_return output;
}

Task<Result<model::ListInstanceProfilesForRole::Output>> IamService::ListInstanceProfilesForRole(
    aws::RequestContext& context, model::ListInstanceProfilesForRole::Input input) {
    // There are no instance profiles, since there are no instances; clients ask before they delete
    // a role.
    HEARTH_CO_TRY(
        const Principal role,
        co_await store_.Get(context.account, PrincipalKind::kRole, *input.role_name));
    model::ListInstanceProfilesForRole::Output output;
    output.instance_profiles.emplace();
    output.is_truncated = false;
    co_return output;
}

}  // namespace hearth::iam
