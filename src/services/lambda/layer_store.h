#pragma once

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "rt/task.h"
#include "storage/kv.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::lambda {

// Names one layer.
struct LayerKey {
    AccountId account;
    Region region;
    std::string name;
};

// One permission of a layer version, as AddLayerVersionPermission takes it.
struct LayerStatement {
    std::string id;
    std::string principal;     // "*", an account, or the ARN of an account's root
    std::string organization;  // empty: none
};

// One version of a layer. It never changes, but for its policy.
struct LayerVersionRecord {
    int64_t version = 0;
    std::string description;
    std::optional<std::string> license;
    // Absent when the publisher gave none; AWS then leaves the members out.
    std::optional<std::vector<std::string>> runtimes;
    std::optional<std::vector<std::string>> architectures;
    WallClock::time_point created;

    std::string code_blob;
    std::string code_sha256;
    int64_t code_size = 0;
    int64_t unzipped_size = 0;

    std::vector<LayerStatement> statements;
    // Changes with each change of the policy. Empty while there never was a statement.
    std::string policy_revision;
};

// Layers inside a transaction of the Kv; the code they hold is counted by FunctionTransaction. What
// is left of a layer whose versions are all deleted is the number of its next version: numbers are
// never used twice, whatever happens to the layer.
class LayerTransaction final {
  public:
    explicit LayerTransaction(storage::Transaction& transaction) : transaction_(transaction) {}

    // The number that the next version gets; 1 for a layer nobody has heard of.
    Task<Result<int64_t>> NextVersion(const LayerKey& key);
    void PutNextVersion(const LayerKey& key, int64_t number);

    Task<Result<std::optional<LayerVersionRecord>>> FindVersion(
        const LayerKey& key, int64_t number);
    void PutVersion(const LayerKey& key, const LayerVersionRecord& record);
    void DeleteVersion(const LayerKey& key, int64_t number);

  private:
    storage::Transaction& transaction_;
};

// Layers on the Kv, outside of transactions. Calls may come from any loop.
class LayerStore final {
  public:
    explicit LayerStore(storage::Kv& kv) : kv_(kv) {}

    Task<Result<std::optional<LayerVersionRecord>>> FindVersion(
        const LayerKey& key, int64_t number);

    struct Versions {
        std::vector<LayerVersionRecord> versions;
        bool more = false;
    };

    // Up to `limit` versions below `before` (0: from the newest), newest first.
    Task<Result<Versions>> ListVersions(const LayerKey& key, int64_t before, size_t limit);

    struct Names {
        std::vector<std::string> names;
        bool more = false;
    };

    // Up to `limit` layers that ever were, in order of name, beginning after `after`.
    Task<Result<Names>> ListNames(
        const AccountId& account, const Region& region, std::string_view after, size_t limit);

  private:
    storage::Kv& kv_;
};

// The stored form, without the version's number.
std::string EncodeLayerVersion(const LayerVersionRecord& record);
Result<LayerVersionRecord> DecodeLayerVersion(std::string_view bytes, int64_t version);

}  // namespace hearth::lambda
