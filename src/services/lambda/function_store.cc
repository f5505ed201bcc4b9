#include "services/lambda/function_store.h"

#include "services/lambda/errors.h"
#include "services/lambda/event_invoke_config_store.h"
#include "services/lambda/function_url_store.h"
#include "services/lambda/hot_reload.h"
#include "services/lambda/layer_name.h"
#include "services/lambda/record_codec.h"
#include "storage/keys/key.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <mutex>
#include <unordered_map>

namespace hearth::lambda {
namespace {

using storage::keys::Key;
using storage::keys::KeyReader;

Key Root(const AccountId& account, const Region& region, std::string_view kind) {
    return Key(account, region).Add("lambda").Add(kind);
}

Key HeadKey(const FunctionKey& key) {
    return Root(key.account, key.region, "head").Add(key.name);
}

Key LatestKey(const FunctionKey& key) {
    return Root(key.account, key.region, "latest").Add(key.name);
}

Key VersionsKey(const FunctionKey& key, std::string_view id) {
    return Root(key.account, key.region, "version").Add(key.name).Add(id);
}

Key SnapshotKey(const FunctionKey& key, std::string_view id, int64_t number) {
    return Root(key.account, key.region, "snapshot").Add(key.name).Add(id).Add(number);
}

Key AliasesKey(const FunctionKey& key, std::string_view id) {
    return Root(key.account, key.region, "alias").Add(key.name).Add(id);
}

Key PoliciesKey(const FunctionKey& key, std::string_view id) {
    return Root(key.account, key.region, "policy").Add(key.name).Add(id);
}

Key ReservesKey(const AccountId& account, const Region& region) {
    return Root(account, region, "reserve");
}

Key ReserveKey(const FunctionKey& key) {
    return ReservesKey(key.account, key.region).Add(key.name);
}

// The function's own policy goes by the name of the version it is about.
std::string_view PolicyName(std::string_view qualifier) {
    return qualifier.empty() ? kLatest : qualifier;
}

Key CodeKey(const AccountId& account, const Region& region, std::string_view sha256) {
    return Root(account, region, "code").Add(sha256);
}

Key CodeReferencesKey(const AccountId& account, const Region& region, std::string_view sha256) {
    return Root(account, region, "code-reference").Add(sha256);
}

// Whether a piece of code is anybody's, whoever that is; for sweeps.
Key KnownCodeKey(std::string_view blob) {
    return Key::AboveAccounts().Add("lambda-code").Add(blob);
}

Key GarbageRoot() {
    return Key::AboveAccounts().Add("lambda-garbage");
}

Key GarbageKey(const FunctionKey& key, std::string_view id) {
    return GarbageRoot().Add(key.account.text()).Add(key.region.text()).Add(key.name).Add(id);
}

std::string VersionName(int64_t number) {
    return fmt::format("{}", number);
}

// FunctionHead: 1 id, 2 next version, 3 fingerprint, 4 tags, 5 recursive loop.
std::string EncodeHead(const FunctionHead& head) {
    FieldWriter writer;
    writer.Text(1, head.id);
    writer.Integer(2, head.next_version);
    writer.Text(3, head.published_fingerprint);
    for (const auto& [key, value] : head.tags) {
        writer.Pair(4, key, value);
    }
    if (!head.recursive_loop.empty()) {
        writer.Text(5, head.recursive_loop);
    }
    return writer.Take();
}

Result<FunctionHead> DecodeHead(std::string_view bytes) {
    FunctionHead head;
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return head;
        }
        switch (field->number) {
            case 1:
                head.id = field->bytes;
                break;
            case 2: {
                HEARTH_TRY(head.next_version, FieldReader::Integer(*field));
                break;
            }
            case 3:
                head.published_fingerprint = field->bytes;
                break;
            case 4: {
                HEARTH_TRY(const auto pair, FieldReader::Pair(*field));
                head.tags.emplace(pair.key, pair.value);
                break;
            }
            case 5:
                head.recursive_loop = field->bytes;
                break;
            default:
                break;
        }
    }
}

// AliasRecord: 1 version, 2 description, 3 revision id, 4 routing.
std::string EncodeAlias(const AliasRecord& alias) {
    FieldWriter writer;
    writer.Text(1, alias.function_version);
    writer.Text(2, alias.description);
    writer.Text(3, alias.revision_id);
    for (const auto& [version, weight] : alias.routing) {
        writer.Pair(4, version, fmt::format("{}", weight));
    }
    return writer.Take();
}

Result<AliasRecord> DecodeAlias(std::string_view bytes, std::string name) {
    AliasRecord alias;
    alias.name = std::move(name);
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return alias;
        }
        switch (field->number) {
            case 1:
                alias.function_version = field->bytes;
                break;
            case 2:
                alias.description = field->bytes;
                break;
            case 3:
                alias.revision_id = field->bytes;
                break;
            case 4: {
                HEARTH_TRY(const auto pair, FieldReader::Pair(*field));
                double weight = 0;
                const char* end = pair.value.data() + pair.value.size();
                if (std::from_chars(pair.value.data(), end, weight).ptr != end) {
                    return hearth::errors::Internal("an alias' weight is not a number");
                }
                alias.routing.emplace(pair.key, weight);
                break;
            }
            default:
                break;
        }
    }
}

