#include "services/logs/errors.h"
#include "services/logs/limits.h"
#include "services/logs/logs_service.h"
#include "services/logs/request.h"

#include <algorithm>
#include <array>

namespace hearth::logs {
namespace {

// Source: PutRetentionPolicy, API Reference.
constexpr std::array<int32_t, 22> kRetentionDays = {1,    3,    5,    7,    14,   30,  60,  90,
                                                    120,  150,  180,  365,  400,  545, 731, 1096,
                                                    1827, 2192, 2557, 2922, 3288, 3653};

Task<Result<int64_t>> StoredBytes(
    LogStore& store, const GroupName& group, const GroupRecord& record) {
    storage::RangeRequest range = AllStreamsKey(group, record.id).Children();
    int64_t bytes = 0;
    while (true) {
        HEARTH_CO_TRY(const storage::RangePage page, co_await store.kv().Range(range));
        for (const storage::KeyValue& item : page.items) {
            HEARTH_CO_TRY(const StreamRecord stream, DecodeStream(item.value));
            bytes += stream.bytes;
        }
        if (!page.next) {
            co_return bytes;
        }
        range.begin = *page.next;
    }
}

Task<Result<model::LogGroup>> Describe(
    LogStore& store, const GroupName& group, const GroupRecord& record) {
    model::LogGroup out;
    out.log_group_name = group.name;
    out.creation_time = record.created_ms;
    if (record.retention_days > 0) {
        out.retention_in_days = static_cast<int32_t>(record.retention_days);
    }
    out.metric_filter_count = 0;
    out.log_group_arn = GroupArn(group);
    out.arn = *out.log_group_arn + ":*";
    HEARTH_CO_TRY(out.stored_bytes, co_await StoredBytes(store, group, record));
    out.log_group_class = record.log_class;
    out.deletion_protection_enabled = record.deletion_protection;
    co_return out;
}

Error NoSuchKey(const GroupName& group) {
    return errors::InvalidParameter(fmt::format(
        "The specified KMS Key Id does not exist or is not allowed to be used with Arn '{}'",
        GroupArn(group)));
}

}  // namespace

Task<Result<model::CreateLogGroup::Output>> LogsService::CreateLogGroup(
    aws::RequestContext& context, model::CreateLogGroup::Input input) {
    const GroupName group = GroupOf(context, *input.log_group_name);
    if (group.name.starts_with("aws/")) {
        co_return errors::InvalidParameter("Log groups starting with AWS/ are reserved for AWS.");
    }
    if (input.kms_key_id) {
        // There is no KMS, so there is no such key.
        co_return NoSuchKey(group);
    }
    GroupRecord record;
    record.created_ms = store_.WallNowMs();
    record.log_class = input.log_group_class.value_or("STANDARD");
    if (record.log_class == "DELIVERY") {
        co_return errors::InvalidParameter(
            "Log groups of the class DELIVERY are not supported by Hearth.");
    }
    record.deletion_protection = input.deletion_protection_enabled.value_or(false);
    if (input.tags) {
        HEARTH_CO_RETURN_IF_ERROR(CheckTags(*input.tags));
        record.tags = *std::move(input.tags);
    }
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.CreateGroup(group, std::move(record)));
    watch_.Wake(WatchKey(group));
    co_return model::CreateLogGroup::Output();
}

Task<Result<model::DeleteLogGroup::Output>> LogsService::DeleteLogGroup(
    aws::RequestContext& context, model::DeleteLogGroup::Input input) {
    const GroupName group = GroupOf(context, *input.log_group_name);
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.DeleteGroup(group));
    watch_.Wake(WatchKey(group));
    co_return model::DeleteLogGroup::Output();
}

Task<Result<model::DescribeLogGroups::Output>> LogsService::DescribeLogGroups(
    aws::RequestContext& context, model::DescribeLogGroups::Input input) {
    if (input.log_group_name_prefix && input.log_group_name_pattern) {
        co_return errors::InvalidParameter(
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.");
    }
    model::DescribeLogGroups::Output out;
    out.log_groups.emplace();
    if (input.account_identifiers && !input.account_identifiers->empty() &&
        std::ranges::find(*input.account_identifiers, context.account.text()) ==
            input.account_identifiers->end()) {
        co_return out;
    }
    const auto wanted = [&](const std::string& name, const GroupRecord& record) {
        if (input.log_group_name_pattern &&
            name.find(*input.log_group_name_pattern) == std::string::npos) {
            return false;
        }
        if (input.log_group_identifiers) {
            const std::string arn = GroupArn(GroupOf(context, name));
            const auto& all = *input.log_group_identifiers;
            if (std::ranges::find(all, name) == all.end() &&
                std::ranges::find(all, arn) == all.end()) {
                return false;
            }
        }
        return !input.log_group_class || *input.log_group_class == record.log_class;
    };
    const storage::keys::Key all = AllGroupsKey(context.account, context.region);
    storage::RangeRequest range = all.ChildrenWithPrefix(input.log_group_name_prefix.value_or(""));
    if (input.next_token) {
        HEARTH_CO_TRY(const std::string last, DecodeNameToken(*input.next_token));
        range.begin = std::max(range.begin, all.ChildrenAfter(last).begin);
    }
    const auto limit = static_cast<size_t>(input.limit.value_or(kDescribeMax));
    while (range.begin < range.end) {
        HEARTH_CO_TRY(const storage::RangePage page, co_await store_.kv().Range(range));
        for (const storage::KeyValue& item : page.items) {
            HEARTH_CO_TRY(const std::string name, NameInKey(item.key));
            HEARTH_CO_TRY(const GroupRecord record, DecodeGroup(item.value));
            if (!wanted(name, record)) {
                continue;
            }
            if (out.log_groups->size() == limit) {
                out.next_token = EncodeNameToken(*out.log_groups->back().log_group_name);
                co_return out;
            }
            const GroupName group = GroupOf(context, name);
            HEARTH_CO_TRY(model::LogGroup described, co_await Describe(store_, group, record));
            out.log_groups->push_back(std::move(described));
        }
        if (!page.next) {
            break;
        }
        range.begin = *page.next;
    }
    co_return out;
}

Task<Result<model::PutRetentionPolicy::Output>> LogsService::PutRetentionPolicy(
    aws::RequestContext& context, model::PutRetentionPolicy::Input input) {
    const int32_t days = *input.retention_in_days;
    if (std::ranges::find(kRetentionDays, days) == kRetentionDays.end()) {
        std::string allowed;
        for (const int32_t choice : kRetentionDays) {
            allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", choice);
        }
        co_return errors::InvalidParameter(fmt::format(
            "1 validation error detected: Value '{}' at 'retentionInDays' failed to satisfy "
            "constraint: Member must satisfy enum value set: [{}]",
            days,
            allowed));
    }
    const LogStore::ChangeGroup change = [days](GroupRecord& record) {
        record.retention_days = days;
        return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(
        co_await store_.UpdateGroup(GroupOf(context, *input.log_group_name), change));
    co_return model::PutRetentionPolicy::Output();
}

Task<Result<model::DeleteRetentionPolicy::Output>> LogsService::DeleteRetentionPolicy(
    aws::RequestContext& context, model::DeleteRetentionPolicy::Input input) {
    const LogStore::ChangeGroup change = [](GroupRecord& record) {
        record.retention_days = 0;
        return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(
        co_await store_.UpdateGroup(GroupOf(context, *input.log_group_name), change));
    co_return model::DeleteRetentionPolicy::Output();
}

}  // namespace hearth::logs
