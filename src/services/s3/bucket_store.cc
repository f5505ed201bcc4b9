#include "services/s3/errors.h"
#include "services/s3/s3_keys.h"
#include "services/s3/s3_store.h"

// S3Store: buckets.
namespace hearth::s3 {

using storage::Kv;
using storage::RangePage;
using storage::RangeRequest;
using storage::Transaction;

Task<Result<BucketHandle>> S3Store::FindBucket(std::string_view name) {
    if (BucketHandle cached = cache_.Find(name)) {
        co_return cached;
    }
    const uint64_t epoch = cache_.epoch();
    const std::string key = keys::Bucket(name);
    auto state = std::make_shared<BucketState>();
    // One moment: the record and its settings are read in one transaction, which writes nothing.
    const Kv::Body body = [&](Transaction& transaction) -> Task<Status> {
        *state = BucketState();
        HEARTH_CO_TRY(const auto bytes, co_await transaction.Get(key));
        if (!bytes) {
            co_return errors::NoSuchBucket(name);
        }
        HEARTH_CO_TRY(state->record, BucketRecord::Decode(*bytes));
        const size_t head = keys::Table(state->record, "c").size();
        std::optional<RangeRequest> request = keys::All(state->record, "c");
        while (request) {
            const RangeRequest asked = *request;
            HEARTH_CO_TRY(RangePage page, co_await transaction.Range(asked));
            for (storage::KeyValue& item : page.items) {
                state->settings.emplace(item.key.substr(head), std::move(item.value));
            }
            if (page.next) {
                request->begin = *std::move(page.next);
            } else {
                request.reset();
            }
        }
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await kv_.Transact(body));
    HEARTH_CO_TRY(state->compiled, BucketSettings::Compile(state->settings));
    BucketHandle handle = std::move(state);
    cache_.Insert(epoch, handle);
    co_return handle;
}

Task<Result<BucketRecord>> S3Store::ReadBucket(
    Transaction& transaction, const BucketRecord& known) {
    HEARTH_CO_TRY(const auto bytes, co_await transaction.Get(keys::Bucket(known.name)));
    if (!bytes) {
        co_return errors::NoSuchBucket(known.name);
    }
    HEARTH_CO_TRY(BucketRecord record, BucketRecord::Decode(*bytes));
    if (record.id != known.id) {
        co_return errors::NoSuchBucket(known.name);
    }
    co_return record;
}

Task<Status> S3Store::CreateBucket(
    const BucketRecord& bucket, const std::map<std::string, std::string>& settings) {
    const BucketCache::Change change(cache_, bucket.name);
    const std::string key = keys::Bucket(bucket.name);
    const Kv::Body body = [&](Transaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(const auto bytes, co_await transaction.Get(key));
        if (bytes) {
            HEARTH_CO_TRY(const BucketRecord taken, BucketRecord::Decode(*bytes));
            if (taken.account == bucket.account) {
                co_return errors::BucketAlreadyOwnedByYou(bucket.name);
            }
            co_return errors::BucketAlreadyExists(bucket.name);
        }
        transaction.Put(key, bucket.Encode());
        transaction.Put(keys::BucketsOf(bucket.account).Add(bucket.name), bucket.Encode());
        for (const auto& [kind, value] : settings) {
            transaction.Put(keys::Setting(bucket, kind), value);
        }
        co_return Status();
    };
    co_return co_await kv_.Transact(body);
}

Task<Status> S3Store::ChangeBucket(const BucketRecord& known, Change change) {
    const BucketCache::Change while_changing(cache_, known.name);
    const std::string key = keys::Bucket(known.name);
    const Kv::Body body = [&](Transaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(BucketRecord record, co_await ReadBucket(transaction, known));
        HEARTH_CO_RETURN_IF_ERROR(co_await change(transaction, record));
        transaction.Put(key, record.Encode());
        co_return Status();
    };
    co_return co_await kv_.Transact(body);
}

Task<Status> S3Store::DeleteBucket(const BucketRecord& known) {
    const BucketCache::Change change(cache_, known.name);
    const Kv::Body body = [&](Transaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(const BucketRecord bucket, co_await ReadBucket(transaction, known));
        for (const std::string_view table : {"o", "v"}) {
            RangeRequest request = keys::All(bucket, table);
            request.limit = 1;
            HEARTH_CO_TRY(const RangePage page, co_await transaction.Range(std::move(request)));
            if (!page.items.empty()) {
                co_return bucket.versioning == Versioning::kNever
                    ? errors::BucketNotEmpty(bucket.name)
                    : errors::BucketNotEmptyVersions(bucket.name);
            }
        }
        std::optional<RangeRequest> settings = keys::All(bucket, "c");
        while (settings) {
            const RangeRequest asked = *settings;
            HEARTH_CO_TRY(RangePage page, co_await transaction.Range(asked));
            for (const storage::KeyValue& item : page.items) {
                transaction.Delete(item.key);
            }
            if (page.next) {
                settings->begin = *std::move(page.next);
            } else {
                settings.reset();
            }
        }
        transaction.Delete(keys::Bucket(bucket.name));
        transaction.Delete(keys::BucketsOf(bucket.account).Add(bucket.name));
        part_removal_.DropAll(transaction, bucket);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await kv_.Transact(body));
    co_await part_removal_.RemoveAll(known);
    co_return Status();
}

Task<Result<std::vector<BucketRecord>>> S3Store::Buckets(
    const AccountId& account, std::string prefix, std::string after, size_t limit) {
    const storage::keys::Key all = keys::BucketsOf(account);
    RangeRequest request = all.ChildrenWithPrefix(prefix);
    if (!after.empty()) {
        request.begin = std::max(request.begin, all.ChildrenAfter(after).begin);
    }
    std::vector<BucketRecord> buckets;
    while (buckets.size() < limit && request.begin < request.end) {
        request.limit = std::min(limit - buckets.size(), storage::kRangePageDefault);
        const RangeRequest asked = request;
        HEARTH_CO_TRY(RangePage page, co_await kv_.Range(asked));
        for (const storage::KeyValue& item : page.items) {
            HEARTH_CO_TRY(BucketRecord bucket, BucketRecord::Decode(item.value));
            buckets.push_back(std::move(bucket));
        }
        if (!page.next) {
            break;
        }
        request.begin = *std::move(page.next);
    }
    co_return buckets;
}

}  // namespace hearth::s3