// Reserved concurrency: 1 calls at once.
std::string EncodeReserve(int32_t reserve) {
    FieldWriter writer;
    writer.Integer(1, reserve);
    return writer.Take();
}

Result<int32_t> DecodeReserve(std::string_view bytes) {
    int64_t reserve = 0;
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return static_cast<int32_t>(reserve);
        }
        if (field->number == 1) {
            HEARTH_TRY(reserve, FieldReader::Integer(*field));
        }
    }
}

// A resource policy: 1 document.
std::string EncodePolicy(std::string_view document) {
    FieldWriter writer;
    writer.Text(1, document);
    return writer.Take();
}

Result<std::string> DecodePolicy(std::string_view bytes) {
    std::string document;
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return document;
        }
        if (field->number == 1) {
            document = field->bytes;
        }
    }
}

// CodeRecord: 1 blob, 2 size, 3 unzipped size.
std::string EncodeCode(const CodeRecord& code) {
    FieldWriter writer;
    writer.Text(1, code.blob);
    writer.Integer(2, code.size);
    writer.Integer(3, code.unzipped_size);
    return writer.Take();
}

Result<CodeRecord> DecodeCode(std::string_view bytes) {
    CodeRecord code;
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return code;
        }
        if (field->number == 1) {
            code.blob = field->bytes;
        } else if (field->number == 2) {
            HEARTH_TRY(code.size, FieldReader::Integer(*field));
        } else if (field->number == 3) {
            HEARTH_TRY(code.unzipped_size, FieldReader::Integer(*field));
        }
    }
}

// Who holds a layer's code on behalf of a function: apart from the function's own code, which may
// be the same bytes, and from other layers with the same.
std::string LayerHolder(const LayerUse& layer, std::string_view function_id) {
    return fmt::format("{} {}", function_id, layer.arn);
}

// VersionSnapshot: 1 state, 2 reason, 3 reason code, 4 note, 5 image, 6 used, 7 connections,
// 8 in restore, 9 revision, 10 made, 11 losses, 12 extensions, 13 rehearses.
std::string EncodeSnapshot(const VersionSnapshot& snapshot) {
    FieldWriter writer;
    writer.Integer(1, static_cast<int64_t>(snapshot.state));
    writer.Text(2, snapshot.reason);
    writer.Text(3, snapshot.reason_code);
    writer.Text(4, snapshot.note);
    writer.Text(5, snapshot.image);
    writer.Integer(6, UnixMs(snapshot.used));
    writer.Integer(7, snapshot.connections);
    writer.Integer(8, snapshot.in_restore ? 1 : 0);
    writer.Text(9, snapshot.revision);
    writer.Integer(10, UnixMs(snapshot.made));
    writer.Integer(11, snapshot.losses);
    writer.Text(12, snapshot.extensions);
    writer.Integer(13, snapshot.rehearses ? 1 : 0);
    return writer.Take();
}

Result<VersionSnapshot> DecodeSnapshot(std::string_view bytes) {
    VersionSnapshot snapshot;
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return snapshot;
        }
        switch (field->number) {
            case 1: {
                HEARTH_TRY(const int64_t state, FieldReader::Integer(*field));
                snapshot.state = static_cast<VersionSnapshot::State>(state);
                break;
            }
            case 2:
                snapshot.reason = field->bytes;
                break;
            case 3:
                snapshot.reason_code = field->bytes;
                break;
            case 4:
                snapshot.note = field->bytes;
                break;
            case 5:
                snapshot.image = field->bytes;
                break;
            case 6: {
                HEARTH_TRY(const int64_t ms, FieldReader::Integer(*field));
                snapshot.used = CloudClock::time_point(std::chrono::milliseconds(ms));
                break;
            }
            case 7: {
                HEARTH_TRY(const int64_t connections, FieldReader::Integer(*field));
                snapshot.connections = static_cast<uint32_t>(connections);
                break;
            }
            case 8: {
                HEARTH_TRY(const int64_t in_restore, FieldReader::Integer(*field));
                snapshot.in_restore = in_restore != 0;
                break;
            }
            case 9:
                snapshot.revision = field->bytes;
                break;
            case 10: {
                HEARTH_TRY(const int64_t ms, FieldReader::Integer(*field));
                snapshot.made = CloudClock::time_point(std::chrono::milliseconds(ms));
                break;
            }
            case 11: {
                HEARTH_TRY(snapshot.losses, FieldReader::Integer(*field));
                break;
            }
            case 12:
                snapshot.extensions = field->bytes;
                break;
            case 13: {
                HEARTH_TRY(const int64_t rehearses, FieldReader::Integer(*field));
                snapshot.rehearses = rehearses != 0;
                break;
            }
            default:
                break;
        }
    }
}

// The component of a key after its first `skip` ones.
Result<std::string> NameOf(std::string_view key, size_t skip) {
    KeyReader reader(key);
    HEARTH_RETURN_IF_ERROR(reader.Skip(skip));
    return reader.String();
}

