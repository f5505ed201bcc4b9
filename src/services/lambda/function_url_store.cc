#include "services/lambda/function_url_store.h"

#include "services/lambda/record_codec.h"
#include "storage/keys/key.h"

#include <chrono>
#include <utility>

namespace hearth::lambda {
namespace {

using storage::keys::Key;
using storage::keys::KeyReader;

// account, region, "lambda", "url"
constexpr size_t kRootComponents = 4;

Key UrlsRoot(const AccountId& account, const Region& region) {
    return Key(account, region).Add("lambda").Add("url");
}

Key UrlsKey(const FunctionKey& key, std::string_view function_id) {
    return UrlsRoot(key.account, key.region).Add(key.name).Add(function_id);
}

// $LATEST sorts before all aliases, whose names hold no '$'.
std::string_view Component(std::string_view alias) {
    return alias.empty() ? kLatest : alias;
}

Key IdKey(std::string_view id) {
    return Key::AboveAccounts().Add("lambda-url").Add(id);
}

int64_t Milliseconds(WallClock::time_point time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

WallClock::time_point FromMilliseconds(int64_t milliseconds) {
    return WallClock::time_point(
        std::chrono::duration_cast<WallClock::duration>(std::chrono::milliseconds(milliseconds)));
}

// FunctionUrlRecord: 1 id, 2 auth type, 3 streaming, 4 created, 5 modified; of its CORS settings
// 10 that there are any, 11 credentials, 12 max age, and as lists 13 headers, 14 methods, 15
// origins, 16 exposed headers: each that it is there, and its items under a number of their own.
constexpr uint8_t kCors = 10;
constexpr uint8_t kItemOffset = 10;
constexpr uint8_t kCorsEnd = 27;

void WriteList(
    FieldWriter& writer, uint8_t number, const std::optional<std::vector<std::string>>& list) {
    if (list) {
        writer.Integer(number, 0);
        for (const std::string& item : *list) {
            writer.Pair(static_cast<uint8_t>(number + kItemOffset), {}, item);
        }
    }
}

std::string Encode(const FunctionUrlRecord& record) {
    FieldWriter writer;
    writer.Text(1, record.id);
    writer.Text(2, record.auth_type);
    writer.Integer(3, record.streaming ? 1 : 0);
    writer.Integer(4, Milliseconds(record.created));
    writer.Integer(5, Milliseconds(record.modified));
    if (record.cors) {
        const UrlCors& cors = *record.cors;
        writer.Integer(kCors, 1);
        writer.Integer(11, cors.allow_credentials ? 1 : 0);
        if (cors.max_age_s) {
            writer.Integer(12, *cors.max_age_s);
        }
        WriteList(writer, 13, cors.allow_headers);
        WriteList(writer, 14, cors.allow_methods);
        WriteList(writer, 15, cors.allow_origins);
        WriteList(writer, 16, cors.expose_headers);
    }
    return writer.Take();
}

std::optional<std::vector<std::string>>* ListOf(UrlCors& cors, uint8_t number) {
    switch (number) {
        case 13:
            return &cors.allow_headers;
        case 14:
            return &cors.allow_methods;
        case 15:
            return &cors.allow_origins;
        case 16:
            return &cors.expose_headers;
        default:
            return nullptr;
    }
}

Result<FunctionUrlRecord> Decode(std::string_view bytes, std::string alias) {
    FunctionUrlRecord record;
    record.alias = alias == kLatest ? std::string() : std::move(alias);
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return record;
        }
        if (field->number >= kCors && field->number < kCorsEnd && !record.cors) {
            record.cors.emplace();
        }
        switch (field->number) {
            case 1:
                record.id = field->bytes;
                break;
            case 2:
                record.auth_type = field->bytes;
                break;
            case 3: {
                HEARTH_TRY(const int64_t streaming, FieldReader::Integer(*field));
                record.streaming = streaming != 0;
                break;
            }
            case 4: {
                HEARTH_TRY(const int64_t created, FieldReader::Integer(*field));
                record.created = FromMilliseconds(created);
                break;
            }
            case 5: {
                HEARTH_TRY(const int64_t modified, FieldReader::Integer(*field));
                record.modified = FromMilliseconds(modified);
                break;
            }
            case 11: {
                HEARTH_TRY(const int64_t credentials, FieldReader::Integer(*field));
                record.cors->allow_credentials = credentials != 0;
                break;
            }
            case 12: {
                HEARTH_TRY(const int64_t seconds, FieldReader::Integer(*field));
                record.cors->max_age_s = static_cast<int32_t>(seconds);
                break;
            }
            case 13:
            case 14:
            case 15:
            case 16:
                ListOf(*record.cors, field->number)->emplace();
                break;
            case 23:
            case 24:
            case 25:
            case 26: {
                HEARTH_TRY(const auto pair, FieldReader::Pair(*field));
                auto& list =
                    *ListOf(*record.cors, static_cast<uint8_t>(field->number - kItemOffset));
                if (!list) {
                    list.emplace();
                }
                list->emplace_back(pair.value);
                break;
            }
            default:
                break;
        }
    }
}

// The entry above accounts: 1 account, 2 region, 3 name, 4 function id, 5 alias.
std::string EncodeOwner(
    const FunctionKey& key, std::string_view function_id, std::string_view alias) {
    FieldWriter writer;
    writer.Text(1, key.account.text());
    writer.Text(2, key.region.text());
    writer.Text(3, key.name);
    writer.Text(4, function_id);
    writer.Text(5, alias);
    return writer.Take();
}

Result<FunctionUrlOwner> DecodeOwner(std::string_view bytes) {
    FunctionUrlOwner owner;
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return owner;
        }
        switch (field->number) {
            case 1:
                owner.key.account = AccountId(std::string(field->bytes));
                break;
            case 2:
                owner.key.region = Region(std::string(field->bytes));
                break;
            case 3:
                owner.key.name = field->bytes;
                break;
            case 4:
                owner.function_id = field->bytes;
                break;
            case 5:
                owner.alias = field->bytes;
                break;
            default:
                break;
        }
    }
}

}  // namespace

