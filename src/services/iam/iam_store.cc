#include "services/iam/iam_store.h"

#include "codec/base64/base64.h"
#include "services/iam/errors.h"
#include "storage/keys/key.h"

#include <algorithm>
#include <cctype>

namespace hearth::iam {
namespace {

using storage::Transaction;
using storage::keys::Key;
using storage::keys::KeyReader;

std::string Lower(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char letter) {
        return static_cast<char>(std::tolower(letter));
    });
    return lower;
}

Key Folder(const AccountId& account, std::string_view folder) {
    return Key(account, Region(kGlobalRegion)).Add("iam").Add(folder);
}

std::string PrincipalKey(const AccountId& account, PrincipalKind kind, std::string_view name) {
    return Folder(account, KindName(kind)).Add(Lower(name));
}

std::string PolicyKey(const AccountId& account, std::string_view name) {
    return Folder(account, "policy").Add(Lower(name));
}

std::string AttachmentKey(const Principal& principal, std::string_view arn) {
    return Folder(principal.account, "attached")
        .Add(arn)
        .Add(KindName(principal.kind))
        .Add(principal.name);
}

std::string AccessKeyKey(std::string_view id) {
    return Key::AboveAccounts().Add("iam").Add("key").Add(id);
}

std::string PolicyName(std::string_view arn) {
    return std::string(arn.substr(arn.rfind('/') + 1));
}

Result<Principal> DecodePrincipal(
    const std::optional<std::string>& value, PrincipalKind kind, std::string_view name) {
    if (!value) {
        return errors::NoPrincipal(kind, name);
    }
    HEARTH_TRY(Principal principal, Principal::Decode(*value));
    if (principal.name != name) {
        return errors::NoPrincipal(kind, name);
    }
    return principal;
}

Result<ManagedPolicy> DecodePolicy(const std::optional<std::string>& value, std::string_view arn) {
    if (!value) {
        return errors::NoPolicy(arn);
    }
    HEARTH_TRY(ManagedPolicy policy, ManagedPolicy::Decode(*value));
    if (policy.Arn() != arn) {
        return errors::NoPolicy(arn);
    }
    return policy;
}

Result<std::optional<AccessKeyRecord>> DecodeKey(const std::optional<std::string>& value) {
    if (!value) {
        return std::optional<AccessKeyRecord>();
    }
    HEARTH_TRY(AccessKeyRecord key, AccessKeyRecord::Decode(*value));
    return std::optional(std::move(key));
}

// Walks a folder by name and keeps what `path_prefix` lets through.
template <class Record>
Task<Result<IamStore::Page<Record>>> ListFolder(
    storage::Kv& kv,
    Key folder,
    std::string path_prefix,
    std::optional<std::string> marker,
    int32_t count) {
    storage::RangeRequest range = folder.Children();
    if (marker) {
        auto after = codec::Base64Decode(*marker);
        if (!after.ok()) {
            co_return errors::Validation("Invalid Marker.");
        }
        range = folder.ChildrenAfter(*after);
    }
    IamStore::Page<Record> page;
    for (;;) {
        HEARTH_CO_TRY(auto found, co_await kv.Range(range));
        for (const storage::KeyValue& item : found.items) {
            HEARTH_CO_TRY(Record record, Record::Decode(item.value));
            if (!record.path.starts_with(path_prefix)) {
                continue;
            }
            if (page.records.size() == static_cast<size_t>(count)) {
                page.marker = codec::Base64Encode(Lower(page.records.back().name));
                co_return page;
            }
            page.records.push_back(std::move(record));
        }
        if (!found.next) {
            co_return page;
        }
        range.begin = *found.next;
    }
}

}  // namespace

Task<Result<Principal>> IamStore::Get(AccountId account, PrincipalKind kind, std::string name) {
    HEARTH_CO_TRY(auto value, co_await kv_.Get(PrincipalKey(account, kind, name)));
    co_return DecodePrincipal(value, kind, name);
}

Task<Result<Principal>> IamStore::Get(
    Transaction& transaction, AccountId account, PrincipalKind kind, std::string name) {
    HEARTH_CO_TRY(auto value, co_await transaction.Get(PrincipalKey(account, kind, name)));
    co_return DecodePrincipal(value, kind, name);
}

Task<Result<bool>> IamStore::Taken(
    Transaction& transaction, AccountId account, PrincipalKind kind, std::string name) {
    HEARTH_CO_TRY(auto value, co_await transaction.Get(PrincipalKey(account, kind, name)));
    co_return value.has_value();
}

void IamStore::Put(Transaction& transaction, const Principal& principal) {
    transaction.Put(
        PrincipalKey(principal.account, principal.kind, principal.name), principal.Encode());
}

void IamStore::Delete(Transaction& transaction, const Principal& principal) {
    transaction.Delete(PrincipalKey(principal.account, principal.kind, principal.name));
}

Task<Status> IamStore::Update(
    AccountId account,
    PrincipalKind kind,
    std::string name,
    std::function<Status(Principal&)> change) {
    co_return co_await kv_.Transact([&](Transaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(Principal principal, co_await Get(transaction, account, kind, name));
        HEARTH_CO_RETURN_IF_ERROR(change(principal));
        Put(transaction, principal);
        co_return Status();
    });
}