Result<int64_t> NumberOf(std::string_view key, size_t skip) {
    KeyReader reader(key);
    HEARTH_RETURN_IF_ERROR(reader.Skip(skip));
    return reader.Integer();
}

// account, region, "lambda", kind
constexpr size_t kRootComponents = 4;

// From a transaction or from the store.
template <class Source>
Task<Result<Reserves>> ReadAllReserves(
    Source& source, const AccountId& account, const Region& region) {
    Reserves reserves;
    storage::RangeRequest request = ReservesKey(account, region).Children();
    for (;;) {
        HEARTH_CO_TRY(const auto page, co_await source.Range(request));
        for (const auto& item : page.items) {
            HEARTH_CO_TRY(std::string name, NameOf(item.key, kRootComponents));
            HEARTH_CO_TRY(const int32_t reserve, DecodeReserve(item.value));
            reserves.emplace(std::move(name), reserve);
        }
        if (!page.next) {
            co_return reserves;
        }
        request.begin = *page.next;
    }
}

}  // namespace

// --- transactions

Task<Result<std::optional<FunctionHead>>> FunctionTransaction::FindHead(const FunctionKey& key) {
    HEARTH_CO_TRY(const auto bytes, co_await transaction_.Get(HeadKey(key)));
    if (!bytes) {
        co_return std::optional<FunctionHead>();
    }
    HEARTH_CO_TRY(FunctionHead head, DecodeHead(*bytes));
    co_return std::optional<FunctionHead>(std::move(head));
}

void FunctionTransaction::PutHead(const FunctionKey& key, const FunctionHead& head) {
    transaction_.Put(HeadKey(key), EncodeHead(head));
}

void FunctionTransaction::DeleteHead(const FunctionKey& key) {
    transaction_.Delete(HeadKey(key));
}

Task<Result<std::optional<FunctionRecord>>> FunctionTransaction::FindLatest(
    const FunctionKey& key) {
    HEARTH_CO_TRY(const auto bytes, co_await transaction_.Get(LatestKey(key)));
    if (!bytes) {
        co_return std::optional<FunctionRecord>();
    }
    HEARTH_CO_TRY(
        FunctionRecord record,
        DecodeRecord(
            *bytes, sealing_key_, key.account, key.region, key.name, std::string(kLatest)));
    co_return std::optional<FunctionRecord>(std::move(record));
}

void FunctionTransaction::PutLatest(const FunctionRecord& record) {
    transaction_.Put(
        LatestKey({record.account, record.region, record.name}),
        EncodeRecord(record, sealing_key_));
}

void FunctionTransaction::DeleteLatest(const FunctionKey& key) {
    transaction_.Delete(LatestKey(key));
}

Task<Result<std::optional<FunctionRecord>>> FunctionTransaction::FindVersion(
    const FunctionKey& key, const std::string& function_id, int64_t number) {
    HEARTH_CO_TRY(
        const auto bytes, co_await transaction_.Get(VersionsKey(key, function_id).Add(number)));
    if (!bytes) {
        co_return std::optional<FunctionRecord>();
    }
    HEARTH_CO_TRY(
        FunctionRecord record,
        DecodeRecord(*bytes, sealing_key_, key.account, key.region, key.name, VersionName(number)));
    co_return std::optional<FunctionRecord>(std::move(record));
}

void FunctionTransaction::PutVersion(
    const FunctionKey& key,
    const std::string& function_id,
    int64_t number,
    const FunctionRecord& record) {
    transaction_.Put(VersionsKey(key, function_id).Add(number), EncodeRecord(record, sealing_key_));
}

void FunctionTransaction::DeleteVersion(
    const FunctionKey& key, const std::string& function_id, int64_t number) {
    transaction_.Delete(VersionsKey(key, function_id).Add(number));
    transaction_.Delete(SnapshotKey(key, function_id, number));
}

Task<Result<std::optional<VersionSnapshot>>> FunctionTransaction::FindSnapshot(
    const FunctionKey& key, const std::string& function_id, int64_t number) {
    HEARTH_CO_TRY(
        const auto bytes, co_await transaction_.Get(SnapshotKey(key, function_id, number)));
    if (!bytes) {
        co_return std::optional<VersionSnapshot>();
    }
    HEARTH_CO_TRY(VersionSnapshot snapshot, DecodeSnapshot(*bytes));
    co_return std::optional<VersionSnapshot>(std::move(snapshot));
}

void FunctionTransaction::PutSnapshot(
    const FunctionKey& key,
    const std::string& function_id,
    int64_t number,
    const VersionSnapshot& snapshot) {
    transaction_.Put(SnapshotKey(key, function_id, number), EncodeSnapshot(snapshot));
}

void FunctionTransaction::DeleteSnapshot(
    const FunctionKey& key, const std::string& function_id, int64_t number) {
    transaction_.Delete(SnapshotKey(key, function_id, number));
}

