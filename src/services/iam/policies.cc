#include "aws/auth/access_key_id.h"
#include "aws/auth/policy_document.h"
#include "services/iam/aws_managed_policies.h"
#include "services/iam/iam_service.h"
#include "services/iam/wire.h"

#include "gen/iam/types.gen.h"

#include <algorithm>
#include <charconv>

// Managed policies: those of the account, and the ones AWS keeps, which nobody may change.
namespace hearth::iam {
namespace {

// AWS's own policies have been there since before this cloud.
constexpr WallClock::time_point kAwsPolicyDate{std::chrono::milliseconds(1'423'163'061'000)};

Status CheckManagedDocument(const std::string& document) {
    const auto blanks = std::count_if(document.begin(), document.end(), [](char c) {
        return c == ' ' || c == '\n' || c == '\r' || c == '\t';
    });
    if (document.size() - static_cast<size_t>(blanks) > kManagedPolicyCharactersMax) {
        return errors::LimitExceeded(
            fmt::format("Cannot exceed quota for PolicySize: {}", kManagedPolicyCharactersMax));
    }
    return aws::CheckPolicyDocument(document, aws::PolicyKind::kIdentity);
}

// Also that the ARN is one, before it becomes part of a key.
Status CheckOwn(const std::string& arn) {
    HEARTH_RETURN_IF_ERROR(CheckPolicyArn(arn));
    if (FindAwsManagedPolicy(arn) != nullptr) {
        return Error(
            Error::Kind::kDenied,
            "AccessDenied",
            fmt::format("{} is a policy of AWS; only its owner may change it.", arn),
            403);
    }
    return {};
}

// "v12" to 12; 0 for anything else.
int VersionNumber(const std::string& id) {
    int number = 0;
    if (id.size() < 2 || id[0] != 'v' ||
        std::from_chars(id.data() + 1, id.data() + id.size(), number).ptr !=
            id.data() + id.size()) {
        return 0;
    }
    return number;
}

Error NoVersion(const std::string& arn, const std::string& version) {
    return errors::NoSuchEntity(
        fmt::format("Policy {} version {} does not exist or is not attachable.", arn, version));
}

model::PolicyVersion ToVersion(
    const ManagedPolicy& policy,
    int number,
    const PolicyVersionRecord& version,
    bool with_document) {
    model::PolicyVersion shape;
    shape.version_id = fmt::format("v{}", number);
    shape.is_default_version = number == policy.default_version;
    shape.create_date = version.created;
    if (with_document) {
        shape.document = ToDocument(version.document);
    }
    return shape;
}

model::Policy ToPolicy(const ManagedPolicy& policy, size_t attachments) {
    model::Policy shape;
    shape.policy_name = policy.name;
    shape.policy_id = policy.id;
    shape.arn = policy.Arn();
    shape.path = policy.path;
    shape.default_version_id = fmt::format("v{}", policy.default_version);
    shape.attachment_count = static_cast<int32_t>(attachments);
    shape.permissions_boundary_usage_count = 0;
    shape.is_attachable = true;
    shape.create_date = policy.created;
    shape.update_date = policy.updated;
    return shape;
}

model::Policy ToPolicy(const AwsManagedPolicy& policy, size_t attachments) {
    model::Policy shape;
    shape.policy_name = std::string(policy.name);
    // Stable and of the right form; AWS's own ids are not published.
    std::string id = "ANPA";
    for (size_t i = 0; id.size() < 21; ++i) {
        id += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[(policy.name[i % policy.name.size()] + i) % 32];
    }
    shape.policy_id = id;
    shape.arn = policy.Arn();
    shape.path = std::string(policy.path);
    shape.default_version_id = "v1";
    shape.attachment_count = static_cast<int32_t>(attachments);
    shape.permissions_boundary_usage_count = 0;
    shape.is_attachable = true;
    shape.create_date = kAwsPolicyDate;
    shape.update_date = kAwsPolicyDate;
    return shape;
}

}  // namespace

Task<Result<model::CreatePolicy::Output>> IamService::CreatePolicy(
    aws::RequestContext& context, model::CreatePolicy::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckManagedDocument(*input.policy_document));
    ManagedPolicy policy;
    policy.account = context.account;
    policy.name = *input.policy_name;
    policy.path = PathOrRoot(input.path);
    policy.id = aws::MakeUniqueId("ANPA", random_);
    policy.description = input.description;
    policy.created = std::chrono::floor<std::chrono::seconds>(clock_.Now());
    policy.updated = policy.created;
    policy.versions[1] = {.document = *input.policy_document, .created = policy.created};
    HEARTH_CO_RETURN_IF_ERROR(MergeTags(policy.tags, input.tags));
    HEARTH_CO_RETURN_IF_ERROR(
        co_await store_.kv().Transact([&](storage::Transaction& transaction) -> Task<Status> {
            HEARTH_CO_TRY(
                const bool taken,
                co_await store_.PolicyTaken(transaction, context.account, policy.name));
            if (taken) {
                co_return errors::EntityAlreadyExists(fmt::format(
                    "A policy called {} already exists. Duplicate names are not allowed.",
                    policy.name));
            }
            IamStore::PutPolicy(transaction, policy);
            co_return Status();
        }));
    context.response_headers.emplace_back(kNotEnforcedHeader, "policy");
    model::CreatePolicy::Output output;
    output.policy = ToPolicy(policy, 0);
    if (!policy.tags.empty()) {
        output.policy->tags = ToTags(policy.tags);
    }
    co_return output;
}

