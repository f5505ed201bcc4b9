#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/result.h"
#include "rt/task.h"
#include "services/lambda/function_record.h"
#include "storage/kv.h"

namespace hearth::lambda {

// What an invocation runs, picked once per call.
struct ResolvedFunction {
    // The version that runs. Immutable and shared with the store's cache and with the slots.
    std::shared_ptr<const FunctionRecord> record;
    // The ARN as the caller meant it: with the qualifier when one was given.
    std::string invoked_arn;
    // Set when an alias was named.
    std::string alias;
};

// What belongs to a function as a whole, whatever its versions are.
struct FunctionHead {
    int64_t next_version = 1;
    std::map<std::string, std::string> tags;
};

struct AliasRecord {
    std::string name;
    std::string function_version;
    std::string description;
    // Version -> share of calls, 0 < share <= 1; at most one entry.
    std::map<std::string, double> routing;
    std::string revision_id;
};

// Encrypts environment variables on their way to storage. `context` binds the text to its place.
class Sealer {
  public:
    virtual ~Sealer() = default;
    virtual std::string Seal(std::string_view plain, std::string_view context) const = 0;
    virtual Result<std::string> Open(std::string_view sealed, std::string_view context) const = 0;
};

// Functions, versions and aliases on the Kv. The only file that knows their keys:
//   (account, region, "lambda", "head", name)              FunctionHead
//   (account, region, "lambda", "latest", name)            FunctionRecord of $LATEST
//   (account, region, "lambda", "version", name, number)   FunctionRecord of a published version
//   (account, region, "lambda", "alias", name, alias)      AliasRecord
// Calls may come from any loop.
class FunctionStore final {
  public:
    FunctionStore(
        storage::Kv& kv, std::shared_ptr<const Sealer> sealer, std::shared_ptr<Random> random);
    ~FunctionStore();

    // Finds what a call of `function_name` with `qualifier` (empty: none) runs: the version, $LATEST, or
    // through an alias one of its versions by weight. Reads storage each time, so the answer is never
    // older than the last acknowledged change.
    //   errors  those of ParseFunctionName; ResourceNotFoundException "Function not found: arn:..."
    Task<Result<ResolvedFunction>> Resolve(
        const AccountId& account,
        const Region& region,
        std::string_view function_name,
        std::string_view qualifier);

    // Point reads; empty when there is none.
    Task<Result<std::shared_ptr<const FunctionRecord>>> Find(
        const AccountId& account,
        const Region& region,
        std::string_view name,
        std::string_view version);
    Task<Result<std::optional<FunctionHead>>> FindHead(
        const AccountId& account, const Region& region, std::string_view name);
    Task<Result<std::optional<AliasRecord>>> FindAlias(
        const AccountId& account,
        const Region& region,
        std::string_view name,
        std::string_view alias);

  private:
    struct Cache;

    storage::Kv& kv_;
    std::shared_ptr<const Sealer> sealer_;
    std::shared_ptr<Random> random_;
    std::unique_ptr<Cache> cache_;
};

}  // namespace hearth::lambda