Task<Result<ManagedPolicy>> IamStore::GetPolicy(AccountId account, std::string arn) {
    HEARTH_CO_TRY(auto value, co_await kv_.Get(PolicyKey(account, PolicyName(arn))));
    co_return DecodePolicy(value, arn);
}

Task<Result<ManagedPolicy>> IamStore::GetPolicy(
    Transaction& transaction, AccountId account, std::string arn) {
    HEARTH_CO_TRY(auto value, co_await transaction.Get(PolicyKey(account, PolicyName(arn))));
    co_return DecodePolicy(value, arn);
}

Task<Result<bool>> IamStore::PolicyTaken(
    Transaction& transaction, AccountId account, std::string name) {
    HEARTH_CO_TRY(auto value, co_await transaction.Get(PolicyKey(account, name)));
    co_return value.has_value();
}

void IamStore::PutPolicy(Transaction& transaction, const ManagedPolicy& policy) {
    transaction.Put(PolicyKey(policy.account, policy.name), policy.Encode());
}

void IamStore::DeletePolicy(Transaction& transaction, const ManagedPolicy& policy) {
    transaction.Delete(PolicyKey(policy.account, policy.name));
}

Task<Status> IamStore::UpdatePolicy(
    AccountId account, std::string arn, std::function<Status(ManagedPolicy&)> change) {
    co_return co_await kv_.Transact([&](Transaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(ManagedPolicy policy, co_await GetPolicy(transaction, account, arn));
        HEARTH_CO_RETURN_IF_ERROR(change(policy));
        PutPolicy(transaction, policy);
        co_return Status();
    });
}

void IamStore::PutAttachment(
    Transaction& transaction, const Principal& principal, const std::string& arn) {
    transaction.Put(AttachmentKey(principal, arn), "");
}

void IamStore::DeleteAttachment(
    Transaction& transaction, const Principal& principal, const std::string& arn) {
    transaction.Delete(AttachmentKey(principal, arn));
}

Task<Result<std::vector<IamStore::Attachment>>> IamStore::Attachments(
    AccountId account, std::string policy_arn) {
    storage::RangeRequest range = Folder(account, "attached").Add(policy_arn).Children();
    std::vector<Attachment> found;
    for (;;) {
        HEARTH_CO_TRY(auto page, co_await kv_.Range(range));
        for (const storage::KeyValue& item : page.items) {
            KeyReader reader(item.key);
            // Account, region, "iam", "attached", the policy.
            HEARTH_CO_RETURN_IF_ERROR(reader.Skip(5));
            HEARTH_CO_TRY(const std::string kind, reader.String());
            HEARTH_CO_TRY(std::string name, reader.String());
            found.push_back(
                {kind == "user"    ? PrincipalKind::kUser
                 : kind == "group" ? PrincipalKind::kGroup
                                   : PrincipalKind::kRole,
                 std::move(name)});
        }
        if (!page.next) {
            co_return found;
        }
        range.begin = *page.next;
    }
}

Task<Result<bool>> IamStore::IsAttached(
    Transaction& transaction, AccountId account, std::string policy_arn) {
    storage::RangeRequest range = Folder(account, "attached").Add(policy_arn).Children();
    range.limit = 1;
    HEARTH_CO_TRY(auto page, co_await transaction.Range(range));
    co_return !page.items.empty();
}

Task<Result<std::optional<AccessKeyRecord>>> IamStore::FindKey(std::string id) {
    HEARTH_CO_TRY(auto value, co_await kv_.Get(AccessKeyKey(id)));
    co_return DecodeKey(value);
}

Task<Result<std::optional<AccessKeyRecord>>> IamStore::FindKey(
    Transaction& transaction, std::string id) {
    HEARTH_CO_TRY(auto value, co_await transaction.Get(AccessKeyKey(id)));
    co_return DecodeKey(value);
}

void IamStore::PutKey(Transaction& transaction, const AccessKeyRecord& key) {
    transaction.Put(AccessKeyKey(key.id), key.Encode());
}

void IamStore::DeleteKey(Transaction& transaction, const std::string& id) {
    transaction.Delete(AccessKeyKey(id));
}

Task<Result<IamStore::Page<Principal>>> IamStore::List(
    AccountId account,
    PrincipalKind kind,
    std::string path_prefix,
    std::optional<std::string> marker,
    int32_t count) {
    co_return co_await ListFolder<Principal>(
        kv_, Folder(account, KindName(kind)), std::move(path_prefix), std::move(marker), count);
}

Task<Result<IamStore::Page<ManagedPolicy>>> IamStore::ListPolicies(
    AccountId account, std::string path_prefix, std::optional<std::string> marker, int32_t count) {
    co_return co_await ListFolder<ManagedPolicy>(
        kv_, Folder(account, "policy"), std::move(path_prefix), std::move(marker), count);
}

Task<Result<bool>> IamStore::HasRoles(AccountId account) {
    storage::RangeRequest range = Folder(account, KindName(PrincipalKind::kRole)).Children();
    range.limit = 1;
    HEARTH_CO_TRY(auto page, co_await kv_.Range(range));
    co_return !page.items.empty();
}

}  // namespace hearth::iam
