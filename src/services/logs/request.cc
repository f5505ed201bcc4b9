#include "services/logs/request.h"

#include "codec/base64/base64.h"
#include "services/logs/errors.h"
#include "services/logs/limits.h"
#include "storage/keys/key.h"

namespace hearth::logs {
namespace {

using storage::keys::Key;
using storage::keys::KeyReader;

std::string ArnPrefix(const AccountId& account, const Region& region) {
    return aws::Arn("logs", region.text(), account, "log-group:");
}

}  // namespace

GroupName GroupOf(const aws::RequestContext& context, const std::string& name) {
    return {.account = context.account, .region = context.region, .name = name};
}

Result<GroupName> GroupOf(
    const aws::RequestContext& context,
    const std::optional<std::string>& name,
    const std::optional<std::string>& identifier) {
    if (name && identifier) {
        return errors::InvalidParameter(
            "LogGroup name and LogGroup ARN are mutually exclusive parameters.");
    }
    if (!name && !identifier) {
        return errors::InvalidParameter("One of logGroupName or logGroupIdentifier is required.");
    }
    if (name) {
        return GroupOf(context, *name);
    }
    if (!identifier->starts_with("arn:")) {
        return GroupOf(context, *identifier);
    }
    if (identifier->ends_with('*')) {
        return errors::InvalidParameter("LogGroup ARN must not end with *.");
    }
    return GroupOfArn(context, *identifier);
}

Result<GroupName> GroupOfArn(const aws::RequestContext& context, std::string_view arn) {
    const std::string prefix = ArnPrefix(context.account, context.region);
    if (arn.ends_with(":*")) {
        arn.remove_suffix(2);
    }
    if (!arn.starts_with(prefix) || arn.size() == prefix.size()) {
        return errors::NoSuchGroup();
    }
    return GroupOf(context, std::string(arn.substr(prefix.size())));
}

std::string GroupArn(const GroupName& group) {
    return ArnPrefix(group.account, group.region) + group.name;
}

std::string EncodeNameToken(std::string_view name) {
    return codec::Base64Encode(name);
}

Result<std::string> DecodeNameToken(std::string_view token) {
    auto name = codec::Base64Decode(token);
    constexpr size_t kNameBytesMax = 1'024;
    if (!name.ok() || name->empty() || name->size() > kNameBytesMax) {
        return errors::BadToken();
    }
    return name;
}

std::string EncodePositionToken(const Position& position) {
    return codec::Base64Encode(Key::AboveAccounts()
                                   .Add(position.timestamp_ms)
                                   .Add(position.stream_id)
                                   .Add(position.sequence)
                                   .bytes());
}

Result<Position> DecodePositionToken(std::string_view token) {
    const auto bytes = codec::Base64Decode(token);
    constexpr size_t kBytesMax = 2048;
    if (!bytes.ok() || bytes->size() > kBytesMax) {
        return errors::BadToken();
    }
    KeyReader reader(*bytes);
    const auto timestamp_ms = reader.Integer();
    const auto stream_id = reader.String();
    const auto sequence = reader.Integer();
    if (!timestamp_ms.ok() || !stream_id.ok() || !sequence.ok() || !reader.AtEnd()) {
        return errors::BadToken();
    }
    return Position{*timestamp_ms, *stream_id, *sequence};
}

Status CheckTags(const std::map<std::string, std::string>& tags) {
    for (const auto& [name, value] : tags) {
        if (name.starts_with("aws:")) {
            return errors::InvalidParameter(
                "Invalid tag key: aws: prefixed tag key names are not allowed for external use.");
        }
    }
    return Status();
}

std::string WatchKey(const GroupName& group) {
    return GroupKey(group).bytes();
}

}  // namespace hearth::logs