Task<Result<model::GetPolicy::Output>> IamService::GetPolicy(
    aws::RequestContext& context, model::GetPolicy::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckPolicyArn(*input.policy_arn));
    HEARTH_CO_TRY(
        const auto attachments, co_await store_.Attachments(context.account, *input.policy_arn));
    model::GetPolicy::Output output;
    if (const AwsManagedPolicy* aws_policy = FindAwsManagedPolicy(*input.policy_arn)) {
        output.policy = ToPolicy(*aws_policy, attachments.size());
        output.policy->description = std::string(aws_policy->description);
        co_return output;
    }
    HEARTH_CO_TRY(
        const ManagedPolicy policy, co_await store_.GetPolicy(context.account, *input.policy_arn));
    output.policy = ToPolicy(policy, attachments.size());
    output.policy->description = policy.description;
    if (!policy.tags.empty()) {
        output.policy->tags = ToTags(policy.tags);
    }
    co_return output;
}

Task<Result<model::ListPolicies::Output>> IamService::ListPolicies(
    aws::RequestContext& context, model::ListPolicies::Input input) {
    const std::string scope = input.scope.value_or("All");
    const bool only_attached = input.only_attached.value_or(false);
    const std::string prefix = PathOrRoot(input.path_prefix);
    if (input.policy_usage_filter.value_or("PermissionsPolicy") != "PermissionsPolicy") {
        co_return errors::InvalidInput(
            "Hearth lists no permissions boundaries by use; leave out PolicyUsageFilter.");
    }
    std::vector<model::Policy> list;
    if (scope != "Local") {
        for (const AwsManagedPolicy& policy : AwsManagedPolicies()) {
            if (!policy.path.starts_with(prefix)) {
                continue;
            }
            HEARTH_CO_TRY(
                const auto attachments, co_await store_.Attachments(context.account, policy.Arn()));
            if (!only_attached || !attachments.empty()) {
                list.push_back(ToPolicy(policy, attachments.size()));
            }
        }
    }
    if (scope != "AWS") {
        std::optional<std::string> marker;
        do {
            HEARTH_CO_TRY(
                auto page,
                co_await store_.ListPolicies(context.account, prefix, marker, kListItemsDefault));
            for (const ManagedPolicy& policy : page.records) {
                HEARTH_CO_TRY(
                    const auto attachments,
                    co_await store_.Attachments(context.account, policy.Arn()));
                if (!only_attached || !attachments.empty()) {
                    list.push_back(ToPolicy(policy, attachments.size()));
                }
            }
            marker = page.marker;
        } while (marker);
    }
    model::ListPolicies::Output output;
    HEARTH_CO_RETURN_IF_ERROR(
        Paginate(std::move(list), input.marker, input.max_items, output.policies, output));
    co_return output;
}

Task<Result<model::DeletePolicy::Output>> IamService::DeletePolicy(
    aws::RequestContext& context, model::DeletePolicy::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckOwn(*input.policy_arn));
    HEARTH_CO_RETURN_IF_ERROR(
        co_await store_.kv().Transact([&](storage::Transaction& transaction) -> Task<Status> {
            HEARTH_CO_TRY(
                const ManagedPolicy policy,
                co_await store_.GetPolicy(transaction, context.account, *input.policy_arn));
            HEARTH_CO_TRY(
                const bool attached,
                co_await store_.IsAttached(transaction, context.account, *input.policy_arn));
            if (attached) {
                co_return errors::DeleteConflict("Cannot delete a policy attached to entities.");
            }
            if (policy.versions.size() > 1) {
                co_return errors::DeleteConflict(
                    "This policy has more than one version. Before you delete a policy, you must "
                    "delete the policy's versions. The default version is deleted with the "
                    "policy.");
            }
            IamStore::DeletePolicy(transaction, policy);
            co_return Status();
        }));
    co_return model::DeletePolicy::Output();
}

