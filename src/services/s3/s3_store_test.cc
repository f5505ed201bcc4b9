#include "services/s3/s3_store.h"

#include "rt/loops.h"
#include "services/s3/counted_bodies.h"
#include "services/s3/errors.h"
#include "services/s3/limits.h"
#include "services/s3/s3_keys.h"
#include "storage/memory/memory_kv.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace hearth::s3 {
namespace {

class S3StoreTest : public ::testing::Test {
  protected:
    S3StoreTest() {
        bucket_.name = "bucket";
        bucket_.id = 7;
        bucket_.account = AccountId("000000000000");
        bucket_.region = Region("us-east-1");
        EXPECT_TRUE(rt::RunTask(store_.CreateBucket(bucket_, {})).ok());
    }

    void Set(Versioning versioning) {
        const S3Store::Change change =
            [versioning](storage::Transaction&, BucketRecord& record) -> Task<Status> {
            record.versioning = versioning;
            co_return Status();
        };
        ASSERT_TRUE(rt::RunTask(store_.ChangeBucket(bucket_, change)).ok());
    }

    ObjectRecord Put(const std::string& key, uint64_t body_id) {
        ObjectRecord record;
        record.key = key;
        record.etag = std::to_string(body_id);
        record.modified = WallClock::time_point(std::chrono::milliseconds(1000));
        record.unique = store_.Unique();
        storage::StoredBody body;
        body.id = body_id;
        record.body = body.Encode();
        S3Store::Written written;
        const storage::Kv::Body transact = [&](storage::Transaction& transaction) -> Task<Status> {
            HEARTH_CO_TRY(const auto bucket, co_await store_.ReadBucket(transaction, bucket_));
            HEARTH_CO_TRY(
                written, co_await store_.Put(transaction, bucket, record, nullptr, nullptr));
            co_return Status();
        };
        Finish(transact, written.displaced);
        return written.record;
    }

    ObjectRecord PutSmall(const std::string& key, const std::string& sealed) {
        ObjectRecord record;
        record.key = key;
        record.modified = WallClock::time_point(std::chrono::milliseconds(1000));
        record.unique = store_.Unique();
        record.body = storage::StoredBody().Encode();
        record.body_inline = true;
        // Of a source that was copied, say.
        record.inline_bytes = "another body's";
        S3Store::Written written;
        const storage::Kv::Body transact = [&](storage::Transaction& transaction) -> Task<Status> {
            HEARTH_CO_TRY(const auto bucket, co_await store_.ReadBucket(transaction, bucket_));
            HEARTH_CO_TRY(
                written, co_await store_.Put(transaction, bucket, record, &sealed, nullptr));
            co_return Status();
        };
        Finish(transact, written.displaced);
        return written.record;
    }

    // Of the current version.
    std::string SmallBody(const std::string& key) {
        const BucketRecord bucket = Now();
        const auto found = rt::RunTask(store_.FindCurrent(bucket, key));
        EXPECT_TRUE(found.ok() && *found);
        const auto bytes = rt::RunTask(store_.InlineBody(bucket, (*found)->record));
        EXPECT_TRUE(bytes.ok());
        return *bytes;
    }

    ObjectRecord Delete(const std::string& key) {
        ObjectRecord marker;
        marker.key = key;
        marker.modified = WallClock::time_point(std::chrono::milliseconds(1000));
        marker.unique = store_.Unique();
        S3Store::Written written;
        const storage::Kv::Body transact = [&](storage::Transaction& transaction) -> Task<Status> {
            HEARTH_CO_TRY(const auto bucket, co_await store_.ReadBucket(transaction, bucket_));
            HEARTH_CO_TRY(written, co_await store_.Delete(transaction, bucket, marker, nullptr));
            co_return Status();
        };
        Finish(transact, written.displaced);
        return written.record;
    }

    void DeleteVersion(const std::string& key, const std::string& version_id) {
        std::optional<S3Store::Written> written;
        std::vector<ObjectRecord> displaced;
        const storage::Kv::Body transact = [&](storage::Transaction& transaction) -> Task<Status> {
            HEARTH_CO_TRY(const auto bucket, co_await store_.ReadBucket(transaction, bucket_));
            HEARTH_CO_TRY(
                written,
                co_await store_.DeleteVersion(transaction, bucket, key, version_id, nullptr));
            displaced = written ? written->displaced : std::vector<ObjectRecord>();
            co_return Status();
        };
        Finish(transact, displaced);
    }

