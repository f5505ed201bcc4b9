#include "services/iam/iam_service.h"
#include "services/iam/wire.h"

#include "gen/iam/types.gen.h"

// Managed policies attached to users, groups and roles: three times the same under other names.
namespace hearth::iam {
namespace {

// Names and ARNs of those whose path begins with the prefix, in order of attachment.
std::vector<model::AttachedPolicy> ToAttached(
    const Principal& principal, const std::optional<std::string>& path_prefix) {
    std::vector<model::AttachedPolicy> list;
    for (const std::string& arn : principal.attached_policies) {
        const size_t path = arn.find('/');
        if (path == std::string::npos || !arn.substr(path).starts_with(path_prefix.value_or("/"))) {
            continue;
        }
        model::AttachedPolicy& policy = list.emplace_back();
        policy.policy_name = arn.substr(arn.rfind('/') + 1);
        policy.policy_arn = arn;
    }
    return list;
}

}  // namespace

Task<Result<model::AttachUserPolicy::Output>> IamService::AttachUserPolicy(
    aws::RequestContext& context, model::AttachUserPolicy::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(
        co_await Attach(context, PrincipalKind::kUser, *input.user_name, *input.policy_arn));
    co_return model::AttachUserPolicy::Output();
}

Task<Result<model::DetachUserPolicy::Output>> IamService::DetachUserPolicy(
    aws::RequestContext& context, model::DetachUserPolicy::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await Detach(
        context.account, PrincipalKind::kUser, *input.user_name, *input.policy_arn));
    co_return model::DetachUserPolicy::Output();
}

Task<Result<model::ListAttachedUserPolicies::Output>> IamService::ListAttachedUserPolicies(
    aws::RequestContext& context, model::ListAttachedUserPolicies::Input input) {
    HEARTH_CO_TRY(
        const Principal principal,
        co_await store_.Get(context.account, PrincipalKind::kUser, *input.user_name));
    model::ListAttachedUserPolicies::Output output;
    HEARTH_CO_RETURN_IF_ERROR(Paginate(
        ToAttached(principal, input.path_prefix),
        input.marker,
        input.max_items,
        output.attached_policies,
        output));
    co_return output;
}

Task<Result<model::AttachRolePolicy::Output>> IamService::AttachRolePolicy(
    aws::RequestContext& context, model::AttachRolePolicy::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(
        co_await Attach(context, PrincipalKind::kRole, *input.role_name, *input.policy_arn));
    co_return model::AttachRolePolicy::Output();
}

Task<Result<model::DetachRolePolicy::Output>> IamService::DetachRolePolicy(
    aws::RequestContext& context, model::DetachRolePolicy::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await Detach(
        context.account, PrincipalKind::kRole, *input.role_name, *input.policy_arn));
    co_return model::DetachRolePolicy::Output();
}

Task<Result<model::ListAttachedRolePolicies::Output>> IamService::ListAttachedRolePolicies(
    aws::RequestContext& context, model::ListAttachedRolePolicies::Input input) {
    HEARTH_CO_TRY(
        const Principal principal,
        co_await store_.Get(context.account, PrincipalKind::kRole, *input.role_name));
    model::ListAttachedRolePolicies::Output output;
    HEARTH_CO_RETURN_IF_ERROR(Paginate(
        ToAttached(principal, input.path_prefix),
        input.marker,
        input.max_items,
        output.attached_policies,
        output));
    co_return output;
}

Task<Result<model::AttachGroupPolicy::Output>> IamService::AttachGroupPolicy(
    aws::RequestContext& context, model::AttachGroupPolicy::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(
        co_await Attach(context, PrincipalKind::kGroup, *input.group_name, *input.policy_arn));
    co_return model::AttachGroupPolicy::Output();
}

Task<Result<model::DetachGroupPolicy::Output>> IamService::DetachGroupPolicy(
    aws::RequestContext& context, model::DetachGroupPolicy::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await Detach(
        context.account, PrincipalKind::kGroup, *input.group_name, *input.policy_arn));
    co_return model::DetachGroupPolicy::Output();
}

Task<Result<model::ListAttachedGroupPolicies::Output>> IamService::ListAttachedGroupPolicies(
    aws::RequestContext& context, model::ListAttachedGroupPolicies::Input input) {
    HEARTH_CO_TRY(
        const Principal principal,
        co_await store_.Get(context.account, PrincipalKind::kGroup, *input.group_name));
    model::ListAttachedGroupPolicies::Output output;
    HEARTH_CO_RETURN_IF_ERROR(Paginate(
        ToAttached(principal, input.path_prefix),
        input.marker,
        input.max_items,
        output.attached_policies,
        output));
    co_return output;
}

}  // namespace hearth::iam
