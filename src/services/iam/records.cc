#include "services/iam/records.h"

#include "codec/base64/base64.h"
#include "codec/json/json.h"

namespace hearth::iam {
namespace {

using codec::Json;
using codec::JsonWriter;

void WriteMap(
    JsonWriter& writer, std::string_view name, const std::map<std::string, std::string>& map) {
    if (map.empty()) {
        return;
    }
    writer.Key(name);
    writer.BeginObject();
    for (const auto& [key, value] : map) {
        writer.Key(key);
        writer.String(value);
    }
    writer.EndObject();
}

template <class List>
void WriteList(JsonWriter& writer, std::string_view name, const List& list) {
    if (list.empty()) {
        return;
    }
    writer.Key(name);
    writer.BeginArray();
    for (const std::string& item : list) {
        writer.String(item);
    }
    writer.EndArray();
}

void WriteString(JsonWriter& writer, std::string_view name, const std::string& value) {
    writer.Key(name);
    writer.String(value);
}

void WriteTime(JsonWriter& writer, std::string_view name, WallClock::time_point time) {
    writer.Key(name);
    writer.Int(UnixMs(time));
}

std::string ReadString(const Json& json, std::string_view name) {
    const std::string* text = json.FindString(name);
    return text != nullptr ? *text : std::string();
}

std::optional<std::string> ReadOptional(const Json& json, std::string_view name) {
    const std::string* text = json.FindString(name);
    return text != nullptr ? std::optional(*text) : std::nullopt;
}

int64_t ReadInt(const Json& json, std::string_view name, int64_t otherwise = 0) {
    const Json* value = json.Find(name);
    const int64_t* number = value != nullptr ? value->AsInt() : nullptr;
    return number != nullptr ? *number : otherwise;
}

WallClock::time_point ReadTime(const Json& json, std::string_view name) {
    return WallClock::time_point(std::chrono::milliseconds(ReadInt(json, name)));
}

std::map<std::string, std::string> ReadMap(const Json& json, std::string_view name) {
    std::map<std::string, std::string> map;
    const Json* value = json.Find(name);
    if (value != nullptr && value->AsObject() != nullptr) {
        for (const Json::Member& member : *value->AsObject()) {
            if (const std::string* text = member.value.AsString()) {
                map.emplace(member.name, *text);
            }
        }
    }
    return map;
}

std::vector<std::string> ReadList(const Json& json, std::string_view name) {
    std::vector<std::string> list;
    const Json* value = json.Find(name);
    if (value != nullptr && value->AsArray() != nullptr) {
        for (const Json& item : *value->AsArray()) {
            if (const std::string* text = item.AsString()) {
                list.push_back(*text);
            }
        }
    }
    return list;
}

std::set<std::string> ReadSet(const Json& json, std::string_view name) {
    const std::vector<std::string> list = ReadList(json, name);
    return {list.begin(), list.end()};
}

}  // namespace

std::string_view KindName(PrincipalKind kind) {
    switch (kind) {
        case PrincipalKind::kUser:
            return "user";
        case PrincipalKind::kGroup:
            return "group";
        case PrincipalKind::kRole:
            return "role";
    }
    return "";
}

std::string_view KindTitle(PrincipalKind kind) {
    switch (kind) {
        case PrincipalKind::kUser:
            return "User";
        case PrincipalKind::kGroup:
            return "Group";
        case PrincipalKind::kRole:
            return "Role";
    }
    return "";
}

std::string Principal::Arn() const {
    return fmt::format("arn:aws:iam::{}:{}{}{}", account.text(), KindName(kind), path, name);
}

std::string Principal::Encode() const {
    JsonWriter writer;
    writer.BeginObject();
    WriteString(writer, "kind", std::string(KindName(kind)));
    WriteString(writer, "account", account.text());
    WriteString(writer, "name", name);
    WriteString(writer, "path", path);
    WriteString(writer, "id", id);
    WriteTime(writer, "created", created);
    WriteMap(writer, "inline", inline_policies);
    WriteList(writer, "attached", attached_policies);
    WriteMap(writer, "tags", tags);
    if (permissions_boundary) {
        WriteString(writer, "boundary", *permissions_boundary);
    }
    if (kind == PrincipalKind::kRole) {
        WriteString(writer, "trust", trust_policy);
        writer.Key("max_session_s");
        writer.Int(max_session_duration_s);
    }
    if (description) {
        WriteString(writer, "description", *description);
    }
    WriteList(writer, "keys", access_keys);
    WriteList(writer, "groups", groups);
    WriteList(writer, "members", members);
    writer.EndObject();
    return writer.Take();
}

Result<Principal> Principal::Decode(std::string_view json) {
    HEARTH_TRY(const Json parsed, codec::ParseJson(json));
    Principal principal;
    const std::string kind = ReadString(parsed, "kind");
    principal.kind = kind == "user"    ? PrincipalKind::kUser
                     : kind == "group" ? PrincipalKind::kGroup
                                       : PrincipalKind::kRole;
    principal.account = AccountId(ReadString(parsed, "account"));
    principal.name = ReadString(parsed, "name");
    principal.path = ReadString(parsed, "path");
    principal.id = ReadString(parsed, "id");
    principal.created = ReadTime(parsed, "created");
    principal.inline_policies = ReadMap(parsed, "inline");
    principal.attached_policies = ReadList(parsed, "attached");
    principal.tags = ReadMap(parsed, "tags");
    principal.permissions_boundary = ReadOptional(parsed, "boundary");
    principal.trust_policy = ReadString(parsed, "trust");
    principal.description = ReadOptional(parsed, "description");
    principal.max_session_duration_s = static_cast<int32_t>(ReadInt(parsed, "max_session_s", 3600));
    principal.access_keys = ReadList(parsed, "keys");
    principal.groups = ReadSet(parsed, "groups");
    principal.members = ReadSet(parsed, "members");
    return principal;
}

std::string ManagedPolicy::Arn() const {
    return fmt::format("arn:aws:iam::{}:policy{}{}", account.text(), path, name);
}

std::string ManagedPolicy::Encode() const {
    JsonWriter writer;
    writer.BeginObject();
    WriteString(writer, "account", account.text());
    WriteString(writer, "name", name);
    WriteString(writer, "path", path);
    WriteString(writer, "id", id);
    if (description) {
        WriteString(writer, "description", *description);
    }
    WriteTime(writer, "created", created);
    WriteTime(writer, "updated", updated);
    writer.Key("versions");
    writer.BeginArray();
    for (const auto& [number, version] : versions) {
        writer.BeginObject();
        writer.Key("number");
        writer.Int(number);
        WriteString(writer, "document", version.document);
        WriteTime(writer, "created", version.created);
        writer.EndObject();
    }
    writer.EndArray();
    writer.Key("default");
    writer.Int(default_version);
    writer.Key("next");
    writer.Int(next_version);
    WriteMap(writer, "tags", tags);
    writer.EndObject();
    return writer.Take();
}

Result<ManagedPolicy> ManagedPolicy::Decode(std::string_view json) {
    HEARTH_TRY(const Json parsed, codec::ParseJson(json));
    ManagedPolicy policy;
    policy.account = AccountId(ReadString(parsed, "account"));
    policy.name = ReadString(parsed, "name");
    policy.path = ReadString(parsed, "path");
    policy.id = ReadString(parsed, "id");
    policy.description = ReadOptional(parsed, "description");
    policy.created = ReadTime(parsed, "created");
    policy.updated = ReadTime(parsed, "updated");
    const Json* versions = parsed.Find("versions");
    if (versions != nullptr && versions->AsArray() != nullptr) {
        for (const Json& version : *versions->AsArray()) {
            policy.versions[static_cast<int>(ReadInt(version, "number"))] = {
                .document = ReadString(version, "document"),
                .created = ReadTime(version, "created")};
        }
    }
    policy.default_version = static_cast<int>(ReadInt(parsed, "default", 1));
    policy.next_version = static_cast<int>(ReadInt(parsed, "next", 2));
    policy.tags = ReadMap(parsed, "tags");
    return policy;
}

std::string AccessKeyRecord::Encode() const {
    JsonWriter writer;
    writer.BeginObject();
    WriteString(writer, "id", id);
    WriteString(writer, "account", account.text());
    WriteString(writer, "user", user_name);
    WriteString(writer, "user_arn", user_arn);
    WriteString(writer, "user_id", user_id);
    writer.Key("active");
    writer.Bool(active);
    WriteTime(writer, "created", created);
    WriteString(writer, "secret", codec::Base64Encode(sealed_secret));
    if (last_used) {
        WriteTime(writer, "last_used", *last_used);
        WriteString(writer, "last_service", last_service);
        WriteString(writer, "last_region", last_region);
    }
    writer.EndObject();
    return writer.Take();
}

Result<AccessKeyRecord> AccessKeyRecord::Decode(std::string_view json) {
    HEARTH_TRY(const Json parsed, codec::ParseJson(json));
    AccessKeyRecord key;
    key.id = ReadString(parsed, "id");
    key.account = AccountId(ReadString(parsed, "account"));
    key.user_name = ReadString(parsed, "user");
    key.user_arn = ReadString(parsed, "user_arn");
    key.user_id = ReadString(parsed, "user_id");
    const Json* active = parsed.Find("active");
    key.active = active != nullptr && active->AsBool() != nullptr && *active->AsBool();
    key.created = ReadTime(parsed, "created");
    HEARTH_TRY(key.sealed_secret, codec::Base64Decode(ReadString(parsed, "secret")));
    if (parsed.Find("last_used") != nullptr) {
        key.last_used = ReadTime(parsed, "last_used");
        key.last_service = ReadString(parsed, "last_service");
        key.last_region = ReadString(parsed, "last_region");
    }
    return key;
}

}  // namespace hearth::iam
