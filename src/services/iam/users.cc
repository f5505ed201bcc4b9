#include "aws/auth/access_key_id.h"
#include "services/iam/iam_service.h"
#include "services/iam/wire.h"

#include "gen/iam/types.gen.h"

// Users and their access keys.
namespace hearth::iam {

Task<Result<model::CreateUser::Output>> IamService::CreateUser(
    aws::RequestContext& context, model::CreateUser::Input input) {
    Principal user = MakePrincipal(context, PrincipalKind::kUser, *input.user_name, input.path);
    HEARTH_CO_RETURN_IF_ERROR(MergeTags(user.tags, input.tags));
    user.permissions_boundary = input.permissions_boundary;
    HEARTH_CO_RETURN_IF_ERROR(co_await CreatePrincipal(user));
    if (user.permissions_boundary) {
        context.response_headers.emplace_back(kNotEnforcedHeader, "policy");
    }
    model::CreateUser::Output output;
    output.user = ToUser(user);
    if (!user.tags.empty()) {
        output.user->tags = ToTags(user.tags);
    }
    co_return output;
}

Task<Result<model::GetUser::Output>> IamService::GetUser(
    aws::RequestContext& context, model::GetUser::Input input) {
    model::GetUser::Output output;
    if (!input.user_name && (context.caller.type == aws::Caller::Type::kRoot ||
                             context.caller.type == aws::Caller::Type::kAnonymous)) {
        // The root user has neither name nor path.
        model::User root;
        root.path = "/";
        root.user_id = context.account.text();
        root.arn = fmt::format("arn:aws:iam::{}:root", context.account.text());
        root.create_date = WallClock::time_point();
        output.user = root;
        co_return output;
    }
    HEARTH_CO_TRY(const std::string name, UserNameOf(context, input.user_name));
    HEARTH_CO_TRY(
        const Principal user, co_await store_.Get(context.account, PrincipalKind::kUser, name));
    output.user = ToUser(user);
    if (!user.tags.empty()) {
        output.user->tags = ToTags(user.tags);
    }
    co_return output;
}

Task<Result<model::ListUsers::Output>> IamService::ListUsers(
    aws::RequestContext& context, model::ListUsers::Input input) {
    HEARTH_CO_TRY(
        auto page,
        co_await store_.List(
            context.account,
            PrincipalKind::kUser,
            PathOrRoot(input.path_prefix),
            input.marker,
            input.max_items.value_or(kListItemsDefault)));
    model::ListUsers::Output output;
    output.users.emplace();
    for (const Principal& user : page.records) {
        output.users->push_back(ToUser(user));
    }
    output.is_truncated = page.marker.has_value();
    output.marker = page.marker;
    co_return output;
}

Task<Result<model::UpdateUser::Output>> IamService::UpdateUser(
    aws::RequestContext& context, model::UpdateUser::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(
        co_await store_.kv().Transact([&](storage::Transaction& transaction) -> Task<Status> {
            HEARTH_CO_TRY(
                Principal user,
                co_await store_.Get(
                    transaction, context.account, PrincipalKind::kUser, *input.user_name));
            const Principal before = user;
            user.path = input.new_path.value_or(user.path);
            user.name = input.new_user_name.value_or(user.name);
            if (user.name != before.name) {
                HEARTH_CO_TRY(
                    const bool taken,
                    co_await store_.Taken(
                        transaction, context.account, PrincipalKind::kUser, user.name));
                if (taken) {
                    co_return errors::EntityAlreadyExists(
                        fmt::format("User with name {} already exists.", user.name));
                }
                IamStore::Delete(transaction, before);
                for (const std::string& arn : user.attached_policies) {
                    IamStore::DeleteAttachment(transaction, before, arn);
                    IamStore::PutAttachment(transaction, user, arn);
                }
                for (const std::string& group_name : user.groups) {
                    HEARTH_CO_TRY(
                        Principal group,
                        co_await store_.Get(
                            transaction, context.account, PrincipalKind::kGroup, group_name));
                    group.members.erase(before.name);
                    group.members.insert(user.name);
                    IamStore::Put(transaction, group);
                }
            }
            for (const std::string& id : user.access_keys) {
                HEARTH_CO_TRY(auto key, co_await store_.FindKey(transaction, id));
                CHECK_REQUEST(key.has_value(), "access key {} of {} is gone", id, user.name);
                key->user_name = user.name;
                key->user_arn = user.Arn();
                IamStore::PutKey(transaction, *key);
            }
            IamStore::Put(transaction, user);
            co_return Status();
        }));
    co_return model::UpdateUser::Output();
}

Task<Result<model::DeleteUser::Output>> IamService::DeleteUser(
    aws::RequestContext& context, model::DeleteUser::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(
        co_await DeletePrincipal(context.account, PrincipalKind::kUser, *input.user_name));
    co_return model::DeleteUser::Output();
}

Task<Result<model::TagUser::Output>> IamService::TagUser(
    aws::RequestContext& context, model::TagUser::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Update(
        context.account, PrincipalKind::kUser, *input.user_name, [&](Principal& user) {
            return MergeTags(user.tags, input.tags);
        }));
    co_return model::TagUser::Output();
}