Task<Result<std::vector<FunctionRecord>>> FunctionTransaction::Versions(
    const FunctionKey& key, const std::string& function_id, int64_t first, size_t limit) {
    storage::RangeRequest request =
        VersionsKey(key, function_id).ChildrenBetween(first, std::numeric_limits<int64_t>::max());
    request.limit = limit;
    HEARTH_CO_TRY(const auto page, co_await transaction_.Range(std::move(request)));
    std::vector<FunctionRecord> versions;
    for (const auto& item : page.items) {
        HEARTH_CO_TRY(const int64_t number, NumberOf(item.key, kRootComponents + 2));
        HEARTH_CO_TRY(
            FunctionRecord record,
            DecodeRecord(
                item.value, sealing_key_, key.account, key.region, key.name, VersionName(number)));
        versions.push_back(std::move(record));
    }
    co_return versions;
}

Task<Result<std::optional<AliasRecord>>> FunctionTransaction::FindAlias(
    const FunctionKey& key, const std::string& function_id, std::string_view alias) {
    HEARTH_CO_TRY(
        const auto bytes, co_await transaction_.Get(AliasesKey(key, function_id).Add(alias)));
    if (!bytes) {
        co_return std::optional<AliasRecord>();
    }
    HEARTH_CO_TRY(AliasRecord record, DecodeAlias(*bytes, std::string(alias)));
    co_return std::optional<AliasRecord>(std::move(record));
}

void FunctionTransaction::PutAlias(
    const FunctionKey& key, const std::string& function_id, const AliasRecord& alias) {
    transaction_.Put(AliasesKey(key, function_id).Add(alias.name), EncodeAlias(alias));
}

void FunctionTransaction::DeleteAlias(
    const FunctionKey& key, const std::string& function_id, std::string_view alias) {
    transaction_.Delete(AliasesKey(key, function_id).Add(alias));
}

Task<Result<std::vector<AliasRecord>>> FunctionTransaction::Aliases(
    const FunctionKey& key, const std::string& function_id, std::string_view after, size_t limit) {
    const Key aliases_key = AliasesKey(key, function_id);
    storage::RangeRequest request =
        after.empty() ? aliases_key.Children() : aliases_key.ChildrenAfter(after);
    request.limit = limit;
    HEARTH_CO_TRY(const auto page, co_await transaction_.Range(std::move(request)));
    std::vector<AliasRecord> aliases;
    for (const auto& item : page.items) {
        HEARTH_CO_TRY(std::string name, NameOf(item.key, kRootComponents + 2));
        HEARTH_CO_TRY(AliasRecord alias, DecodeAlias(item.value, std::move(name)));
        aliases.push_back(std::move(alias));
    }
    co_return aliases;
}

Task<Result<std::optional<int32_t>>> FunctionTransaction::FindReserve(const FunctionKey& key) {
    HEARTH_CO_TRY(const auto bytes, co_await transaction_.Get(ReserveKey(key)));
    if (!bytes) {
        co_return std::optional<int32_t>();
    }
    HEARTH_CO_TRY(const int32_t reserve, DecodeReserve(*bytes));
    co_return std::optional<int32_t>(reserve);
}

void FunctionTransaction::PutReserve(const FunctionKey& key, int32_t reserve) {
    transaction_.Put(ReserveKey(key), EncodeReserve(reserve));
}

void FunctionTransaction::DeleteReserve(const FunctionKey& key) {
    transaction_.Delete(ReserveKey(key));
}

Task<Result<Reserves>> FunctionTransaction::ReadReserves(
    const AccountId& account, const Region& region) {
    co_return co_await ReadAllReserves(transaction_, account, region);
}

Task<Result<std::optional<std::string>>> FunctionTransaction::FindPolicy(
    const FunctionKey& key, const std::string& function_id, std::string_view qualifier) {
    HEARTH_CO_TRY(
        const auto bytes,
        co_await transaction_.Get(PoliciesKey(key, function_id).Add(PolicyName(qualifier))));
    if (!bytes) {
        co_return std::optional<std::string>();
    }
    HEARTH_CO_TRY(std::string document, DecodePolicy(*bytes));
    co_return std::optional<std::string>(std::move(document));
}

void FunctionTransaction::PutPolicy(
    const FunctionKey& key,
    const std::string& function_id,
    std::string_view qualifier,
    const std::string& document) {
    transaction_.Put(
        PoliciesKey(key, function_id).Add(PolicyName(qualifier)), EncodePolicy(document));
}

void FunctionTransaction::DeletePolicy(
    const FunctionKey& key, const std::string& function_id, std::string_view qualifier) {
    transaction_.Delete(PoliciesKey(key, function_id).Add(PolicyName(qualifier)));
}

Task<Result<std::optional<CodeRecord>>> FunctionTransaction::FindCode(
    const AccountId& account, const Region& region, std::string_view sha256) {
    HEARTH_CO_TRY(const auto bytes, co_await transaction_.Get(CodeKey(account, region, sha256)));
    if (!bytes) {
        co_return std::optional<CodeRecord>();
    }
    HEARTH_CO_TRY(CodeRecord code, DecodeCode(*bytes));
    co_return std::optional<CodeRecord>(std::move(code));
}

void FunctionTransaction::PutCode(
    const AccountId& account,
    const Region& region,
    std::string_view sha256,
    const CodeRecord& code) {
    transaction_.Put(CodeKey(account, region, sha256), EncodeCode(code));
    transaction_.Put(KnownCodeKey(code.blob), "");
}

