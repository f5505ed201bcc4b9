#include "services/logs/errors.h"
#include "services/logs/limits.h"
#include "services/logs/logs_service.h"
#include "services/logs/request.h"

namespace hearth::logs {
namespace {

using Tags = std::map<std::string, std::string>;

LogStore::ChangeGroup AddTags(Tags tags, bool resource_api) {
    return [tags = std::move(tags), resource_api](GroupRecord& record) -> Status {
        for (const auto& [name, value] : tags) {
            record.tags[name] = value;
        }
        if (record.tags.size() > kTagsMax) {
            const std::string message =
                fmt::format("The resource has reached the maximum of {} tags", kTagsMax);
            if (!resource_api) {
                return errors::InvalidParameter(message);
            }
            return Error(Error::Kind::kInvalid, "TooManyTagsException", message, 400);
        }
        return Status();
    };
}

LogStore::ChangeGroup RemoveTags(std::vector<std::string> names) {
    return [names = std::move(names)](GroupRecord& record) -> Status {
        for (const std::string& name : names) {
            record.tags.erase(name);
        }
        return Status();
    };
}

}  // namespace

Task<Result<model::TagResource::Output>> LogsService::TagResource(
    aws::RequestContext& context, model::TagResource::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckTags(*input.tags));
    HEARTH_CO_TRY(const GroupName group, GroupOfArn(context, *input.resource_arn));
    const LogStore::ChangeGroup change = AddTags(*std::move(input.tags), true);
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.UpdateGroup(group, change));
    co_return model::TagResource::Output();
}

Task<Result<model::UntagResource::Output>> LogsService::UntagResource(
    aws::RequestContext& context, model::UntagResource::Input input) {
    HEARTH_CO_TRY(const GroupName group, GroupOfArn(context, *input.resource_arn));
    const LogStore::ChangeGroup change = RemoveTags(*std::move(input.tag_keys));
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.UpdateGroup(group, change));
    co_return model::UntagResource::Output();
}

Task<Result<model::ListTagsForResource::Output>> LogsService::ListTagsForResource(
    aws::RequestContext& context, model::ListTagsForResource::Input input) {
    HEARTH_CO_TRY(const GroupName group, GroupOfArn(context, *input.resource_arn));
    HEARTH_CO_TRY(GroupRecord record, co_await store_.FindGroup(group));
    model::ListTagsForResource::Output out;
    out.tags = std::move(record.tags);
    co_return out;
}

Task<Result<model::TagLogGroup::Output>> LogsService::TagLogGroup(
    aws::RequestContext& context, model::TagLogGroup::Input input) {
    HEARTH_CO_RETURN_IF_ERROR(CheckTags(*input.tags));
    const LogStore::ChangeGroup change = AddTags(*std::move(input.tags), false);
    HEARTH_CO_RETURN_IF_ERROR(
        co_await store_.UpdateGroup(GroupOf(context, *input.log_group_name), change));
    co_return model::TagLogGroup::Output();
}

Task<Result<model::UntagLogGroup::Output>> LogsService::UntagLogGroup(
    aws::RequestContext& context, model::UntagLogGroup::Input input) {
    const LogStore::ChangeGroup change = RemoveTags(*std::move(input.tags));
    HEARTH_CO_RETURN_IF_ERROR(
        co_await store_.UpdateGroup(GroupOf(context, *input.log_group_name), change));
    co_return model::UntagLogGroup::Output();
}

Task<Result<model::ListTagsLogGroup::Output>> LogsService::ListTagsLogGroup(
    aws::RequestContext& context, model::ListTagsLogGroup::Input input) {
    const GroupName group = GroupOf(context, *input.log_group_name);
    HEARTH_CO_TRY(GroupRecord record, co_await store_.FindGroup(group));
    model::ListTagsLogGroup::Output out;
    out.tags = std::move(record.tags);
    co_return out;
}

}  // namespace hearth::logs
