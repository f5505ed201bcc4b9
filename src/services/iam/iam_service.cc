#include "services/iam/iam_service.h"

#include "aws/auth/access_key_id.h"
#include "aws/auth/policy_document.h"
#include "services/iam/aws_managed_policies.h"
#include "services/iam/wire.h"

#include <algorithm>

namespace hearth::iam {
namespace {

std::string_view IdPrefix(PrincipalKind kind) {
    switch (kind) {
        case PrincipalKind::kUser:
            return "AIDA";
        case PrincipalKind::kGroup:
            return "AGPA";
        case PrincipalKind::kRole:
            return "AROA";
    }
    return "";
}

size_t InlineCharactersMax(PrincipalKind kind) {
    switch (kind) {
        case PrincipalKind::kUser:
            return kUserInlineCharactersMax;
        case PrincipalKind::kGroup:
            return kGroupInlineCharactersMax;
        case PrincipalKind::kRole:
            return kRoleInlineCharactersMax;
    }
    return 0;
}

// White space does not count towards the size of policies.
size_t CharactersOf(std::string_view document) {
    return static_cast<size_t>(std::count_if(document.begin(), document.end(), [](char c) {
        return c != ' ' && c != '\n' && c != '\r' && c != '\t';
    }));
}

}  // namespace

IamService::IamService(
    storage::Kv& kv, const codec::MasterKey& master_key, WallClock& clock, Random& random)
    : store_(kv), secrets_(master_key.Derive("iam-access-keys")), clock_(clock), random_(random) {
    operations_.Add<model::CreateUser>(this, &IamService::CreateUser);
    operations_.Add<model::GetUser>(this, &IamService::GetUser);
    operations_.Add<model::ListUsers>(this, &IamService::ListUsers);
    operations_.Add<model::UpdateUser>(this, &IamService::UpdateUser);
    operations_.Add<model::DeleteUser>(this, &IamService::DeleteUser);
    operations_.Add<model::TagUser>(this, &IamService::TagUser);
    operations_.Add<model::UntagUser>(this, &IamService::UntagUser);
    operations_.Add<model::ListUserTags>(this, &IamService::ListUserTags);
    operations_.Add<model::CreateAccessKey>(this, &IamService::CreateAccessKey);
    operations_.Add<model::ListAccessKeys>(this, &IamService::ListAccessKeys);
    operations_.Add<model::UpdateAccessKey>(this, &IamService::UpdateAccessKey);
    operations_.Add<model::DeleteAccessKey>(this, &IamService::DeleteAccessKey);
    operations_.Add<model::GetAccessKeyLastUsed>(this, &IamService::GetAccessKeyLastUsed);
    operations_.Add<model::CreateRole>(this, &IamService::CreateRole);
    operations_.Add<model::GetRole>(this, &IamService::GetRole);
    operations_.Add<model::ListRoles>(this, &IamService::ListRoles);
    operations_.Add<model::UpdateRole>(this, &IamService::UpdateRole);
    operations_.Add<model::UpdateRoleDescription>(this, &IamService::UpdateRoleDescription);
    operations_.Add<model::UpdateAssumeRolePolicy>(this, &IamService::UpdateAssumeRolePolicy);
    operations_.Add<model::DeleteRole>(this, &IamService::DeleteRole);
    operations_.Add<model::TagRole>(this, &IamService::TagRole);
    operations_.Add<model::UntagRole>(this, &IamService::UntagRole);
    operations_.Add<model::ListRoleTags>(this, &IamService::ListRoleTags);
    operations_.Add<model::ListInstanceProfilesForRole>(
        this, &IamService::ListInstanceProfilesForRole);
    operations_.Add<model::CreateGroup>(this, &IamService::CreateGroup);
    operations_.Add<model::GetGroup>(this, &IamService::GetGroup);
    operations_.Add<model::ListGroups>(this, &IamService::ListGroups);
    operations_.Add<model::DeleteGroup>(this, &IamService::DeleteGroup);
    operations_.Add<model::AddUserToGroup>(this, &IamService::AddUserToGroup);
    operations_.Add<model::RemoveUserFromGroup>(this, &IamService::RemoveUserFromGroup);
    operations_.Add<model::ListGroupsForUser>(this, &IamService::ListGroupsForUser);
    operations_.Add<model::PutUserPolicy>(this, &IamService::PutUserPolicy);
    operations_.Add<model::GetUserPolicy>(this, &IamService::GetUserPolicy);
    operations_.Add<model::DeleteUserPolicy>(this, &IamService::DeleteUserPolicy);
    operations_.Add<model::ListUserPolicies>(this, &IamService::ListUserPolicies);
    operations_.Add<model::PutRolePolicy>(this, &IamService::PutRolePolicy);
    operations_.Add<model::GetRolePolicy>(this, &IamService::GetRolePolicy);
    operations_.Add<model::DeleteRolePolicy>(this, &IamService::DeleteRolePolicy);
    operations_.Add<model::ListRolePolicies>(this, &IamService::ListRolePolicies);
    operations_.Add<model::PutGroupPolicy>(this, &IamService::PutGroupPolicy);
    operations_.Add<model::GetGroupPolicy>(this, &IamService::GetGroupPolicy);
    operations_.Add<model::DeleteGroupPolicy>(this, &IamService::DeleteGroupPolicy);
    operations_.Add<model::ListGroupPolicies>(this, &IamService::ListGroupPolicies);
    operations_.Add<model::CreatePolicy>(this, &IamService::CreatePolicy);
    operations_.Add<model::GetPolicy>(this, &IamService::GetPolicy);
    operations_.Add<model::ListPolicies>(this, &IamService::ListPolicies);
    operations_.Add<model::DeletePolicy>(this, &IamService::DeletePolicy);
    operations_.Add<model::CreatePolicyVersion>(this, &IamService::CreatePolicyVersion);
    operations_.Add<model::GetPolicyVersion>(this, &IamService::GetPolicyVersion);
    operations_.Add<model::ListPolicyVersions>(this, &IamService::ListPolicyVersions);
    operations_.Add<model::DeletePolicyVersion>(this, &IamService::DeletePolicyVersion);
    operations_.Add<model::SetDefaultPolicyVersion>(this, &IamService::SetDefaultPolicyVersion);
    operations_.Add<model::TagPolicy>(this, &IamService::TagPolicy);
    operations_.Add<model::UntagPolicy>(this, &IamService::UntagPolicy);
    operations_.Add<model::ListPolicyTags>(this, &IamService::ListPolicyTags);
    operations_.Add<model::ListEntitiesForPolicy>(this, &IamService::ListEntitiesForPolicy);
    operations_.Add<model::AttachUserPolicy>(this, &IamService::AttachUserPolicy);
    operations_.Add<model::DetachUserPolicy>(this, &IamService::DetachUserPolicy);
    operations_.Add<model::ListAttachedUserPolicies>(this, &IamService::ListAttachedUserPolicies);
    operations_.Add<model::AttachRolePolicy>(this, &IamService::AttachRolePolicy);
    operations_.Add<model::DetachRolePolicy>(this, &IamService::DetachRolePolicy);
    operations_.Add<model::ListAttachedRolePolicies>(this, &IamService::ListAttachedRolePolicies);
    operations_.Add<model::AttachGroupPolicy>(this, &IamService::AttachGroupPolicy);
    operations_.Add<model::DetachGroupPolicy>(this, &IamService::DetachGroupPolicy);
    operations_.Add<model::ListAttachedGroupPolicies>(this, &IamService::ListAttachedGroupPolicies);
}

Task<Status> IamService::Start() {
    co_return Status();
}

Task<void> IamService::Stop() {
    std::map<std::string, LastUse, std::less<>> uses;
    {
        const std::lock_guard lock(last_uses_mutex_);
        uses.swap(last_uses_);
    }
    for (const auto& entry : uses) {
        const std::string id = entry.first;
        const LastUse use = entry.second;
        const Status written =
            co_await store_.kv().Transact([&](storage::Transaction& transaction) -> Task<Status> {
                HEARTH_CO_TRY(auto key, co_await store_.FindKey(transaction, id));
                if (key) {
                    key->last_used = use.when;
                    key->last_service = use.service;
                    key->last_region = use.region;
                    IamStore::PutKey(transaction, *key);
                }
                co_return Status();
            });
        if (!written.ok()) {
            // Not worth holding up a stop: the date is a hint for people.
            co_return;
        }
    }
}

Task<Result<std::optional<aws::AccessKey>>> IamService::Find(std::string_view access_key_id) {
    HEARTH_CO_TRY(const auto record, co_await store_.FindKey(std::string(access_key_id)));
    if (!record) {
        co_return std::optional<aws::AccessKey>();
    }
    aws::AccessKey key;
    HEARTH_CO_TRY(key.secret, secrets_.Open(record->sealed_secret, record->id));
    key.caller.type = aws::Caller::Type::kUser;
    key.caller.account = record->account;
    key.caller.arn = record->user_arn;
    key.caller.user_id = record->user_id;
    key.caller.principal_name = record->user_name;
    key.active = record->active;
    co_return std::optional(std::move(key));
}

void IamService::NoteUse(
    std::string_view access_key_id,
    std::string_view service,
    std::string_view region,
    WallClock::time_point when) {
    const std::lock_guard lock(last_uses_mutex_);
    const auto it = last_uses_.find(access_key_id);
    LastUse& use = it != last_uses_.end() ? it->second : last_uses_[std::string(access_key_id)];
    use.when = when;
    use.service.assign(service);
    use.region.assign(region);
}

Task<Result<RoleDirectory::Answer>> IamService::FindRole(
    const AccountId& account, std::string_view arn, std::string_view service_principal) {
    Answer answer;
    const std::string prefix = "arn:aws:iam::" + account.text() + ":role/";
    const std::string wanted(arn);
    const std::string service(service_principal);
    // What is longer than a name can be is no role, and would be too long for a key.
    if (wanted.starts_with(prefix) &&
        wanted.size() - wanted.rfind('/') - 1 <= kRoleNameCharactersMax) {
        const auto role = co_await store_.Get(
            account, PrincipalKind::kRole, wanted.substr(wanted.rfind('/') + 1));
        if (!role.ok() && role.error().kind() != Error::Kind::kNotFound) {
            co_return role.error();
        }
        if (role.ok() && role->Arn() == wanted) {
            aws::TrustRequest request;
            request.service = service;
            request.account = account.text();
            answer.exists = true;
            answer.account_has_roles = true;
            answer.trusts = aws::TrustAllows(role->trust_policy, request);
            answer.role_id = role->id;
            answer.role_name = role->name;
            answer.trust_policy = role->trust_policy;
            answer.max_session_duration_s = role->max_session_duration_s;
            co_return answer;
        }
    }
    HEARTH_CO_TRY(answer.account_has_roles, co_await store_.HasRoles(account));
    co_return answer;
}

Result<std::string> IamService::UserNameOf(
    const aws::RequestContext& context, const std::optional<std::string>& named) const {
    if (named) {
        return *named;
    }
    if (context.caller.type == aws::Caller::Type::kUser) {
        return context.caller.principal_name;
    }
    return errors::Validation("Must specify userName when calling with non-User credentials");
}

Principal IamService::MakePrincipal(
    const aws::RequestContext& context,
    PrincipalKind kind,
    std::string name,
    const std::optional<std::string>& path) {
    Principal principal;
    principal.kind = kind;
    principal.account = context.account;
    principal.name = std::move(name);
    principal.path = PathOrRoot(path);
    principal.id = aws::MakeUniqueId(IdPrefix(kind), random_);
    // IAM's dates have whole seconds.
    principal.created = std::chrono::floor<std::chrono::seconds>(clock_.Now());
    return principal;
}

Task<Status> IamService::CreatePrincipal(Principal principal) {
    co_return co_await store_.kv().Transact([&](storage::Transaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(
            const bool taken,
            co_await store_.Taken(transaction, principal.account, principal.kind, principal.name));
        if (taken) {
            co_return errors::EntityAlreadyExists(fmt::format(
                "{} with name {} already exists.", KindTitle(principal.kind), principal.name));
        }
        IamStore::Put(transaction, principal);
        co_return Status();
    });
}

Task<Status> IamService::DeletePrincipal(AccountId account, PrincipalKind kind, std::string name) {
    co_return co_await store_.kv().Transact([&](storage::Transaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(
            const Principal principal, co_await store_.Get(transaction, account, kind, name));
        if (!principal.access_keys.empty()) {
            co_return errors::DeleteConflict(
                "Cannot delete entity, must delete access keys first.");
        }
        if (!principal.attached_policies.empty()) {
            co_return errors::DeleteConflict(
                "Cannot delete entity, must detach all policies first.");
        }
        if (!principal.inline_policies.empty()) {
            co_return errors::DeleteConflict("Cannot delete entity, must delete policies first.");
        }
        if (!principal.groups.empty() || !principal.members.empty()) {
            co_return errors::DeleteConflict(
                "Cannot delete entity, must remove users from group first.");
        }
        IamStore::Delete(transaction, principal);
        co_return Status();
    });
}

Task<Status> IamService::PutInlinePolicy(
    aws::RequestContext& context,
    PrincipalKind kind,
    std::string name,
    std::string policy_name,
    std::string document) {
    HEARTH_CO_RETURN_IF_ERROR(aws::CheckPolicyDocument(document, aws::PolicyKind::kIdentity));
    HEARTH_CO_RETURN_IF_ERROR(
        co_await store_.Update(context.account, kind, name, [&](Principal& principal) -> Status {
            principal.inline_policies[policy_name] = document;
            size_t characters = 0;
            for (const auto& [other, text] : principal.inline_policies) {
                characters += CharactersOf(text);
            }
            if (characters > InlineCharactersMax(kind)) {
                return errors::LimitExceeded(fmt::format(
                    "Maximum policy size of {} bytes exceeded for {} {}",
                    InlineCharactersMax(kind),
                    KindName(kind),
                    name));
            }
            return {};
        }));
    context.response_headers.emplace_back(kNotEnforcedHeader, "policy");
    co_return Status();
}

Task<Result<std::string>> IamService::GetInlinePolicy(
    AccountId account, PrincipalKind kind, std::string name, std::string policy_name) {
    HEARTH_CO_TRY(const Principal principal, co_await store_.Get(account, kind, name));
    const auto found = principal.inline_policies.find(policy_name);
    if (found == principal.inline_policies.end()) {
        co_return errors::NoSuchEntity(fmt::format(
            "The {} policy with name {} cannot be found.", KindName(kind), policy_name));
    }
    co_return found->second;
}

Task<Status> IamService::DeleteInlinePolicy(
    AccountId account, PrincipalKind kind, std::string name, std::string policy_name) {
    co_return co_await store_.Update(account, kind, name, [&](Principal& principal) -> Status {
        if (principal.inline_policies.erase(policy_name) == 0) {
            return errors::NoSuchEntity(fmt::format(
                "The {} policy with name {} cannot be found.", KindName(kind), policy_name));
        }
        return {};
    });
}

Task<Status> IamService::CheckPolicyExists(
    storage::Transaction& transaction, AccountId account, std::string arn) {
    if (FindAwsManagedPolicy(arn) != nullptr) {
        co_return Status();
    }
    const auto policy = co_await store_.GetPolicy(transaction, account, arn);
    if (!policy.ok() && policy.error().kind() == Error::Kind::kNotFound) {
        co_return errors::NoSuchEntity(
            fmt::format("Policy {} does not exist or is not attachable.", arn));
    }
    if (!policy.ok()) {
        co_return policy.error();
    }
    co_return Status();
}

Task<Status> IamService::Attach(
    aws::RequestContext& context, PrincipalKind kind, std::string name, std::string arn) {
    HEARTH_CO_RETURN_IF_ERROR(CheckPolicyArn(arn));
    HEARTH_CO_RETURN_IF_ERROR(
        co_await store_.kv().Transact([&](storage::Transaction& transaction) -> Task<Status> {
            HEARTH_CO_TRY(
                Principal principal, co_await store_.Get(transaction, context.account, kind, name));
            HEARTH_CO_RETURN_IF_ERROR(
                co_await CheckPolicyExists(transaction, context.account, arn));
            auto& attached = principal.attached_policies;
            if (std::find(attached.begin(), attached.end(), arn) != attached.end()) {
                co_return Status();
            }
            if (attached.size() >= kAttachedPoliciesMax) {
                co_return errors::LimitExceeded(fmt::format(
                    "Cannot exceed quota for PoliciesPer{}: {}",
                    KindTitle(kind),
                    kAttachedPoliciesMax));
            }
            attached.push_back(arn);
            IamStore::Put(transaction, principal);
            IamStore::PutAttachment(transaction, principal, arn);
            co_return Status();
        }));
    context.response_headers.emplace_back(kNotEnforcedHeader, "policy");
    co_return Status();
}

Task<Status> IamService::Detach(
    AccountId account, PrincipalKind kind, std::string name, std::string arn) {
    HEARTH_CO_RETURN_IF_ERROR(CheckPolicyArn(arn));
    co_return co_await store_.kv().Transact([&](storage::Transaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(Principal principal, co_await store_.Get(transaction, account, kind, name));
        if (std::erase(principal.attached_policies, arn) == 0) {
            co_return errors::NoPolicy(arn);
        }
        IamStore::Put(transaction, principal);
        IamStore::DeleteAttachment(transaction, principal, arn);
        co_return Status();
    });
}

}  // namespace hearth::iam
