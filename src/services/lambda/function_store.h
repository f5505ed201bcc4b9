#pragma once

#include "base/clock.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/result.h"
#include "codec/crypto/master_key.h"
#include "rt/task.h"
#include "services/lambda/function_name.h"
#include "services/lambda/function_record.h"
#include "services/lambda/invoker.h"
#include "storage/kv.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::lambda {

// Names one function.
struct FunctionKey {
    AccountId account;
    Region region;
    std::string name;
};

// What belongs to a function as a whole, whatever its versions are.
struct FunctionHead {
    // Names this life of the function: one deleted and created anew under its old name has another,
    // so nothing of the old one can show up again.
    std::string id;
    int64_t next_version = 1;
    // Fingerprint() of $LATEST at the last publication; publishing the same again gives the same
    // version.
    std::string published_fingerprint;
    std::map<std::string, std::string> tags;
    // "Allow", "Terminate", or empty: never set.
    std::string recursive_loop;
};

struct AliasRecord {
    std::string name;
    std::string function_version;
    std::string description;
    // Version -> share of calls, 0 < share < 1; at most one entry.
    std::map<std::string, double> routing;
    std::string revision_id;
};

// SnapStart of one published version (version_snapshots.h).
struct VersionSnapshot {
    enum class State : uint8_t { kPending = 1, kActive = 2, kInactive = 3, kFailed = 4 };

    State state = State::kPending;
    // StateReason and StateReasonCode of a version that failed.
    std::string reason;
    std::string reason_code;
    // Why there is no snapshot, for people; empty when there is one.
    std::string note;
    // Name of the file in snapshots/; empty: none. The rest as in SnapshotSource.
    std::string image;
    uint32_t connections = 0;
    bool in_restore = false;
    bool rehearses = false;
    // In the form of saved_extensions.h, which is read where it is used.
    std::string extensions;
    // Of $LATEST: which of its revisions this is about.
    std::string revision;
    // The day of the last call, for Inactive: written once a day, not with each call.
    CloudClock::time_point used;
    // When the image was made, and how many before it were lost soon after they had been made.
    CloudClock::time_point made;
    int64_t losses = 0;
};

// A stored zip, shared by all versions in one account and region that were uploaded with the same
// bytes.
struct CodeRecord {
    std::string blob;
    int64_t size = 0;
    // Of the files; 0 for code that an older Hearth took in.
    int64_t unzipped_size = 0;
};

// What an invocation runs, picked once per call.
struct ResolvedFunction {
    std::shared_ptr<const FunctionVersion> function;
    // The ARN as the caller meant it: with the qualifier when one was given.
    std::string invoked_arn;
    // FunctionHead::id, where a version is run; empty for $LATEST.
    std::string function_id;
};

// Reserved concurrency by function name.
using Reserves = std::map<std::string, int32_t, std::less<>>;

// Reads and writes of one transaction, in the words of this service.
class FunctionTransaction final {
  public:
    FunctionTransaction(storage::Transaction& transaction, const codec::SealingKey& sealing_key)
        : transaction_(transaction), sealing_key_(sealing_key) {}

    // For records of other kinds that come and go with a function in the same transaction; each has
    // a store of its own that knows its keys.
    storage::Transaction& raw() { return transaction_; }

    Task<Result<std::optional<FunctionHead>>> FindHead(const FunctionKey& key);
    void PutHead(const FunctionKey& key, const FunctionHead& head);
    void DeleteHead(const FunctionKey& key);

    Task<Result<std::optional<FunctionRecord>>> FindLatest(const FunctionKey& key);
    void PutLatest(const FunctionRecord& record);
    void DeleteLatest(const FunctionKey& key);

    Task<Result<std::optional<FunctionRecord>>> FindVersion(
        const FunctionKey& key, const std::string& function_id, int64_t number);
    void PutVersion(
        const FunctionKey& key,
        const std::string& function_id,
        int64_t number,
        const FunctionRecord& record);
    void DeleteVersion(const FunctionKey& key, const std::string& function_id, int64_t number);
    // Up to `limit` versions with numbers from `first` on.
    Task<Result<std::vector<FunctionRecord>>> Versions(
        const FunctionKey& key, const std::string& function_id, int64_t first, size_t limit);

