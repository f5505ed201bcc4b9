#pragma once

#include "aws/auth/access_key_directory.h"
#include "aws/front/service.h"
#include "base/random.h"
#include "codec/crypto/master_key.h"
#include "services/iam/iam_store.h"
#include "services/role_directory.h"

#include "gen/iam/operations.gen.h"

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace hearth::iam {

// Users, access keys, groups, roles and policies; also where the gateway finds users' keys and
// where other services ask about roles. All state is in the store; operations may run on any loop.
class IamService final : public aws::ServiceApi,
                         public aws::AccessKeyDirectory,
                         public RoleDirectory {
  public:
    IamService(
        storage::Kv& kv, const codec::MasterKey& master_key, WallClock& clock, Random& random);

    const aws::model::Service& Model() const override { return model::Service(); }

    const aws::OperationTable& Operations() const override { return operations_; }

    Task<Status> Start() override;
    // Writes down when keys were last used; a crash loses that since the last stop.
    Task<void> Stop() override;

    // AccessKeyDirectory
    Task<Result<std::optional<aws::AccessKey>>> Find(std::string_view access_key_id) override;
    void NoteUse(
        std::string_view access_key_id,
        std::string_view service,
        std::string_view region,
        WallClock::time_point when) override;

    // RoleDirectory
    Task<Result<Answer>> FindRole(
        const AccountId& account,
        std::string_view arn,
        std::string_view service_principal) override;

  private:
    struct LastUse {
        WallClock::time_point when;
        std::string service;
        std::string region;
    };

    Task<Result<model::CreateUser::Output>> CreateUser(
        aws::RequestContext& context, model::CreateUser::Input input);
    Task<Result<model::GetUser::Output>> GetUser(
        aws::RequestContext& context, model::GetUser::Input input);
    Task<Result<model::ListUsers::Output>> ListUsers(
        aws::RequestContext& context, model::ListUsers::Input input);
    Task<Result<model::UpdateUser::Output>> UpdateUser(
        aws::RequestContext& context, model::UpdateUser::Input input);
    Task<Result<model::DeleteUser::Output>> DeleteUser(
        aws::RequestContext& context, model::DeleteUser::Input input);
    Task<Result<model::TagUser::Output>> TagUser(
        aws::RequestContext& context, model::TagUser::Input input);
    Task<Result<model::UntagUser::Output>> UntagUser(
        aws::RequestContext& context, model::UntagUser::Input input);
    Task<Result<model::ListUserTags::Output>> ListUserTags(
        aws::RequestContext& context, model::ListUserTags::Input input);
    Task<Result<model::CreateAccessKey::Output>> CreateAccessKey(
        aws::RequestContext& context, model::CreateAccessKey::Input input);
    Task<Result<model::ListAccessKeys::Output>> ListAccessKeys(
        aws::RequestContext& context, model::ListAccessKeys::Input input);
    Task<Result<model::UpdateAccessKey::Output>> UpdateAccessKey(
        aws::RequestContext& context, model::UpdateAccessKey::Input input);
    Task<Result<model::DeleteAccessKey::Output>> DeleteAccessKey(
        aws::RequestContext& context, model::DeleteAccessKey::Input input);
    Task<Result<model::GetAccessKeyLastUsed::Output>> GetAccessKeyLastUsed(
        aws::RequestContext& context, model::GetAccessKeyLastUsed::Input input);
    Task<Result<model::CreateRole::Output>> CreateRole(
        aws::RequestContext& context, model::CreateRole::Input input);
    Task<Result<model::GetRole::Output>> GetRole(
        aws::RequestContext& context, model::GetRole::Input input);
    Task<Result<model::ListRoles::Output>> ListRoles(
        aws::RequestContext& context, model::ListRoles::Input input);
    Task<Result<model::UpdateRole::Output>> UpdateRole(
        aws::RequestContext& context, model::UpdateRole::Input input);
    Task<Result<model::UpdateRoleDescription::Output>> UpdateRoleDescription(
        aws::RequestContext& context, model::UpdateRoleDescription::Input input);
    Task<Result<model::UpdateAssumeRolePolicy::Output>> UpdateAssumeRolePolicy(
        aws::RequestContext& context, model::UpdateAssumeRolePolicy::Input input);
    Task<Result<model::DeleteRole::Output>> DeleteRole(
        aws::RequestContext& context, model::DeleteRole::Input input);
    Task<Result<model::TagRole::Output>> TagRole(
        aws::RequestContext& context, model::TagRole::Input input);
    Task<Result<model::UntagRole::Output>> UntagRole(
        aws::RequestContext& context, model::UntagRole::Input input);
    Task<Result<model::ListRoleTags::Output>> ListRoleTags(
        aws::RequestContext& context, model::ListRoleTags::Input input);
    Task<Result<model::ListInstanceProfilesForRole::Output>> ListInstanceProfilesForRole(
        aws::RequestContext& context, model::ListInstanceProfilesForRole::Input input);
    Task<Result<model::CreateGroup::Output>> CreateGroup(
        aws::RequestContext& context, model::CreateGroup::Input input);
    Task<Result<model::GetGroup::Output>> GetGroup(
        aws::RequestContext& context, model::GetGroup::Input input);
    Task<Result<model::ListGroups::Output>> ListGroups(
        aws::RequestContext& context, model::ListGroups::Input input);
    Task<Result<model::DeleteGroup::Output>> DeleteGroup(
        aws::RequestContext& context, model::DeleteGroup::Input input);
    Task<Result<model::AddUserToGroup::Output>> AddUserToGroup(
        aws::RequestContext& context, model::AddUserToGroup::Input input);
    Task<Result<model::RemoveUserFromGroup::Output>> RemoveUserFromGroup(
        aws::RequestContext& context, model::RemoveUserFromGroup::Input input);
    Task<Result<model::ListGroupsForUser::Output>> ListGroupsForUser(
        aws::RequestContext& context, model::ListGroupsForUser::Input input);
    Task<Result<model::PutUserPolicy::Output>> PutUserPolicy(
        aws::RequestContext& context, model::PutUserPolicy::Input input);
    Task<Result<model::GetUserPolicy::Output>> GetUserPolicy(
        aws::RequestContext& context, model::GetUserPolicy::Input input);
    Task<Result<model::DeleteUserPolicy::Output>> DeleteUserPolicy(
        aws::RequestContext& context, model::DeleteUserPolicy::Input input);
    Task<Result<model::ListUserPolicies::Output>> ListUserPolicies(
        aws::RequestContext& context, model::ListUserPolicies::Input input);
    Task<Result<model::PutRolePolicy::Output>> PutRolePolicy(
        aws::RequestContext& context, model::PutRolePolicy::Input input);
    Task<Result<model::GetRolePolicy::Output>> GetRolePolicy(
        aws::RequestContext& context, model::GetRolePolicy::Input input);
    Task<Result<model::DeleteRolePolicy::Output>> DeleteRolePolicy(
        aws::RequestContext& context, model::DeleteRolePolicy::Input input);
    Task<Result<model::ListRolePolicies::Output>> ListRolePolicies(
        aws::RequestContext& context, model::ListRolePolicies::Input input);
    Task<Result<model::PutGroupPolicy::Output>> PutGroupPolicy(
        aws::RequestContext& context, model::PutGroupPolicy::Input input);
    Task<Result<model::GetGroupPolicy::Output>> GetGroupPolicy(
        aws::RequestContext& context, model::GetGroupPolicy::Input input);
    Task<Result<model::DeleteGroupPolicy::Output>> DeleteGroupPolicy(
        aws::RequestContext& context, model::DeleteGroupPolicy::Input input);
    Task<Result<model::ListGroupPolicies::Output>> ListGroupPolicies(
        aws::RequestContext& context, model::ListGroupPolicies::Input input);
    Task<Result<model::CreatePolicy::Output>> CreatePolicy(
        aws::RequestContext& context, model::CreatePolicy::Input input);
    Task<Result<model::GetPolicy::Output>> GetPolicy(
        aws::RequestContext& context, model::GetPolicy::Input input);
    Task<Result<model::ListPolicies::Output>> ListPolicies(
        aws::RequestContext& context, model::ListPolicies::Input input);
    Task<Result<model::DeletePolicy::Output>> DeletePolicy(
        aws::RequestContext& context, model::DeletePolicy::Input input);
    Task<Result<model::CreatePolicyVersion::Output>> CreatePolicyVersion(
        aws::RequestContext& context, model::CreatePolicyVersion::Input input);
    Task<Result<model::GetPolicyVersion::Output>> GetPolicyVersion(
        aws::RequestContext& context, model::GetPolicyVersion::Input input);
    Task<Result<model::ListPolicyVersions::Output>> ListPolicyVersions(
        aws::RequestContext& context, model::ListPolicyVersions::Input input);
    Task<Result<model::DeletePolicyVersion::Output>> DeletePolicyVersion(
        aws::RequestContext& context, model::DeletePolicyVersion::Input input);
    Task<Result<model::SetDefaultPolicyVersion::Output>> SetDefaultPolicyVersion(
        aws::RequestContext& context, model::SetDefaultPolicyVersion::Input input);
    Task<Result<model::TagPolicy::Output>> TagPolicy(
        aws::RequestContext& context, model::TagPolicy::Input input);
    Task<Result<model::UntagPolicy::Output>> UntagPolicy(
        aws::RequestContext& context, model::UntagPolicy::Input input);
    Task<Result<model::ListPolicyTags::Output>> ListPolicyTags(
        aws::RequestContext& context, model::ListPolicyTags::Input input);
    Task<Result<model::ListEntitiesForPolicy::Output>> ListEntitiesForPolicy(
        aws::RequestContext& context, model::ListEntitiesForPolicy::Input input);
    Task<Result<model::AttachUserPolicy::Output>> AttachUserPolicy(
        aws::RequestContext& context, model::AttachUserPolicy::Input input);
    Task<Result<model::DetachUserPolicy::Output>> DetachUserPolicy(
        aws::RequestContext& context, model::DetachUserPolicy::Input input);
    Task<Result<model::ListAttachedUserPolicies::Output>> ListAttachedUserPolicies(
        aws::RequestContext& context, model::ListAttachedUserPolicies::Input input);
    Task<Result<model::AttachRolePolicy::Output>> AttachRolePolicy(
        aws::RequestContext& context, model::AttachRolePolicy::Input input);
    Task<Result<model::DetachRolePolicy::Output>> DetachRolePolicy(
        aws::RequestContext& context, model::DetachRolePolicy::Input input);
    Task<Result<model::ListAttachedRolePolicies::Output>> ListAttachedRolePolicies(
        aws::RequestContext& context, model::ListAttachedRolePolicies::Input input);
    Task<Result<model::AttachGroupPolicy::Output>> AttachGroupPolicy(
        aws::RequestContext& context, model::AttachGroupPolicy::Input input);
    Task<Result<model::DetachGroupPolicy::Output>> DetachGroupPolicy(
        aws::RequestContext& context, model::DetachGroupPolicy::Input input);
    Task<Result<model::ListAttachedGroupPolicies::Output>> ListAttachedGroupPolicies(
        aws::RequestContext& context, model::ListAttachedGroupPolicies::Input input);

    // What the operations for users, groups and roles share.
    Task<Status> CreatePrincipal(Principal principal);
    Task<Status> DeletePrincipal(AccountId account, PrincipalKind kind, std::string name);
    Task<Status> PutInlinePolicy(
        aws::RequestContext& context,
        PrincipalKind kind,
        std::string name,
        std::string policy_name,
        std::string document);
    Task<Result<std::string>> GetInlinePolicy(
        AccountId account, PrincipalKind kind, std::string name, std::string policy_name);
    Task<Status> DeleteInlinePolicy(
        AccountId account, PrincipalKind kind, std::string name, std::string policy_name);
    Task<Status> Attach(
        aws::RequestContext& context, PrincipalKind kind, std::string name, std::string arn);
    Task<Status> Detach(AccountId account, PrincipalKind kind, std::string name, std::string arn);
    Task<Status> CheckPolicyExists(
        storage::Transaction& transaction, AccountId account, std::string arn);

    // The user an operation is about: the named one, or the caller.
    Result<std::string> UserNameOf(
        const aws::RequestContext& context, const std::optional<std::string>& named) const;
    Principal MakePrincipal(
        const aws::RequestContext& context,
        PrincipalKind kind,
        std::string name,
        const std::optional<std::string>& path);

    IamStore store_;
    codec::SealingKey secrets_;
    WallClock& clock_;
    Random& random_;
    aws::OperationTable operations_;

    std::mutex last_uses_mutex_;
    std::map<std::string, LastUse, std::less<>> last_uses_;
};

}  // namespace hearth::iam