void FunctionTransaction::AddCodeReference(
    const FunctionRecord& record, const std::string& function_id, int64_t number) {
    if (!record.code_blob.empty()) {
        AddReference(record.account, record.region, record.code_sha256, function_id, number);
    }
    for (const LayerUse& layer : record.layers) {
        const auto owner = ParseLayerVersionArn(layer.arn, "layers");
        if (owner.ok() && !layer.code_blob.empty()) {
            AddReference(
                owner->account,
                owner->region,
                layer.code_sha256,
                LayerHolder(layer, function_id),
                number);
        }
    }
}

Task<Result<std::string>> FunctionTransaction::DropCodeReference(
    const FunctionRecord& record, const std::string& function_id, int64_t number) {
    if (record.code_blob.empty()) {
        co_return std::string();
    }
    co_return co_await DropReference(
        record.account, record.region, record.code_sha256, record.code_blob, function_id, number);
}

Task<Result<std::string>> FunctionTransaction::DropLayerReference(
    const LayerUse& layer, const std::string& function_id, int64_t number) {
    if (layer.code_blob.empty()) {
        co_return std::string();
    }
    HEARTH_CO_TRY(const LayerReference owner, ParseLayerVersionArn(layer.arn, "layers"));
    const std::string holder = LayerHolder(layer, function_id);
    co_return co_await DropReference(
        owner.account, owner.region, layer.code_sha256, layer.code_blob, holder, number);
}

Task<Result<std::vector<std::string>>> FunctionTransaction::DropReferences(
    const FunctionRecord& record, const std::string& function_id, int64_t number) {
    std::vector<std::string> unused;
    HEARTH_CO_TRY(std::string blob, co_await DropCodeReference(record, function_id, number));
    if (!blob.empty()) {
        unused.push_back(std::move(blob));
    }
    for (const LayerUse& layer : record.layers) {
        HEARTH_CO_TRY(
            std::string layer_blob, co_await DropLayerReference(layer, function_id, number));
        if (!layer_blob.empty()) {
            unused.push_back(std::move(layer_blob));
        }
    }
    co_return unused;
}

void FunctionTransaction::AddReference(
    const AccountId& account,
    const Region& region,
    std::string_view sha256,
    std::string_view holder,
    int64_t number) {
    transaction_.Put(CodeReferencesKey(account, region, sha256).Add(holder).Add(number), "");
}

Task<Result<std::string>> FunctionTransaction::DropReference(
    const AccountId& account,
    const Region& region,
    std::string_view sha256,
    std::string_view blob,
    std::string_view holder,
    int64_t number) {
    const Key references = CodeReferencesKey(account, region, sha256);
    transaction_.Delete(Key(references).Add(holder).Add(number));
    storage::RangeRequest request = references.Children();
    request.limit = 1;
    HEARTH_CO_TRY(const auto page, co_await transaction_.Range(std::move(request)));
    if (!page.items.empty()) {
        co_return std::string();
    }
    // Reading the range makes this transaction conflict with one that adds a reference meanwhile.
    transaction_.Delete(CodeKey(account, region, sha256));
    transaction_.Delete(KnownCodeKey(blob));
    co_return std::string(blob);
}

void FunctionTransaction::PutGarbage(const FunctionKey& key, const std::string& function_id) {
    transaction_.Put(GarbageKey(key, function_id), "");
}

void FunctionTransaction::DeleteGarbage(const FunctionKey& key, const std::string& function_id) {
    transaction_.Delete(GarbageKey(key, function_id));
}

// --- reads outside of transactions

struct FunctionStore::Entry {
    std::string stored;
    std::shared_ptr<const FunctionRecord> record;
    std::shared_ptr<const FunctionVersion> function;
};

// Decoded records by storage key, valid while storage holds the same bytes, which every read
// checks: it saves parsing and decryption, never a read, so it cannot be stale. Emptied when full:
// simple, and a cloud with more hot functions than this pays a few microseconds.
struct FunctionStore::Cache {
    static constexpr size_t kShards = 16;
    static constexpr size_t kEntriesPerShardMax = 128;

    struct Shard {
        std::mutex mutex;
        std::unordered_map<std::string, std::shared_ptr<const Entry>> entries;
    };

    Shard& Of(const std::string& key) { return shards[std::hash<std::string>()(key) % kShards]; }

    std::array<Shard, kShards> shards;
};

FunctionStore::FunctionStore(storage::Kv& kv, codec::SealingKey sealing_key, Random& random)
    : kv_(kv),
      sealing_key_(std::move(sealing_key)),
      random_(random),
      cache_(std::make_unique<Cache>()) {}

FunctionStore::~FunctionStore() = default;