Task<Result<model::UntagUser::Output>> IamService::UntagUser(
    aws::RequestContext& context, model::UntagUser::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Update(
        context.account, PrincipalKind::kUser, *input.user_name, [&](Principal& user) -> Status {
            for (const std::string& key : *input.tag_keys) {
                user.tags.erase(key);
            }
            return {};
        }));
    co_return model::UntagUser::Output();
}

Task<Result<model::ListUserTags::Output>> IamService::ListUserTags(
    aws::RequestContext& context, model::ListUserTags::Input input) {
    HEARTH_CO_TRY(
        const Principal user,
        co_await store_.Get(context.account, PrincipalKind::kUser, *input.user_name));
    model::ListUserTags::Output output;
    HEARTH_CO_RETURN_IF_ERROR(
        Paginate(ToTags(user.tags), input.marker, input.max_items, output.tags, output));
    co_return output;
}

Task<Result<model::CreateAccessKey::Output>> IamService::CreateAccessKey(
    aws::RequestContext& context, model::CreateAccessKey::Input input) {
    HEARTH_CO_TRY(const std::string name, UserNameOf(context, input.user_name));
    const std::string id = aws::MakeAccessKeyId(aws::kLongTermKeyPrefix, context.account, random_);
    const std::string secret = aws::MakeSecretAccessKey(random_);
    AccessKeyRecord key;
    key.id = id;
    key.account = context.account;
    key.created = std::chrono::floor<std::chrono::seconds>(clock_.Now());
    key.sealed_secret = secrets_.Seal(secret, id);
    HEARTH_CO_RETURN_IF_ERROR(
        co_await store_.kv().Transact([&](storage::Transaction& transaction) -> Task<Status> {
            HEARTH_CO_TRY(
                Principal user,
                co_await store_.Get(transaction, context.account, PrincipalKind::kUser, name));
            if (user.access_keys.size() >= kAccessKeysPerUserMax) {
                co_return errors::LimitExceeded(fmt::format(
                    "Cannot exceed quota for AccessKeysPerUser: {}", kAccessKeysPerUserMax));
            }
            key.user_name = user.name;
            key.user_arn = user.Arn();
            key.user_id = user.id;
            user.access_keys.push_back(id);
            IamStore::Put(transaction, user);
            IamStore::PutKey(transaction, key);
            co_return Status();
        }));
    model::AccessKey shape;
    shape.user_name = key.user_name;
    shape.access_key_id = id;
    shape.status = "Active";
    shape.secret_access_key = secret;
    shape.create_date = key.created;
    model::CreateAccessKey::Output output;
    output.access_key = std::move(shape);
    co_return output;
}