    // Goes with its version: DeleteVersion takes it away, too.
    Task<Result<std::optional<VersionSnapshot>>> FindSnapshot(
        const FunctionKey& key, const std::string& function_id, int64_t number);
    void PutSnapshot(
        const FunctionKey& key,
        const std::string& function_id,
        int64_t number,
        const VersionSnapshot& snapshot);
    void DeleteSnapshot(const FunctionKey& key, const std::string& function_id, int64_t number);

    Task<Result<std::optional<AliasRecord>>> FindAlias(
        const FunctionKey& key, const std::string& function_id, std::string_view alias);
    void PutAlias(const FunctionKey& key, const std::string& function_id, const AliasRecord& alias);
    void DeleteAlias(
        const FunctionKey& key, const std::string& function_id, std::string_view alias);
    // Up to `limit` aliases with names after `after`.
    Task<Result<std::vector<AliasRecord>>> Aliases(
        const FunctionKey& key,
        const std::string& function_id,
        std::string_view after,
        size_t limit);

    // Reserved concurrency, of the function as a whole.
    Task<Result<std::optional<int32_t>>> FindReserve(const FunctionKey& key);
    void PutReserve(const FunctionKey& key, int32_t reserve);
    void DeleteReserve(const FunctionKey& key);
    // Of all functions; so two transactions that change some conflict.
    Task<Result<Reserves>> ReadReserves(const AccountId& account, const Region& region);

    // The resource policy of the function (qualifier empty), of a version or of an alias: a
    // document of the IAM policy language. Each has its own.
    Task<Result<std::optional<std::string>>> FindPolicy(
        const FunctionKey& key, const std::string& function_id, std::string_view qualifier);
    void PutPolicy(
        const FunctionKey& key,
        const std::string& function_id,
        std::string_view qualifier,
        const std::string& document);
    void DeletePolicy(
        const FunctionKey& key, const std::string& function_id, std::string_view qualifier);

    Task<Result<std::optional<CodeRecord>>> FindCode(
        const AccountId& account, const Region& region, std::string_view sha256);
    void PutCode(
        const AccountId& account,
        const Region& region,
        std::string_view sha256,
        const CodeRecord& code);
    // That `record` uses its code and the code of its layers. `number`: of the version, 0 for
    // $LATEST.
    void AddCodeReference(
        const FunctionRecord& record, const std::string& function_id, int64_t number);
    // Of its own code alone. Returns the blob that nobody uses any more, to be deleted after the
    // commit; empty otherwise.
    Task<Result<std::string>> DropCodeReference(
        const FunctionRecord& record, const std::string& function_id, int64_t number);
    // The same for one layer.
    Task<Result<std::string>> DropLayerReference(
        const LayerUse& layer, const std::string& function_id, int64_t number);
    // Of its code and of its layers. Returns the blobs that nobody uses any more.
    Task<Result<std::vector<std::string>>> DropReferences(
        const FunctionRecord& record, const std::string& function_id, int64_t number);

    // A use of the code `sha256` of an account and region by anything else: a layer version.
    // `holder` is no function's id.
    void AddReference(
        const AccountId& account,
        const Region& region,
        std::string_view sha256,
        std::string_view holder,
        int64_t number);
    Task<Result<std::string>> DropReference(
        const AccountId& account,
        const Region& region,
        std::string_view sha256,
        std::string_view blob,
        std::string_view holder,
        int64_t number);

    // A function whose head is gone and whose versions and aliases are still to be taken away.
    void PutGarbage(const FunctionKey& key, const std::string& function_id);
    void DeleteGarbage(const FunctionKey& key, const std::string& function_id);

    // For records of this service that have a store of their own (layer_store.h) and change
    // together with these.
    storage::Transaction& storage() { return transaction_; }