Task<Result<std::shared_ptr<const FunctionStore::Entry>>> FunctionStore::Read(
    std::string storage_key, const FunctionKey& key, std::string version) {
    HEARTH_CO_TRY(auto stored, co_await kv_.Get(storage_key));
    if (!stored) {
        co_return std::shared_ptr<const Entry>();
    }
    Cache::Shard& shard = cache_->Of(storage_key);
    {
        const std::lock_guard lock(shard.mutex);
        const auto it = shard.entries.find(storage_key);
        if (it != shard.entries.end() && it->second->stored == *stored) {
            co_return it->second;
        }
    }
    HEARTH_CO_TRY(
        FunctionRecord record,
        DecodeRecord(*stored, sealing_key_, key.account, key.region, key.name, std::move(version)));
    auto entry = std::make_shared<Entry>();
    entry->stored = *std::move(stored);
    entry->function = MakeFunctionVersion(record);
    entry->record = std::make_shared<const FunctionRecord>(std::move(record));
    {
        const std::lock_guard lock(shard.mutex);
        if (shard.entries.size() >= Cache::kEntriesPerShardMax) {
            shard.entries.clear();
        }
        shard.entries[std::move(storage_key)] = entry;
    }
    co_return entry;
}

Task<Result<std::shared_ptr<const FunctionRecord>>> FunctionStore::FindLatest(
    const FunctionKey& key) {
    HEARTH_CO_TRY(const auto entry, co_await Read(LatestKey(key), key, std::string(kLatest)));
    co_return entry ? entry->record : nullptr;
}

Task<Result<std::shared_ptr<const FunctionRecord>>> FunctionStore::FindVersion(
    const FunctionKey& key, const std::string& function_id, int64_t number) {
    HEARTH_CO_TRY(
        const auto entry,
        co_await Read(VersionsKey(key, function_id).Add(number), key, VersionName(number)));
    co_return entry ? entry->record : nullptr;
}

Task<Result<std::optional<FunctionHead>>> FunctionStore::FindHead(const FunctionKey& key) {
    HEARTH_CO_TRY(const auto bytes, co_await kv_.Get(HeadKey(key)));
    if (!bytes) {
        co_return std::optional<FunctionHead>();
    }
    HEARTH_CO_TRY(FunctionHead head, DecodeHead(*bytes));
    co_return std::optional<FunctionHead>(std::move(head));
}

Task<Result<std::optional<AliasRecord>>> FunctionStore::FindAlias(
    const FunctionKey& key, const std::string& function_id, std::string_view alias) {
    HEARTH_CO_TRY(const auto bytes, co_await kv_.Get(AliasesKey(key, function_id).Add(alias)));
    if (!bytes) {
        co_return std::optional<AliasRecord>();
    }
    HEARTH_CO_TRY(AliasRecord record, DecodeAlias(*bytes, std::string(alias)));
    co_return std::optional<AliasRecord>(std::move(record));
}

Task<Result<std::optional<VersionSnapshot>>> FunctionStore::FindSnapshot(
    const FunctionKey& key, const std::string& function_id, int64_t number) {
    HEARTH_CO_TRY(const auto bytes, co_await kv_.Get(SnapshotKey(key, function_id, number)));
    if (!bytes) {
        co_return std::optional<VersionSnapshot>();
    }
    HEARTH_CO_TRY(VersionSnapshot snapshot, DecodeSnapshot(*bytes));
    co_return std::optional<VersionSnapshot>(std::move(snapshot));
}

Task<Result<std::vector<FunctionStore::FoundSnapshot>>> FunctionStore::ListSnapshots(
    const AccountId& account, const Region& region) {
    std::vector<FoundSnapshot> found;
    storage::RangeRequest request = Root(account, region, "snapshot").Children();
    for (;;) {
        HEARTH_CO_TRY(const auto page, co_await kv_.Range(request));
        for (const auto& item : page.items) {
            KeyReader reader(item.key);
            HEARTH_CO_RETURN_IF_ERROR(reader.Skip(kRootComponents));
            FoundSnapshot one;
            HEARTH_CO_TRY(one.name, reader.String());
            HEARTH_CO_TRY(one.function_id, reader.String());
            HEARTH_CO_TRY(one.number, reader.Integer());
            HEARTH_CO_TRY(one.snapshot, DecodeSnapshot(item.value));
            found.push_back(std::move(one));
        }
        if (!page.next) {
            co_return found;
        }
        request.begin = *page.next;
    }
}

Task<Result<std::optional<int32_t>>> FunctionStore::FindReserve(const FunctionKey& key) {
    HEARTH_CO_TRY(const auto bytes, co_await kv_.Get(ReserveKey(key)));
    if (!bytes) {
        co_return std::optional<int32_t>();
    }
    HEARTH_CO_TRY(const int32_t reserve, DecodeReserve(*bytes));
    co_return std::optional<int32_t>(reserve);
}

Task<Result<Reserves>> FunctionStore::ReadReserves(AccountId account, Region region) {
    co_return co_await ReadAllReserves(kv_, account, region);
}

Task<Result<std::optional<std::string>>> FunctionStore::FindPolicy(
    const FunctionKey& key, std::string_view qualifier) {
    HEARTH_CO_TRY(const auto head, co_await FindHead(key));
    if (!head) {
        co_return std::optional<std::string>();
    }
    HEARTH_CO_TRY(
        const auto bytes, co_await kv_.Get(PoliciesKey(key, head->id).Add(PolicyName(qualifier))));
    if (!bytes) {
        co_return std::optional<std::string>();
    }
    HEARTH_CO_TRY(std::string document, DecodePolicy(*bytes));
    co_return std::optional<std::string>(std::move(document));
}