    BucketRecord Now() {
        const auto bucket = rt::RunTask(store_.FindBucket(bucket_.name));
        EXPECT_TRUE(bucket.ok());
        return (*bucket)->record;
    }

    // The current version's entity tag; "marker", or "none".
    std::string Current(const std::string& key) {
        const BucketRecord bucket = Now();
        const auto found = rt::RunTask(store_.FindCurrent(bucket, key));
        EXPECT_TRUE(found.ok());
        if (!*found) {
            return "none";
        }
        return (*found)->record.delete_marker ? "marker" : (*found)->record.etag;
    }

    std::string Version(const std::string& key, const std::string& id) {
        const BucketRecord bucket = Now();
        const auto found = rt::RunTask(store_.FindVersion(bucket, key, id));
        EXPECT_TRUE(found.ok());
        if (!*found) {
            return "none";
        }
        return (*found)->record.delete_marker ? "marker" : (*found)->record.etag;
    }

    size_t KeysIn(std::string_view table) {
        const auto page = rt::RunTask(kv_->Range(keys::All(bucket_, table)));
        EXPECT_TRUE(page.ok());
        return page->items.size();
    }

    void Finish(const storage::Kv::Body& transact, std::vector<ObjectRecord>& displaced) {
        const Status status = rt::RunTask(kv_->Transact(transact));
        ASSERT_TRUE(status.ok()) << status.error().message();
        rt::RunTask(store_.Release(bucket_, displaced));
    }