Task<Result<model::CreatePolicyVersion::Output>> IamService::CreatePolicyVersion(
    aws::RequestContext& context, model::CreatePolicyVersion::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckOwn(*input.policy_arn));
    HEARTH_CO_RETURN_IF_ERROR(CheckManagedDocument(*input.policy_document));
    const WallClock::time_point now = std::chrono::floor<std::chrono::seconds>(clock_.Now());
    model::CreatePolicyVersion::Output output;
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.UpdatePolicy(
        context.account, *input.policy_arn, [&](ManagedPolicy& policy) -> Status {
            if (policy.versions.size() >= kPolicyVersionsMax) {
                return errors::LimitExceeded(fmt::format(
                    "A managed policy can have up to {} versions. Before you create a new version, "
                    "you must delete an existing version.",
                    kPolicyVersionsMax));
            }
            const int number = policy.next_version++;
            policy.versions[number] = {.document = *input.policy_document, .created = now};
            if (input.set_as_default.value_or(false)) {
                policy.default_version = number;
            }
            policy.updated = now;
            output.policy_version = ToVersion(policy, number, policy.versions[number], false);
            return {};
        }));
    context.response_headers.emplace_back(kNotEnforcedHeader, "policy");
    co_return output;
}

Task<Result<model::GetPolicyVersion::Output>> IamService::GetPolicyVersion(
    aws::RequestContext& context, model::GetPolicyVersion::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckPolicyArn(*input.policy_arn));
    model::GetPolicyVersion::Output output;
    if (const AwsManagedPolicy* aws_policy = FindAwsManagedPolicy(*input.policy_arn)) {
        if (*input.version_id != "v1") {
            co_return NoVersion(*input.policy_arn, *input.version_id);
        }
        model::PolicyVersion shape;
        shape.version_id = "v1";
        shape.is_default_version = true;
        shape.create_date = kAwsPolicyDate;
        shape.document = ToDocument(aws_policy->Document());
        output.policy_version = std::move(shape);
        co_return output;
    }
    HEARTH_CO_TRY(
        const ManagedPolicy policy, co_await store_.GetPolicy(context.account, *input.policy_arn));
    const auto found = policy.versions.find(VersionNumber(*input.version_id));
    if (found == policy.versions.end()) {
        co_return NoVersion(*input.policy_arn, *input.version_id);
    }
    output.policy_version = ToVersion(policy, found->first, found->second, true);
    co_return output;
}

Task<Result<model::ListPolicyVersions::Output>> IamService::ListPolicyVersions(
    aws::RequestContext& context, model::ListPolicyVersions::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckPolicyArn(*input.policy_arn));
    std::vector<model::PolicyVersion> list;
    if (FindAwsManagedPolicy(*input.policy_arn) != nullptr) {
        model::PolicyVersion& shape = list.emplace_back();
        shape.version_id = "v1";
        shape.is_default_version = true;
        shape.create_date = kAwsPolicyDate;
    } else {
        HEARTH_CO_TRY(
            const ManagedPolicy policy,
            co_await store_.GetPolicy(context.account, *input.policy_arn));
        // Newest first.
        for (auto it = policy.versions.rbegin(); it != policy.versions.rend(); ++it) {
            list.push_back(ToVersion(policy, it->first, it->second, false));
        }
    }
    model::ListPolicyVersions::Output output;
    HEARTH_CO_RETURN_IF_ERROR(
        Paginate(std::move(list), input.marker, input.max_items, output.versions, output));
    co_return output;
}

Task<Result<model::DeletePolicyVersion::Output>> IamService::DeletePolicyVersion(
    aws::RequestContext& context, model::DeletePolicyVersion::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckOwn(*input.policy_arn));
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.UpdatePolicy(
        context.account, *input.policy_arn, [&](ManagedPolicy& policy) -> Status {
            const int number = VersionNumber(*input.version_id);
            if (!policy.versions.contains(number)) {
                return NoVersion(*input.policy_arn, *input.version_id);
            }
            if (number == policy.default_version) {
                return errors::DeleteConflict("Cannot delete the default version of a policy.");
            }
            policy.versions.erase(number);
            return {};
        }));
    co_return model::DeletePolicyVersion::Output();
}