Task<Result<ResolvedFunction>> FunctionStore::Resolve(const FunctionReference& reference) {
    const FunctionKey key{reference.account, reference.region, reference.name};
    ResolvedFunction resolved;
    resolved.invoked_arn =
        FunctionArn(reference.account, reference.region, reference.name, reference.qualifier);
    std::shared_ptr<const Entry> entry;
    if (reference.qualifier.empty() || reference.qualifier == kLatest) {
        HEARTH_CO_TRY(entry, co_await Read(LatestKey(key), key, std::string(kLatest)));
    } else {
        HEARTH_CO_TRY(const auto head, co_await FindHead(key));
        std::string version = reference.qualifier;
        if (head && !IsVersionNumber(version)) {
            HEARTH_CO_TRY(const auto alias, co_await FindAlias(key, head->id, version));
            version = alias ? alias->function_version : std::string();
            if (alias && !alias->routing.empty()) {
                const auto& [other, weight] = *alias->routing.begin();
                // 53 random bits make a number in [0, 1).
                const double draw = static_cast<double>(random_.Uint64() >> 11) * 0x1p-53;
                version = draw < weight ? other : version;
            }
        }
        if (head && version == kLatest) {
            HEARTH_CO_TRY(entry, co_await Read(LatestKey(key), key, std::string(kLatest)));
        } else if (head && IsVersionNumber(version)) {
            const int64_t number = std::stoll(version);
            HEARTH_CO_TRY(
                entry, co_await Read(VersionsKey(key, head->id).Add(number), key, version));
            resolved.function_id = head->id;
        }
    }
    if (!entry) {
        co_return errors::FunctionNotFound(resolved.invoked_arn);
    }
    resolved.function = entry->function;
    co_return resolved;
}

Task<Result<FunctionStore::Page>> FunctionStore::ListLatest(
    const AccountId& account, const Region& region, std::string_view after, size_t limit) {
    const Key root = Root(account, region, "latest");
    storage::RangeRequest request = after.empty() ? root.Children() : root.ChildrenAfter(after);
    Page result;
    while (result.functions.size() <= limit) {
        // One more than asked for tells whether there is a next page.
        request.limit = limit + 1 - result.functions.size();
        HEARTH_CO_TRY(const auto page, co_await kv_.Range(request));
        for (const auto& item : page.items) {
            HEARTH_CO_TRY(std::string name, NameOf(item.key, kRootComponents));
            HEARTH_CO_TRY(
                FunctionRecord record,
                DecodeRecord(
                    item.value, sealing_key_, account, region, name, std::string(kLatest)));
            result.functions.push_back(std::move(record));
        }
        if (!page.next) {
            break;
        }
        request.begin = *page.next;
    }
    if (result.functions.size() > limit) {
        result.functions.resize(limit);
        result.more = true;
    }
    co_return result;
}

Task<Result<FunctionStore::Page>> FunctionStore::ListVersions(
    const FunctionKey& key, const std::string& function_id, int64_t first, size_t limit) {
    storage::RangeRequest request =
        VersionsKey(key, function_id).ChildrenBetween(first, std::numeric_limits<int64_t>::max());
    Page result;
    while (result.functions.size() <= limit) {
        // One more than asked for tells whether there is a next page.
        request.limit = limit + 1 - result.functions.size();
        HEARTH_CO_TRY(const auto page, co_await kv_.Range(request));
        for (const auto& item : page.items) {
            HEARTH_CO_TRY(const int64_t number, NumberOf(item.key, kRootComponents + 2));
            HEARTH_CO_TRY(
                FunctionRecord record,
                DecodeRecord(
                    item.value,
                    sealing_key_,
                    key.account,
                    key.region,
                    key.name,
                    VersionName(number)));
            result.functions.push_back(std::move(record));
        }
        if (!page.next) {
            break;
        }
        request.begin = *page.next;
    }
    if (result.functions.size() > limit) {
        result.functions.resize(limit);
        result.more = true;
    }
    co_return result;
}

Task<Result<FunctionStore::Usage>> FunctionStore::ReadUsage(
    const AccountId& account, const Region& region) {
    Usage usage;
    storage::RangeRequest heads = Root(account, region, "head").Children();
    for (;;) {
        HEARTH_CO_TRY(const auto page, co_await kv_.Range(heads));
        usage.functions += static_cast<int64_t>(page.items.size());
        if (!page.next) {
            break;
        }
        heads.begin = *page.next;
    }
    storage::RangeRequest codes = Root(account, region, "code").Children();
    for (;;) {
        HEARTH_CO_TRY(const auto page, co_await kv_.Range(codes));
        for (const auto& item : page.items) {
            HEARTH_CO_TRY(const CodeRecord code, DecodeCode(item.value));
            usage.code_bytes += code.size;
        }
        if (!page.next) {
            break;
        }
        codes.begin = *page.next;
    }
    co_return usage;
}

