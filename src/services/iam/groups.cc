#include "services/iam/iam_service.h"
#include "services/iam/wire.h"

#include "gen/iam/types.gen.h"

namespace hearth::iam {

Task<Result<model::CreateGroup::Output>> IamService::CreateGroup(
    aws::RequestContext& context, model::CreateGroup::Input input) {
    const Principal group =
        MakePrincipal(context, PrincipalKind::kGroup, *input.group_name, input.path);
    HEARTH_CO_RETURN_IF_ERROR(co_await CreatePrincipal(group));
    model::CreateGroup::Output output;
    output.group = ToGroup(group);
    co_return output;
}

Task<Result<model::GetGroup::Output>> IamService::GetGroup(
    aws::RequestContext& context, model::GetGroup::Input input) {
    HEARTH_CO_TRY(
        const Principal group,
        co_await store_.Get(context.account, PrincipalKind::kGroup, *input.group_name));
    std::vector<model::User> users;
    for (const std::string& name : group.members) {
        const auto user = co_await store_.Get(context.account, PrincipalKind::kUser, name);
        if (user.ok()) {
            users.push_back(ToUser(*user));
        }
    }
    model::GetGroup::Output output;
    output.group = ToGroup(group);
    HEARTH_CO_RETURN_IF_ERROR(
        Paginate(std::move(users), input.marker, input.max_items, output.users, output));
    co_return output;
}

Task<Result<model::ListGroups::Output>> IamService::ListGroups(
    aws::RequestContext& context, model::ListGroups::Input input) {
    HEARTH_CO_TRY(
        auto page,
        co_await store_.List(
            context.account,
            PrincipalKind::kGroup,
            PathOrRoot(input.path_prefix),
            input.marker,
            input.max_items.value_or(kListItemsDefault)));
    model::ListGroups::Output output;
    output.groups.emplace();
    for (const Principal& group : page.records) {
        output.groups->push_back(ToGroup(group));
    }
    output.is_truncated = page.marker.has_value();
    output.marker = page.marker;
    co_return output;
}

Task<Result<model::DeleteGroup::Output>> IamService::DeleteGroup(
    aws::RequestContext& context, model::DeleteGroup::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(
        co_await DeletePrincipal(context.account, PrincipalKind::kGroup, *input.group_name));
    co_return model::DeleteGroup::Output();
}

Task<Result<model::AddUserToGroup::Output>> IamService::AddUserToGroup(
    aws::RequestContext& context, model::AddUserToGroup::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(
        co_await store_.kv().Transact([&](storage::Transaction& transaction) -> Task<Status> {
            HEARTH_CO_TRY(
                Principal group,
                co_await store_.Get(
                    transaction, context.account, PrincipalKind::kGroup, *input.group_name));
            HEARTH_CO_TRY(
                Principal user,
                co_await store_.Get(
                    transaction, context.account, PrincipalKind::kUser, *input.user_name));
            user.groups.insert(group.name);
            if (user.groups.size() > kGroupsPerUserMax) {
                co_return errors::LimitExceeded(
                    fmt::format("Cannot exceed quota for GroupsPerUser: {}", kGroupsPerUserMax));
            }
            group.members.insert(user.name);
            IamStore::Put(transaction, group);
            IamStore::Put(transaction, user);
            co_return Status();
        }));
    co_return model::AddUserToGroup::Output();
}

Task<Result<model::RemoveUserFromGroup::Output>> IamService::RemoveUserFromGroup(
    aws::RequestContext& context, model::RemoveUserFromGroup::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(
        co_await store_.kv().Transact([&](storage::Transaction& transaction) -> Task<Status> {
            HEARTH_CO_TRY(
                Principal group,
                co_await store_.Get(
                    transaction, context.account, PrincipalKind::kGroup, *input.group_name));
            HEARTH_CO_TRY(
                Principal user,
                co_await store_.Get(
                    transaction, context.account, PrincipalKind::kUser, *input.user_name));
            if (group.members.erase(user.name) == 0) {
                co_return errors::NoSuchEntity(
                    fmt::format("User {} is not in group {}.", user.name, group.name));
            }
            user.groups.erase(group.name);
            IamStore::Put(transaction, group);
            IamStore::Put(transaction, user);
            co_return Status();
        }));
    co_return model::RemoveUserFromGroup::Output();
}

Task<Result<model::ListGroupsForUser::Output>> IamService::ListGroupsForUser(
    aws::RequestContext& context, model::ListGroupsForUser::Input input) {
    HEARTH_CO_TRY(
        const Principal user,
        co_await store_.Get(context.account, PrincipalKind::kUser, *input.user_name));
    std::vector<model::Group> groups;
    for (const std::string& name : user.groups) {
        const auto group = co_await store_.Get(context.account, PrincipalKind::kGroup, name);
        if (group.ok()) {
            groups.push_back(ToGroup(*group));
        }
    }
    model::ListGroupsForUser::Output output;
    HEARTH_CO_RETURN_IF_ERROR(
        Paginate(std::move(groups), input.marker, input.max_items, output.groups, output));
    co_return output;
}

}  // namespace hearth::iam