Task<Result<std::optional<FunctionUrlRecord>>> FunctionUrlTransaction::Find(
    const FunctionKey& key, const std::string& function_id, std::string_view alias) {
    const Key url_key = UrlsKey(key, function_id).Add(Component(alias));
    HEARTH_CO_TRY(const auto bytes, co_await transaction_.Get(url_key));
    if (!bytes) {
        co_return std::optional<FunctionUrlRecord>();
    }
    HEARTH_CO_TRY(FunctionUrlRecord record, Decode(*bytes, std::string(alias)));
    co_return std::optional<FunctionUrlRecord>(std::move(record));
}

void FunctionUrlTransaction::Put(
    const FunctionKey& key, const std::string& function_id, const FunctionUrlRecord& record) {
    transaction_.Put(UrlsKey(key, function_id).Add(Component(record.alias)), Encode(record));
    transaction_.Put(IdKey(record.id), EncodeOwner(key, function_id, record.alias));
}

void FunctionUrlTransaction::Delete(
    const FunctionKey& key, const std::string& function_id, const FunctionUrlRecord& record) {
    transaction_.Delete(UrlsKey(key, function_id).Add(Component(record.alias)));
    transaction_.Delete(IdKey(record.id));
}

Task<Result<std::vector<FunctionUrlRecord>>> FunctionUrlTransaction::List(
    const FunctionKey& key,
    const std::string& function_id,
    std::optional<std::string_view> after,
    size_t limit) {
    const Key urls = UrlsKey(key, function_id);
    storage::RangeRequest request = after ? urls.ChildrenAfter(Component(*after)) : urls.Children();
    request.limit = limit;
    HEARTH_CO_TRY(const auto page, co_await transaction_.Range(std::move(request)));
    std::vector<FunctionUrlRecord> records;
    for (const auto& item : page.items) {
        KeyReader reader(item.key);
        HEARTH_CO_RETURN_IF_ERROR(reader.Skip(kRootComponents + 2));
        HEARTH_CO_TRY(std::string alias, reader.String());
        HEARTH_CO_TRY(FunctionUrlRecord record, Decode(item.value, std::move(alias)));
        records.push_back(std::move(record));
    }
    co_return records;
}

Task<Result<std::optional<FunctionUrlStore::Found>>> FunctionUrlStore::FindById(
    std::string_view id) {
    const Key id_key = IdKey(id);
    HEARTH_CO_TRY(const auto owner_bytes, co_await kv_.Get(id_key));
    if (!owner_bytes) {
        co_return std::optional<Found>();
    }
    Found found;
    HEARTH_CO_TRY(found.owner, DecodeOwner(*owner_bytes));
    const Key url_key =
        UrlsKey(found.owner.key, found.owner.function_id).Add(Component(found.owner.alias));
    HEARTH_CO_TRY(const auto bytes, co_await kv_.Get(url_key));
    if (!bytes) {
        co_return std::optional<Found>();
    }
    HEARTH_CO_TRY(found.record, Decode(*bytes, found.owner.alias));
    if (found.record.id != id) {
        // Deleted and made anew between the two reads.
        co_return std::optional<Found>();
    }
    co_return std::optional<Found>(std::move(found));
}

Task<Result<std::vector<FunctionUrlStore::Found>>> FunctionUrlStore::ListAll(
    const AccountId& account, const Region& region) {
    std::vector<Found> all;
    storage::RangeRequest request = UrlsRoot(account, region).Children();
    for (;;) {
        HEARTH_CO_TRY(const auto page, co_await kv_.Range(request));
        for (const auto& item : page.items) {
            Found found;
            KeyReader reader(item.key);
            HEARTH_CO_RETURN_IF_ERROR(reader.Skip(kRootComponents));
            found.owner.key.account = account;
            found.owner.key.region = region;
            HEARTH_CO_TRY(found.owner.key.name, reader.String());
            HEARTH_CO_TRY(found.owner.function_id, reader.String());
            HEARTH_CO_TRY(std::string alias, reader.String());
            HEARTH_CO_TRY(found.record, Decode(item.value, std::move(alias)));
            found.owner.alias = found.record.alias;
            all.push_back(std::move(found));
        }
        if (!page.next) {
            co_return all;
        }
        request.begin = *page.next;
    }
}

}  // namespace hearth::lambda