Task<Status> FunctionStore::Transact(Body body) {
    const storage::Kv::Body wrapped = [&](storage::Transaction& transaction) -> Task<Status> {
        FunctionTransaction functions(transaction, sealing_key_);
        co_return co_await body(functions);
    };
    co_return co_await kv_.Transact(wrapped);
}

Task<Result<std::vector<std::string>>> FunctionStore::ClearGarbage(
    FunctionKey key, std::string function_id) {
    // Below the limits of one transaction: a version is at most a few kilobytes and 19 keys, when
    // it is the last user of its code and of five layers.
    constexpr size_t kPage = 25;
    std::vector<std::string> unused;
    for (bool more = true; more;) {
        std::vector<std::string> unused_now;
        const Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
            unused_now.clear();
            HEARTH_CO_TRY(
                const auto versions, co_await transaction.Versions(key, function_id, 0, kPage));
            for (const FunctionRecord& record : versions) {
                const int64_t number = std::stoll(record.version);
                transaction.DeleteVersion(key, function_id, number);
                transaction.DeletePolicy(key, function_id, record.version);
                HEARTH_CO_TRY(
                    const auto blobs,
                    co_await transaction.DropReferences(record, function_id, number));
                unused_now.insert(unused_now.end(), blobs.begin(), blobs.end());
            }
            HEARTH_CO_TRY(
                const auto aliases, co_await transaction.Aliases(key, function_id, {}, kPage));
            for (const AliasRecord& alias : aliases) {
                transaction.DeleteAlias(key, function_id, alias.name);
                transaction.DeletePolicy(key, function_id, alias.name);
            }
            transaction.DeletePolicy(key, function_id, {});
            transaction.DeleteSnapshot(key, function_id, 0);
            FunctionUrlTransaction urls(transaction.raw());
            HEARTH_CO_TRY(
                const auto url_records, co_await urls.List(key, function_id, std::nullopt, kPage));
            for (const FunctionUrlRecord& record : url_records) {
                urls.Delete(key, function_id, record);
            }
            EventInvokeConfigTransaction configs(transaction.raw());
            HEARTH_CO_TRY(
                const auto config_records, co_await configs.List(key, function_id, {}, kPage));
            for (const EventInvokeConfigRecord& record : config_records) {
                configs.Delete(key, function_id, record.qualifier);
            }
            more = versions.size() == kPage || aliases.size() == kPage ||
                   url_records.size() == kPage || config_records.size() == kPage;
            if (!more) {
                transaction.DeleteGarbage(key, function_id);
            }
            co_return Status();
        };
        HEARTH_CO_RETURN_IF_ERROR(co_await Transact(body));
        for (std::string& blob : unused_now) {
            unused.push_back(std::move(blob));
        }
    }
    co_return unused;
}

Task<Result<bool>> FunctionStore::IsKnownCode(std::string_view blob) {
    HEARTH_CO_TRY(const auto known, co_await kv_.Get(KnownCodeKey(blob)));
    co_return known.has_value();
}

Task<Result<std::vector<FunctionStore::Garbage>>> FunctionStore::ListGarbage() {
    std::vector<Garbage> garbage;
    storage::RangeRequest request = GarbageRoot().Children();
    for (;;) {
        HEARTH_CO_TRY(const auto page, co_await kv_.Range(request));
        for (const auto& item : page.items) {
            KeyReader reader(item.key);
            HEARTH_CO_RETURN_IF_ERROR(reader.Skip(1));
            HEARTH_CO_TRY(std::string account, reader.String());
            HEARTH_CO_TRY(std::string region, reader.String());
            HEARTH_CO_TRY(std::string name, reader.String());
            HEARTH_CO_TRY(std::string id, reader.String());
            garbage.push_back(
                {{AccountId(std::move(account)), Region(std::move(region)), std::move(name)},
                 std::move(id)});
        }
        if (!page.next) {
            co_return garbage;
        }
        request.begin = *page.next;
    }
}

std::shared_ptr<const FunctionVersion> MakeFunctionVersion(const FunctionRecord& record) {
    auto function = std::make_shared<FunctionVersion>();
    function->account = record.account;
    function->region = record.region;
    function->name = record.name;
    function->version = record.version;
    function->revision = record.environment_revision;
    function->runtime = record.runtime;
    function->handler = record.handler;
    function->role_arn = record.role;
    function->architecture = record.architecture;
    function->memory_mb = record.memory_mb;
    function->ephemeral_storage_mb = record.ephemeral_storage_mb;
    function->timeout_s = record.timeout_s;
    if (record.environment) {
        function->environment = *record.environment;
    }
    function->code_id = record.hot_reload_directory.empty()
                            ? record.code_blob
                            : HotReload::CodeId(record.hot_reload_directory);
    for (const LayerUse& layer : record.layers) {
        if (!layer.code_blob.empty()) {
            function->layer_code_ids.push_back(layer.code_blob);
        }
    }
    function->snap_start = record.snap_start && record.version != kLatest;
    function->log_group = record.log_group;
    function->log_format = record.log_format;
    function->application_log_level = record.application_log_level.value_or("");
    function->system_log_level = record.system_log_level.value_or("");
    return function;
}

}  // namespace hearth::lambda
