#include "services/iam/iam_service.h"
#include "services/iam/wire.h"

#include "gen/iam/types.gen.h"

// Inline policies of users, groups and roles: three times the same operations under other names.
namespace hearth::iam {

Task<Result<model::PutUserPolicy::Output>> IamService::PutUserPolicy(
    aws::RequestContext& context, model::PutUserPolicy::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await PutInlinePolicy(
        context,
        PrincipalKind::kUser,
        *input.user_name,
        *input.policy_name,
        *input.policy_document));
    co_return model::PutUserPolicy::Output();
}

Task<Result<model::GetUserPolicy::Output>> IamService::GetUserPolicy(
    aws::RequestContext& context, model::GetUserPolicy::Input input) {
    HEARTH_CO_TRY(
        const std::string document,
        co_await GetInlinePolicy(
            context.account, PrincipalKind::kUser, *input.user_name, *input.policy_name));
    model::GetUserPolicy::Output output;
    output.user_name = input.user_name;
    output.policy_name = input.policy_name;
    output.policy_document = ToDocument(document);
    co_return output;
}

Task<Result<model::DeleteUserPolicy::Output>> IamService::DeleteUserPolicy(
    aws::RequestContext& context, model::DeleteUserPolicy::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await DeleteInlinePolicy(
        context.account, PrincipalKind::kUser, *input.user_name, *input.policy_name));
    co_return model::DeleteUserPolicy::Output();
}

Task<Result<model::ListUserPolicies::Output>> IamService::ListUserPolicies(
    aws::RequestContext& context, model::ListUserPolicies::Input input) {
    HEARTH_CO_TRY(
        const Principal principal,
        co_await store_.Get(context.account, PrincipalKind::kUser, *input.user_name));
    std::vector<std::string> names;
    for (const auto& [name, document] : principal.inline_policies) {
        names.push_back(name);
    }
    model::ListUserPolicies::Output output;
    HEARTH_CO_RETURN_IF_ERROR(
        Paginate(std::move(names), input.marker, input.max_items, output.policy_names, output));
    co_return output;
}

Task<Result<model::PutRolePolicy::Output>> IamService::PutRolePolicy(
    aws::RequestContext& context, model::PutRolePolicy::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await PutInlinePolicy(
        context,
        PrincipalKind::kRole,
        *input.role_name,
        *input.policy_name,
        *input.policy_document));
    co_return model::PutRolePolicy::Output();
}

Task<Result<model::GetRolePolicy::Output>> IamService::GetRolePolicy(
    aws::RequestContext& context, model::GetRolePolicy::Input input) {
    HEARTH_CO_TRY(
        const std::string document,
        co_await GetInlinePolicy(
            context.account, PrincipalKind::kRole, *input.role_name, *input.policy_name));
    model::GetRolePolicy::Output output;
    output.role_name = input.role_name;
    output.policy_name = input.policy_name;
    output.policy_document = ToDocument(document);
    co_return output;
}

Task<Result<model::DeleteRolePolicy::Output>> IamService::DeleteRolePolicy(
    aws::RequestContext& context, model::DeleteRolePolicy::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await DeleteInlinePolicy(
        context.account, PrincipalKind::kRole, *input.role_name, *input.policy_name));
    co_return model::DeleteRolePolicy::Output();
}

Task<Result<model::ListRolePolicies::Output>> IamService::ListRolePolicies(
    aws::RequestContext& context, model::ListRolePolicies::Input input) {
    HEARTH_CO_TRY(
        const Principal principal,
        co_await store_.Get(context.account, PrincipalKind::kRole, *input.role_name));
    std::vector<std::string> names;
    for (const auto& [name, document] : principal.inline_policies) {
        names.push_back(name);
    }
    model::ListRolePolicies::Output output;
    HEARTH_CO_RETURN_IF_ERROR(
        Paginate(std::move(names), input.marker, input.max_items, output.policy_names, output));
    co_return output;
}

Task<Result<model::PutGroupPolicy::Output>> IamService::PutGroupPolicy(
    aws::RequestContext& context, model::PutGroupPolicy::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await PutInlinePolicy(
        context,
        PrincipalKind::kGroup,
        *input.group_name,
        *input.policy_name,
        *input.policy_document));
    co_return model::PutGroupPolicy::Output();
}

Task<Result<model::GetGroupPolicy::Output>> IamService::GetGroupPolicy(
    aws::RequestContext& context, model::GetGroupPolicy::Input input) {
    HEARTH_CO_TRY(
        const std::string document,
        co_await GetInlinePolicy(
            context.account, PrincipalKind::kGroup, *input.group_name, *input.policy_name));
    model::GetGroupPolicy::Output output;
    output.group_name = input.group_name;
    output.policy_name = input.policy_name;
    output.policy_document = ToDocument(document);
    co_return output;
}

Task<Result<model::DeleteGroupPolicy::Output>> IamService::DeleteGroupPolicy(
    aws::RequestContext& context, model::DeleteGroupPolicy::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await DeleteInlinePolicy(
        context.account, PrincipalKind::kGroup, *input.group_name, *input.policy_name));
    co_return model::DeleteGroupPolicy::Output();
}

Task<Result<model::ListGroupPolicies::Output>> IamService::ListGroupPolicies(
    aws::RequestContext& context, model::ListGroupPolicies::Input input) {
    HEARTH_CO_TRY(
        const Principal principal,
        co_await store_.Get(context.account, PrincipalKind::kGroup, *input.group_name));
    std::vector<std::string> names;
    for (const auto& [name, document] : principal.inline_policies) {
        names.push_back(name);
    }
    model::ListGroupPolicies::Output output;
    HEARTH_CO_RETURN_IF_ERROR(
        Paginate(std::move(names), input.marker, input.max_items, output.policy_names, output));
    co_return output;
}

}  // namespace hearth::iam