  private:
    storage::Transaction& transaction_;
    const codec::SealingKey& sealing_key_;
};

// Functions, versions, aliases and code on the Kv; function_store.cc is the only file that knows
// their keys (README.md, "Keys"). Calls may come from any loop.
class FunctionStore final {
  public:
    FunctionStore(storage::Kv& kv, codec::SealingKey sealing_key, Random& random);
    ~FunctionStore();

    // Finds what a call runs: the version, $LATEST, or through an alias one of its versions by
    // weight. Reads storage each time, so the answer is never older than the last acknowledged
    // change.
    //   errors  ResourceNotFoundException "Function not found: arn:..."
    Task<Result<ResolvedFunction>> Resolve(const FunctionReference& reference);

    // Point reads; empty when there is none.
    Task<Result<std::shared_ptr<const FunctionRecord>>> FindLatest(const FunctionKey& key);
    Task<Result<std::shared_ptr<const FunctionRecord>>> FindVersion(
        const FunctionKey& key, const std::string& function_id, int64_t number);
    Task<Result<std::optional<FunctionHead>>> FindHead(const FunctionKey& key);
    Task<Result<std::optional<AliasRecord>>> FindAlias(
        const FunctionKey& key, const std::string& function_id, std::string_view alias);
    Task<Result<std::optional<VersionSnapshot>>> FindSnapshot(
        const FunctionKey& key, const std::string& function_id, int64_t number);

    struct FoundSnapshot {
        std::string name;
        std::string function_id;
        int64_t number = 0;
        VersionSnapshot snapshot;
    };

    // Of all functions of an account's region, also of ones that are being deleted.
    Task<Result<std::vector<FoundSnapshot>>> ListSnapshots(
        const AccountId& account, const Region& region);

    Task<Result<std::optional<int32_t>>> FindReserve(const FunctionKey& key);
    Task<Result<Reserves>> ReadReserves(AccountId account, Region region);
    // The resource policy that calls with this qualifier are judged by (aws/auth/policy/policy.h):
    // the function's own for an empty one; a version's and an alias' are apart from it. Empty when
    // there is none, or no such function.
    Task<Result<std::optional<std::string>>> FindPolicy(
        const FunctionKey& key, std::string_view qualifier);

    struct Page {
        std::vector<FunctionRecord> functions;
        bool more = false;
    };

    // $LATEST of up to `limit` functions in order of name, beginning after `after` (empty: at the
    // start).
    Task<Result<Page>> ListLatest(
        const AccountId& account, const Region& region, std::string_view after, size_t limit);
    Task<Result<Page>> ListVersions(
        const FunctionKey& key, const std::string& function_id, int64_t first, size_t limit);

    struct Usage {
        int64_t code_bytes = 0;
        int64_t functions = 0;
    };

    Task<Result<Usage>> ReadUsage(const AccountId& account, const Region& region);

    using Body = std::function<Task<Status>(FunctionTransaction&)>;
    // As Kv::Transact: `body` runs again on a conflict, and lives until the Task ends.
    Task<Status> Transact(Body body);

    // Takes away what is left of a deleted function. Returns the blobs nobody uses any more.
    Task<Result<std::vector<std::string>>> ClearGarbage(FunctionKey key, std::string function_id);

    // Whether some record names this blob.
    Task<Result<bool>> IsKnownCode(std::string_view blob);

    struct Garbage {
        FunctionKey key;
        std::string function_id;
    };

    // Deletions that a crash interrupted.
    Task<Result<std::vector<Garbage>>> ListGarbage();

  private:
    struct Cache;
    struct Entry;

    Task<Result<std::shared_ptr<const Entry>>> Read(
        std::string storage_key, const FunctionKey& key, std::string version);

    storage::Kv& kv_;
    codec::SealingKey sealing_key_;
    Random& random_;
    std::unique_ptr<Cache> cache_;
};

// What the data plane needs of a record.
std::shared_ptr<const FunctionVersion> MakeFunctionVersion(const FunctionRecord& record);

}  // namespace hearth::lambda
