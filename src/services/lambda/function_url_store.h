#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "rt/task.h"
#include "services/lambda/function_store.h"
#include "storage/kv.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::lambda {

// What browsers of other origins may do with a function URL.
struct UrlCors {
    bool allow_credentials = false;
    std::optional<int32_t> max_age_s;
    // Absent and empty mean the same to a browser; the API shows what was given.
    std::optional<std::vector<std::string>> allow_headers;
    std::optional<std::vector<std::string>> allow_methods;
    std::optional<std::vector<std::string>> allow_origins;
    std::optional<std::vector<std::string>> expose_headers;

    bool operator==(const UrlCors&) const = default;
};

// The URL of a function's $LATEST, or of one of its aliases.
struct FunctionUrlRecord {
    // 32 characters of a-z and 0-9, the name in the URL. It never changes and is never used twice.
    std::string id;
    std::string alias;      // empty: the URL of $LATEST
    std::string auth_type;  // "NONE" or "AWS_IAM"
    bool streaming = false;
    std::optional<UrlCors> cors;
    WallClock::time_point created;
    WallClock::time_point modified;
};

// Whose URL it is.
struct FunctionUrlOwner {
    FunctionKey key;
    // The life of the function the URL belongs to: another one of the same name does not inherit
    // it.
    std::string function_id;
    std::string alias;  // empty: $LATEST
};

// Function URLs inside a transaction of the Kv. They are filed under their function's life, and
// above accounts by id; function_url_store.cc is the only file that knows these keys.
class FunctionUrlTransaction final {
  public:
    explicit FunctionUrlTransaction(storage::Transaction& transaction)
        : transaction_(transaction) {}

    // `alias` empty: of $LATEST.
    Task<Result<std::optional<FunctionUrlRecord>>> Find(
        const FunctionKey& key, const std::string& function_id, std::string_view alias);
    void Put(
        const FunctionKey& key, const std::string& function_id, const FunctionUrlRecord& record);
    void Delete(
        const FunctionKey& key, const std::string& function_id, const FunctionUrlRecord& record);
    // Up to `limit` URLs, in order of alias, $LATEST first. `after`: the alias to begin after;
    // nullopt: at the start.
    Task<Result<std::vector<FunctionUrlRecord>>> List(
        const FunctionKey& key,
        const std::string& function_id,
        std::optional<std::string_view> after,
        size_t limit);

  private:
    storage::Transaction& transaction_;
};

class FunctionUrlStore final {
  public:
    explicit FunctionUrlStore(storage::Kv& kv) : kv_(kv) {}

    struct Found {
        FunctionUrlOwner owner;
        FunctionUrlRecord record;
    };

    // Whose id this is. The function may be gone already, or be another one: compare its head's id.
    Task<Result<std::optional<Found>>> FindById(std::string_view id);

    // URLs of all functions of an account's region; for `hearth functions`.
    Task<Result<std::vector<Found>>> ListAll(const AccountId& account, const Region& region);

  private:
    storage::Kv& kv_;
};

}  // namespace hearth::lambda
