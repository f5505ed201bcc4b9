#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "rt/task.h"
#include "services/iam/records.h"
#include "storage/kv.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::iam {

// IAM's state on the store; the only file that knows its keys.
//   (account, global, "iam", <kind>, lower-case name)              Principal
//   (account, global, "iam", "policy", lower-case name)            ManagedPolicy
//   (account, global, "iam", "attached", policy ARN, kind, name)   empty: who has that policy
//   (above accounts, "iam", "key", access key id)                  AccessKeyRecord
// Functions that take a Transaction are for the bodies of Kv::Transact. Safe on any loop.
class IamStore final {
  public:
    explicit IamStore(storage::Kv& kv) : kv_(kv) {}

    storage::Kv& kv() { return kv_; }

    // Errors: NoSuchEntity. Names are found as written; `Taken` is about any spelling.
    Task<Result<Principal>> Get(AccountId account, PrincipalKind kind, std::string name);
    Task<Result<Principal>> Get(
        storage::Transaction& transaction, AccountId account, PrincipalKind kind, std::string name);
    Task<Result<bool>> Taken(
        storage::Transaction& transaction, AccountId account, PrincipalKind kind, std::string name);
    static void Put(storage::Transaction& transaction, const Principal& principal);
    static void Delete(storage::Transaction& transaction, const Principal& principal);

    // Reads, lets `change` judge and alter it, writes it back: one transaction. `change` may run
    // again.
    Task<Status> Update(
        AccountId account,
        PrincipalKind kind,
        std::string name,
        std::function<Status(Principal&)> change);

    // `arn` must be of `account`; errors: NoSuchEntity.
    Task<Result<ManagedPolicy>> GetPolicy(AccountId account, std::string arn);
    Task<Result<ManagedPolicy>> GetPolicy(
        storage::Transaction& transaction, AccountId account, std::string arn);
    Task<Result<bool>> PolicyTaken(
        storage::Transaction& transaction, AccountId account, std::string name);
    static void PutPolicy(storage::Transaction& transaction, const ManagedPolicy& policy);
    static void DeletePolicy(storage::Transaction& transaction, const ManagedPolicy& policy);
    Task<Status> UpdatePolicy(
        AccountId account, std::string arn, std::function<Status(ManagedPolicy&)> change);

    struct Attachment {
        PrincipalKind kind;
        std::string name;
    };

    static void PutAttachment(
        storage::Transaction& transaction, const Principal& principal, const std::string& arn);
    static void DeleteAttachment(
        storage::Transaction& transaction, const Principal& principal, const std::string& arn);
    Task<Result<std::vector<Attachment>>> Attachments(AccountId account, std::string policy_arn);
    Task<Result<bool>> IsAttached(
        storage::Transaction& transaction, AccountId account, std::string policy_arn);

    Task<Result<std::optional<AccessKeyRecord>>> FindKey(std::string id);
    Task<Result<std::optional<AccessKeyRecord>>> FindKey(
        storage::Transaction& transaction, std::string id);
    static void PutKey(storage::Transaction& transaction, const AccessKeyRecord& key);
    static void DeleteKey(storage::Transaction& transaction, const std::string& id);

    template <class Record>
    struct Page {
        std::vector<Record> records;
        // Set when there are more: the marker for the next page.
        std::optional<std::string> marker;
    };

    // By name, those whose path begins with `path_prefix`, at most `count`, after `marker`.
    // Errors: ValidationError for a marker that is not ours.
    Task<Result<Page<Principal>>> List(
        AccountId account,
        PrincipalKind kind,
        std::string path_prefix,
        std::optional<std::string> marker,
        int32_t count);
    Task<Result<Page<ManagedPolicy>>> ListPolicies(
        AccountId account,
        std::string path_prefix,
        std::optional<std::string> marker,
        int32_t count);
    Task<Result<bool>> HasRoles(AccountId account);

  private:
    storage::Kv& kv_;
};

}  // namespace hearth::iam
