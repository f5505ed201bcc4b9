#include "services/lambda/mapping_store.h"

#include "services/lambda/errors.h"
#include "storage/keys/key.h"

#include <fmt/format.h>

#include <utility>

namespace hearth::lambda {
namespace {

using storage::keys::Key;
using storage::keys::KeyReader;

// account, region, "lambda", "mapping"
constexpr size_t kRootComponents = 4;

Key Root(const AccountId& account, const Region& region) {
    return Key(account, region).Add("lambda").Add("mapping");
}

Key RecordKey(const AccountId& account, const Region& region, std::string_view id) {
    return Root(account, region).Add(id);
}

// Holds the id.
Key PairKey(const MappingRecord& record) {
    return Key(record.account, record.region)
        .Add("lambda")
        .Add("mapping-of")
        .Add(record.source_arn)
        .Add(record.FunctionArn());
}

Key AllMappings() {
    return Key::AboveAccounts().Add("lambda-mapping");
}

Key ListedKey(const MappingRecord& record) {
    return AllMappings().Add(record.account.text()).Add(record.region.text()).Add(record.id);
}

Error NoSuchMapping() {
    return errors::ResourceNotFound("The resource you requested does not exist.");
}

Task<Status> TakePair(storage::Transaction& transaction, const MappingRecord& record) {
    HEARTH_CO_TRY(const auto holder, co_await transaction.Get(PairKey(record)));
    if (holder && *holder != record.id) {
        co_return errors::ResourceConflict(fmt::format(
            "An event source mapping with SQS arn (\" {} \") and function (\" {} \") already "
            "exists. Please update or delete the existing mapping with UUID {}",
            record.source_arn,
            record.qualifier.empty() ? record.function_name
                                     : record.function_name + ":" + record.qualifier,
            *holder));
    }
    transaction.Put(PairKey(record), record.id);
    co_return Status();
}

Task<Result<MappingRecord>> Read(
    storage::Transaction& transaction,
    const AccountId& account,
    const Region& region,
    const std::string& id) {
    HEARTH_CO_TRY(const auto bytes, co_await transaction.Get(RecordKey(account, region, id)));
    if (!bytes) {
        co_return NoSuchMapping();
    }
    co_return DecodeMapping(*bytes, account, region, id);
}

}  // namespace

Task<Result<std::optional<MappingRecord>>> MappingStore::Find(
    const AccountId& account, const Region& region, std::string_view id) {
    HEARTH_CO_TRY(const auto bytes, co_await kv_.Get(RecordKey(account, region, id)));
    if (!bytes) {
        co_return std::optional<MappingRecord>();
    }
    HEARTH_CO_TRY(MappingRecord record, DecodeMapping(*bytes, account, region, std::string(id)));
    co_return std::optional<MappingRecord>(std::move(record));
}

Task<Status> MappingStore::Create(MappingRecord record) {
    const storage::Kv::Body body = [&](storage::Transaction& transaction) -> Task<Status> {
        HEARTH_CO_RETURN_IF_ERROR(co_await TakePair(transaction, record));
        transaction.Put(RecordKey(record.account, record.region, record.id), EncodeMapping(record));
        transaction.Put(ListedKey(record), std::string());
        co_return Status();
    };
    co_return co_await kv_.Transact(body);
}

Task<Result<MappingRecord>> MappingStore::Update(
    AccountId account, Region region, std::string id, const Change& change) {
    std::optional<MappingRecord> changed;
    const storage::Kv::Body body = [&](storage::Transaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(const MappingRecord before, co_await Read(transaction, account, region, id));
        MappingRecord record = before;
        HEARTH_CO_RETURN_IF_ERROR(change(record));
        if (PairKey(before) != PairKey(record)) {
            HEARTH_CO_RETURN_IF_ERROR(co_await TakePair(transaction, record));
            transaction.Delete(PairKey(before));
        }
        transaction.Put(RecordKey(account, region, id), EncodeMapping(record));
        changed = std::move(record);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await kv_.Transact(body));
    co_return *std::move(changed);
}

Task<Result<MappingRecord>> MappingStore::Delete(AccountId account, Region region, std::string id) {
    std::optional<MappingRecord> deleted;
    const storage::Kv::Body body = [&](storage::Transaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(MappingRecord record, co_await Read(transaction, account, region, id));
        transaction.Delete(RecordKey(account, region, id));
        transaction.Delete(PairKey(record));
        transaction.Delete(ListedKey(record));
        deleted = std::move(record);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await kv_.Transact(body));
    co_return *std::move(deleted);
}

Task<Result<MappingStore::Page>> MappingStore::List(
    const AccountId& account, const Region& region, std::string_view after, size_t limit) {
    Page page;
    storage::RangeRequest request = after.empty() ? Root(account, region).Children()
                                                  : Root(account, region).ChildrenAfter(after);
    for (;;) {
        request.limit = limit + 1 - page.mappings.size();
        HEARTH_CO_TRY(const storage::RangePage range, co_await kv_.Range(request));
        for (const storage::KeyValue& item : range.items) {
            if (page.mappings.size() == limit) {
                page.more = true;
                co_return page;
            }
            KeyReader reader(item.key);
            HEARTH_CO_RETURN_IF_ERROR(reader.Skip(kRootComponents));
            HEARTH_CO_TRY(std::string id, reader.String());
            HEARTH_CO_TRY(
                MappingRecord record, DecodeMapping(item.value, account, region, std::move(id)));
            page.mappings.push_back(std::move(record));
        }
        if (!range.next) {
            co_return page;
        }
        request.begin = *range.next;
    }
}

Task<Status> MappingStore::ForEach(const std::function<void(MappingRecord)>& visit) {
    storage::RangeRequest request = AllMappings().Children();
    for (;;) {
        HEARTH_CO_TRY(const storage::RangePage range, co_await kv_.Range(request));
        for (const storage::KeyValue& item : range.items) {
            KeyReader reader(item.key);
            HEARTH_CO_RETURN_IF_ERROR(reader.Skip(1));
            HEARTH_CO_TRY(std::string account, reader.String());
            HEARTH_CO_TRY(std::string region, reader.String());
            HEARTH_CO_TRY(std::string id, reader.String());
            HEARTH_CO_TRY(
                auto record,
                co_await Find(AccountId(std::move(account)), Region(std::move(region)), id));
            if (record) {
                visit(*std::move(record));
            }
        }
        if (!range.next) {
            co_return Status();
        }
        request.begin = *range.next;
    }
}

}  // namespace hearth::lambda