Task<Result<model::SetDefaultPolicyVersion::Output>> IamService::SetDefaultPolicyVersion(
    aws::RequestContext& context, model::SetDefaultPolicyVersion::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckOwn(*input.policy_arn));
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.UpdatePolicy(
        context.account, *input.policy_arn, [&](ManagedPolicy& policy) -> Status {
            const int number = VersionNumber(*input.version_id);
            if (!policy.versions.contains(number)) {
                return NoVersion(*input.policy_arn, *input.version_id);
            }
            policy.default_version = number;
            policy.updated = std::chrono::floor<std::chrono::seconds>(clock_.Now());
            return {};
        }));
    co_return model::SetDefaultPolicyVersion::Output();
}

Task<Result<model::TagPolicy::Output>> IamService::TagPolicy(
    aws::RequestContext& context, model::TagPolicy::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckOwn(*input.policy_arn));
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.UpdatePolicy(
        context.account, *input.policy_arn, [&](ManagedPolicy& policy) {
            return MergeTags(policy.tags, input.tags);
        }));
    co_return model::TagPolicy::Output();
}

Task<Result<model::UntagPolicy::Output>> IamService::UntagPolicy(
    aws::RequestContext& context, model::UntagPolicy::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckOwn(*input.policy_arn));
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.UpdatePolicy(
        context.account, *input.policy_arn, [&](ManagedPolicy& policy) -> Status {
            for (const std::string& key : *input.tag_keys) {
                policy.tags.erase(key);
            }
            return {};
        }));
    co_return model::UntagPolicy::Output();
}

Task<Result<model::ListPolicyTags::Output>> IamService::ListPolicyTags(
    aws::RequestContext& context, model::ListPolicyTags::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckOwn(*input.policy_arn));
    HEARTH_CO_TRY(
        const ManagedPolicy policy, co_await store_.GetPolicy(context.account, *input.policy_arn));
    model::ListPolicyTags::Output output;
    HEARTH_CO_RETURN_IF_ERROR(
        Paginate(ToTags(policy.tags), input.marker, input.max_items, output.tags, output));
    co_return output;
}

Task<Result<model::ListEntitiesForPolicy::Output>> IamService::ListEntitiesForPolicy(
    aws::RequestContext& context, model::ListEntitiesForPolicy::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckPolicyArn(*input.policy_arn));
    if (FindAwsManagedPolicy(*input.policy_arn) == nullptr) {
        HEARTH_CO_TRY(
            const ManagedPolicy policy,
            co_await store_.GetPolicy(context.account, *input.policy_arn));
    }
    HEARTH_CO_TRY(
        const auto attachments, co_await store_.Attachments(context.account, *input.policy_arn));
    const std::string filter = input.entity_filter.value_or("");
    const std::string prefix = PathOrRoot(input.path_prefix);
    std::vector<Principal> found;
    if (input.policy_usage_filter.value_or("PermissionsPolicy") == "PermissionsPolicy") {
        for (const IamStore::Attachment& attachment : attachments) {
            if (!filter.empty() && filter != KindTitle(attachment.kind)) {
                continue;
            }
            auto principal = co_await store_.Get(context.account, attachment.kind, attachment.name);
            if (principal.ok() && principal->path.starts_with(prefix)) {
                found.push_back(*std::move(principal));
            }
        }
    }
    model::ListEntitiesForPolicy::Output output;
    std::optional<std::vector<Principal>> page;
    HEARTH_CO_RETURN_IF_ERROR(
        Paginate(std::move(found), input.marker, input.max_items, page, output));
    output.policy_groups.emplace();
    output.policy_users.emplace();
    output.policy_roles.emplace();
    for (const Principal& principal : *page) {
        switch (principal.kind) {
            case PrincipalKind::kUser: {
                model::PolicyUser& user = output.policy_users->emplace_back();
                user.user_name = principal.name;
                user.user_id = principal.id;
                break;
            }
            case PrincipalKind::kGroup: {
                model::PolicyGroup& group = output.policy_groups->emplace_back();
                group.group_name = principal.name;
                group.group_id = principal.id;
                break;
            }
            case PrincipalKind::kRole: {
                model::PolicyRole& role = output.policy_roles->emplace_back();
                role.role_name = principal.name;
                role.role_id = principal.id;
                break;
            }
        }
    }
    co_return output;
}

}  // namespace hearth::iam