    std::unique_ptr<storage::Kv> kv_ = storage::MakeMemoryKv({.seed = 1, .conflict_per_mille = 50});
    std::shared_ptr<Random> random_ = Random::Seeded(1);
    CountedBodies bodies_;
    PartRemoval part_removal_{*kv_, bodies_};
    S3Store store_{*kv_, *random_, bodies_, part_removal_};
    BucketRecord bucket_;
};

TEST_F(S3StoreTest, OverwritingGivesTheOldBodyUp) {
    Put("k", 1);
    Put("k", 2);
    EXPECT_EQ(Current("k"), "2");
    EXPECT_EQ(bodies_.dropped, std::set<uint64_t>{1});
    Delete("k");
    EXPECT_EQ(Current("k"), "none");
    EXPECT_EQ(bodies_.dropped, (std::set<uint64_t>{1, 2}));
    EXPECT_EQ(KeysIn("o") + KeysIn("v") + KeysIn("n"), 0U);
}

TEST_F(S3StoreTest, FewBytesStandInTheRecordAndMoreBesideIt) {
    const std::string few(kBytesInRecordMax, 'f');
    const std::string more(kBytesInRecordMax + 1, 'm');
    PutSmall("k", few);
    EXPECT_EQ(SmallBody("k"), few);
    EXPECT_EQ(KeysIn("i"), 0u);
    PutSmall("k", more);
    EXPECT_EQ(SmallBody("k"), more);
    EXPECT_EQ(KeysIn("i"), 1u);
    PutSmall("k", "");
    EXPECT_EQ(KeysIn("i"), 0u);
    Set(Versioning::kEnabled);
    const ObjectRecord old_more = PutSmall("k", more);
    const ObjectRecord old_few = PutSmall("k", few);
    const ObjectRecord now = PutSmall("k", "now");
    EXPECT_EQ(SmallBody("k"), "now");
    EXPECT_EQ(KeysIn("i"), 1u);
    // Versions that become current again bring their bytes along.
    const ObjectRecord marker = Delete("k");
    DeleteVersion("k", marker.version_id);
    EXPECT_EQ(SmallBody("k"), "now");
    DeleteVersion("k", old_more.version_id);
    EXPECT_EQ(KeysIn("i"), 0u);
    DeleteVersion("k", now.version_id);
    EXPECT_EQ(SmallBody("k"), few);
    DeleteVersion("k", old_few.version_id);
    EXPECT_EQ(Current("k"), "");
}

TEST_F(S3StoreTest, ClocksThatStandStillKeepTheOrderOfVersions) {
    Set(Versioning::kEnabled);
    for (uint64_t id = 1; id <= 5; ++id) {
        Put("k", id);
    }
    EXPECT_EQ(Current("k"), "5");
    EXPECT_EQ(KeysIn("v"), 4U);
}

TEST_F(S3StoreTest, BucketMadeAgainHasAnotherId) {
    ASSERT_TRUE(rt::RunTask(store_.DeleteBucket(bucket_)).ok());
    BucketRecord again = bucket_;
    again.id = 8;
    ASSERT_TRUE(rt::RunTask(store_.CreateBucket(again, {})).ok());
    const storage::Kv::Body read = [&](storage::Transaction& transaction) -> Task<Status> {
        HEARTH_CO_RETURN_IF_ERROR(co_await store_.ReadBucket(transaction, bucket_));
        co_return Status();
    };
    EXPECT_EQ(rt::RunTask(kv_->Transact(read)).error().code(), "NoSuchBucket");
}

TEST_F(S3StoreTest, KeysSortAsBytesAndNeverMeet) {
    for (const std::string key : {"a", "a\x01", "b", "ab", "a/", "\xf4\x8f\xbf\xbf"}) {
        Put(key, static_cast<uint64_t>(key.size()));
    }
    const auto page = rt::RunTask(kv_->Range(keys::All(bucket_, "o")));
    ASSERT_TRUE(page.ok());
    std::vector<std::string> found;
    for (const storage::KeyValue& item : page->items) {
        const auto parsed = keys::ParseCurrent(bucket_, item.key);
        ASSERT_TRUE(parsed.ok());
        found.push_back(parsed->key);
    }
    EXPECT_EQ(found.size(), 6U);
    EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
    EXPECT_EQ(keys::Version(bucket_, std::string(1024, 'k'), 1).size() < 2048, true);
}

// Random writes, deletions and changes of versioning against a list of versions kept by hand.
TEST_F(S3StoreTest, AgreesWithAModel) {
    struct ModelVersion {
        std::string id;
        std::string shown;
    };

    // Newest first.
    std::map<std::string, std::vector<ModelVersion>> model;
    Versioning versioning = Versioning::kNever;
    std::set<uint64_t> live;
    uint64_t next_body = 1;
    const uint64_t seed = 20'261'121;
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const auto forget = [&](std::vector<ModelVersion>& versions, const std::string& id) {
        const auto it = std::find_if(versions.begin(), versions.end(), [&id](const auto& version) {
            return version.id == id;
        });
        if (it != versions.end()) {
            if (it->shown != "marker") {
                live.erase(std::stoull(it->shown));
            }
            versions.erase(it);
        }
    };
    for (int step = 0; step < 600; ++step) {
        const std::string key(1, static_cast<char>('a' + random() % 3));
        auto& versions = model[key];
        switch (random() % 8) {
            case 0:
            case 1:
            case 2: {
                const uint64_t body = next_body++;
                const ObjectRecord record = Put(key, body);
                if (record.version_id == kNullVersionId) {
                    forget(versions, "null");
                }
                live.insert(body);
                versions.insert(versions.begin(), {record.version_id, std::to_string(body)});
                break;
            }
            case 3:
            case 4: {
                const ObjectRecord marker = Delete(key);
                if (versioning == Versioning::kNever) {
                    forget(versions, "null");
                    break;
                }
                if (marker.version_id == kNullVersionId) {
                    forget(versions, "null");
                }
                versions.insert(versions.begin(), {marker.version_id, "marker"});
                break;
            }
            case 5:
            case 6: {
                if (versions.empty()) {
                    break;
                }
                const std::string id = versions[random() % versions.size()].id;
                DeleteVersion(key, id);
                forget(versions, id);
                break;
            }
            default:
                if (step > 100) {
                    versioning = random() % 2 == 0 ? Versioning::kEnabled : Versioning::kSuspended;
                    Set(versioning);
                }
                break;
        }
        const std::string expected = versions.empty() ? "none" : versions.front().shown;
        ASSERT_EQ(Current(key), expected) << "step " << step;
        for (const ModelVersion& version : versions) {
            ASSERT_EQ(Version(key, version.id), version.shown) << "step " << step;
        }
    }
    for (uint64_t body = 1; body < next_body; ++body) {
        EXPECT_NE(live.contains(body), bodies_.dropped.contains(body)) << body;
    }
    size_t versions_kept = 0;
    for (const auto& [key, versions] : model) {
        versions_kept += versions.size();
    }
    EXPECT_EQ(KeysIn("o") + KeysIn("v"), versions_kept);
}

}  // namespace
}  // namespace hearth::s3