Task<Result<model::ListAccessKeys::Output>> IamService::ListAccessKeys(
    aws::RequestContext& context, model::ListAccessKeys::Input input) {
    model::ListAccessKeys::Output output;
    if (!input.user_name && context.caller.type != aws::Caller::Type::kUser) {
        // The root key is not one of IAM's.
        output.access_key_metadata.emplace();
        output.is_truncated = false;
        co_return output;
    }
    HEARTH_CO_TRY(const std::string name, UserNameOf(context, input.user_name));
    HEARTH_CO_TRY(
        const Principal user, co_await store_.Get(context.account, PrincipalKind::kUser, name));
    std::vector<model::AccessKeyMetadata> list;
    for (const std::string& id : user.access_keys) {
        HEARTH_CO_TRY(const auto key, co_await store_.FindKey(id));
        if (!key) {
            // Deleted between the two reads.
            continue;
        }
        model::AccessKeyMetadata& metadata = list.emplace_back();
        metadata.user_name = user.name;
        metadata.access_key_id = id;
        metadata.status = key->active ? "Active" : "Inactive";
        metadata.create_date = key->created;
    }
    HEARTH_CO_RETURN_IF_ERROR(Paginate(
        std::move(list), input.marker, input.max_items, output.access_key_metadata, output));
    co_return output;
}

Task<Result<model::UpdateAccessKey::Output>> IamService::UpdateAccessKey(
    aws::RequestContext& context, model::UpdateAccessKey::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(
        co_await store_.kv().Transact([&](storage::Transaction& transaction) -> Task<Status> {
            HEARTH_CO_TRY(auto key, co_await store_.FindKey(transaction, *input.access_key_id));
            if (!key || key->account != context.account ||
                (input.user_name && key->user_name != *input.user_name)) {
                co_return errors::NoSuchEntity(fmt::format(
                    "The Access Key with id {} cannot be found.", *input.access_key_id));
            }
            key->active = *input.status == "Active";
            IamStore::PutKey(transaction, *key);
            co_return Status();
        }));
    co_return model::UpdateAccessKey::Output();
}

Task<Result<model::DeleteAccessKey::Output>> IamService::DeleteAccessKey(
    aws::RequestContext& context, model::DeleteAccessKey::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(
        co_await store_.kv().Transact([&](storage::Transaction& transaction) -> Task<Status> {
            HEARTH_CO_TRY(
                const auto key, co_await store_.FindKey(transaction, *input.access_key_id));
            if (!key || key->account != context.account ||
                (input.user_name && key->user_name != *input.user_name)) {
                co_return errors::NoSuchEntity(fmt::format(
                    "The Access Key with id {} cannot be found.", *input.access_key_id));
            }
            HEARTH_CO_TRY(
                Principal user,
                co_await store_.Get(
                    transaction, context.account, PrincipalKind::kUser, key->user_name));
            std::erase(user.access_keys, key->id);
            IamStore::Put(transaction, user);
            IamStore::DeleteKey(transaction, key->id);
            co_return Status();
        }));
    co_return model::DeleteAccessKey::Output();
}

Task<Result<model::GetAccessKeyLastUsed::Output>> IamService::GetAccessKeyLastUsed(
    aws::RequestContext& context, model::GetAccessKeyLastUsed::Input input) {
    HEARTH_CO_TRY(const auto key, co_await store_.FindKey(*input.access_key_id));
    if (!key || key->account != context.account) {
        // AWS answers AccessDenied, so that nobody learns which keys exist.
        co_return Error(
            Error::Kind::kDenied,
            "AccessDenied",
            fmt::format(
                "User: {} is not authorized to perform: iam:GetAccessKeyLastUsed on resource: "
                "access key {}",
                context.caller.arn,
                *input.access_key_id),
            403);
    }
    model::AccessKeyLastUsed used;
    used.service_name = "N/A";
    used.region = "N/A";
    if (key->last_used) {
        used.last_used_date = key->last_used;
        used.service_name = key->last_service;
        used.region = key->last_region;
    }
    {
        const std::lock_guard lock(last_uses_mutex_);
        const auto recent = last_uses_.find(*input.access_key_id);
        if (recent != last_uses_.end()) {
            used.last_used_date = recent->second.when;
            used.service_name = recent->second.service;
            used.region = recent->second.region;
        }
    }
    model::GetAccessKeyLastUsed::Output output;
    output.user_name = key->user_name;
    output.access_key_last_used = std::move(used);
    co_return output;
}

}  // namespace hearth::iam
