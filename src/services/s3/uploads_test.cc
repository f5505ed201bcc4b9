#include "rt/loops.h"
#include "services/s3/counted_bodies.h"
#include "services/s3/list_ranges.h"
#include "services/s3/part_removal.h"
#include "services/s3/s3_keys.h"
#include "services/s3/upload_store.h"
#include "storage/memory/memory_kv.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <set>
#include <tuple>

// Uploads, parts and versions as they lie on the store.
namespace hearth::s3 {
namespace {

class UploadsTest : public ::testing::Test {
  protected:
    UploadsTest() {
        bucket_.name = "bucket";
        bucket_.id = 7;
        bucket_.account = AccountId("000000000000");
        bucket_.region = Region("us-east-1");
    }

    void Write(const std::function<void(storage::Transaction&)>& write) {
        const storage::Kv::Body body = [&](storage::Transaction& transaction) -> Task<Status> {
            write(transaction);
            co_return Status();
        };
        ASSERT_TRUE(rt::RunTask(kv_->Transact(body)).ok());
    }

    UploadRecord Begin(const std::string& key, WallClock::time_point when) {
        UploadRecord upload;
        upload.key = key;
        upload.id = uploads_.NewId(when);
        upload.initiated = when;
        upload.parts_id = UploadStore::PartsIdOf(upload.id);
        upload.object.content_type = "text/plain";
        Write([&](storage::Transaction& transaction) {
            UploadStore::Put(transaction, bucket_, upload);
        });
        return upload;
    }

    void PutParts(const std::string& parts_id, int32_t count) {
        for (int32_t first = 1; first <= count; first += 400) {
            Write([&](storage::Transaction& transaction) {
                for (int32_t number = first; number < std::min(first + 400, count + 1); ++number) {
                    PartRecord part;
                    part.number = number;
                    part.size = 5;
                    part.unique = parts_id + std::to_string(number);
                    storage::StoredBody body;
                    body.id = ++bodies_made_;
                    if (number % 3 == 0) {
                        part.body_inline = true;
                        transaction.Put(keys::Inline(bucket_, part.unique), "bytes");
                    }
                    part.body = body.Encode();
                    transaction.Put(keys::Part(bucket_, parts_id, number), part.Encode());
                }
            });
        }
    }

    // How many keys the store has in all.
    size_t Keys() {
        storage::RangeRequest all;
        all.end = std::string(1, static_cast<char>(0xff));
        all.limit = 100'000;
        size_t keys = 0;
        for (;;) {
            const auto page = rt::RunTask(kv_->Range(all));
            EXPECT_TRUE(page.ok());
            keys += page->items.size();
            if (!page->next) {
                return keys;
            }
            all.begin = *page->next;
        }
    }

    std::unique_ptr<storage::Kv> kv_ = storage::MakeMemoryKv();
    std::shared_ptr<Random> random_ = Random::System();
    CountedBodies bodies_;
    UploadStore uploads_{*kv_, *random_};
    BucketRecord bucket_;
    uint64_t bodies_made_ = 0;
};

TEST_F(UploadsTest, RecordComesBack) {
    const WallClock::time_point now(std::chrono::milliseconds(1'700'000'000'123));
    UploadRecord upload = Begin("a/key", now);
    upload.initiator = "arn:aws:iam::000000000000:root";
    upload.checksum_asked = true;
    upload.object.checksum_algorithm = "SHA256";
    upload.object.checksum_type = "COMPOSITE";
    const auto read = UploadRecord::Decode(upload.key, upload.id, upload.Encode());
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->initiated, now);
    EXPECT_EQ(read->initiator, upload.initiator);
    EXPECT_EQ(read->parts_id, upload.parts_id);
    EXPECT_TRUE(read->checksum_asked);
    EXPECT_EQ(read->object.checksum_algorithm, "SHA256");
    EXPECT_EQ(read->object.content_type, "text/plain");
    const auto found = rt::RunTask(uploads_.Find(bucket_, "a/key", upload.id));
    ASSERT_TRUE(found.ok() && *found);
    EXPECT_EQ((*found)->parts_id, upload.parts_id);
    for (const char* other : {"", "x", "../../../"}) {
        EXPECT_FALSE(*rt::RunTask(uploads_.Find(bucket_, "a/key", other)));
    }
    EXPECT_FALSE(*rt::RunTask(uploads_.Find(bucket_, "a", upload.id)));
}

TEST_F(UploadsTest, UploadsOfAKeyAreInTheOrderOfTheirBeginning) {
    const WallClock::time_point now(std::chrono::seconds(1'700'000'000));
    const auto third = Begin("k", now + std::chrono::hours(2));
    const auto first = Begin("k", now);
    const auto second = Begin("k", now + std::chrono::milliseconds(1));
    const auto before = Begin("j", now + std::chrono::hours(9));
    const auto entries = uploads_.Entries(bucket_);
    const auto listing = rt::RunTask(List(*entries, {}));
    ASSERT_TRUE(listing.ok());
    std::vector<std::string> ids;
    for (const ListEntry& entry : listing->entries) {
        ids.push_back(entry.within);
    }
    EXPECT_EQ(ids, (std::vector{before.id, first.id, second.id, third.id}));
}

TEST_F(UploadsTest, PartsGoWithTheirBodiesAndTheNote) {
    // As many as an upload can have.
    PutParts("parts", 10'000);
    PutParts("others", 5);
    const size_t others = 5 + 5 / 3;
    PartRemoval removal(*kv_, bodies_);
    Write([&](storage::Transaction& transaction) { removal.Drop(transaction, bucket_, "parts"); });
    rt::RunTask(removal.Remove(bucket_, "parts"));
    EXPECT_EQ(Keys(), others);
    EXPECT_EQ(bodies_.dropped.size(), 10'000u - 3'333u);
    // Once more does nothing.
    rt::RunTask(removal.Remove(bucket_, "parts"));
    EXPECT_EQ(Keys(), others);
}

TEST_F(UploadsTest, AStartGoesOnWithWhatACrashLeft) {
    PutParts("parts", 300);
    {
        PartRemoval removal(*kv_, bodies_);
        Write([&](storage::Transaction& transaction) {
            removal.Drop(transaction, bucket_, "parts");
        });
    }
    EXPECT_GT(Keys(), 300u);
    PartRemoval after(*kv_, bodies_);
    const auto start_and_stop = [&]() -> Task<void> {
        EXPECT_TRUE((co_await after.Start()).ok());
        // Waits for what the background does; it may be cut short.
        co_await after.Stop();
    };
    for (int starts = 0; Keys() > 0 && starts < 1'000; ++starts) {
        PartRemoval again(*kv_, bodies_);
        const auto once = [&]() -> Task<void> {
            EXPECT_TRUE((co_await again.Start()).ok());
            co_await again.Stop();
        };
        rt::RunTask(once());
    }
    rt::RunTask(start_and_stop());
    EXPECT_EQ(Keys(), 0u);
    EXPECT_EQ(bodies_.dropped.size(), 200u);
}

TEST_F(UploadsTest, ABucketGoesWithItsUploads) {
    const WallClock::time_point now(std::chrono::seconds(1'700'000'000));
    for (int i = 0; i < 300; ++i) {
        Begin("key" + std::to_string(i), now);
    }
    PutParts("parts", 250);
    Write([&](storage::Transaction& transaction) {
        UploadStore::PutCompleted(transaction, bucket_, uploads_.NewId(now), {});
    });
    BucketRecord other = bucket_;
    other.id = 8;
    Write([&](storage::Transaction& transaction) {
        transaction.Put(keys::Part(other, "parts", 1), PartRecord().Encode());
    });
    PartRemoval removal(*kv_, bodies_);
    Write([&](storage::Transaction& transaction) { removal.DropAll(transaction, bucket_); });
    rt::RunTask(removal.RemoveAll(bucket_));
    EXPECT_EQ(Keys(), 1u) << "what is another bucket's stays";
}

TEST_F(UploadsTest, CompletedUploadsAreForgottenAfterADay) {
    const WallClock::time_point now(std::chrono::seconds(1'700'000'000));
    const std::string old_id = uploads_.NewId(now - std::chrono::hours(25));
    const std::string new_id = uploads_.NewId(now - std::chrono::hours(23));
    Write([&](storage::Transaction& transaction) {
        UploadStore::PutCompleted(transaction, bucket_, old_id, {.key = "k", .etag = "old"});
        UploadStore::PutCompleted(transaction, bucket_, new_id, {.key = "k", .etag = "new"});
    });
    ASSERT_TRUE(rt::RunTask(uploads_.ForgetCompleted(bucket_, now)).ok());
    EXPECT_FALSE(*rt::RunTask(uploads_.FindCompleted(bucket_, old_id)));
    const auto kept = rt::RunTask(uploads_.FindCompleted(bucket_, new_id));
    ASSERT_TRUE(kept.ok() && *kept);
    EXPECT_EQ((*kept)->etag, "new");
}

// Current versions and older ones lie apart and are listed as one.
TEST_F(UploadsTest, VersionsAreMerged) {
    const uint32_t seed = std::random_device()();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    std::vector<std::tuple<std::string, int64_t>> expected;
    for (int i = 0; i < 60; ++i) {
        const std::string key = "k" + std::to_string(i / 3) + std::array{"", "/x", "/y"}[i % 3];
        const int64_t count = static_cast<int64_t>(random() % 5);
        std::set<int64_t> sequences;
        for (int64_t n = 0; n < count; ++n) {
            sequences.insert(static_cast<int64_t>(random() % 1'000));
        }
        const bool with_current = random() % 2 == 0;
        Write([&](storage::Transaction& transaction) {
            for (const int64_t sequence : sequences) {
                ObjectRecord record;
                record.key = key;
                record.sequence = sequence;
                const bool current = with_current && sequence == *sequences.rbegin();
                transaction.Put(
                    current ? keys::Current(bucket_, key) : keys::Version(bucket_, key, sequence),
                    record.Encode());
            }
        });
        for (auto at = sequences.rbegin(); at != sequences.rend(); ++at) {
            expected.emplace_back(key, *at);
        }
    }
    std::ranges::sort(expected, [](const auto& a, const auto& b) {
        return std::tuple(std::get<0>(a), -std::get<1>(a)) <
               std::tuple(std::get<0>(b), -std::get<1>(b));
    });
    const auto entries = VersionEntries(*kv_, bucket_);
    for (const size_t size : {size_t{1}, size_t{2}, size_t{7}, size_t{1'000}}) {
        std::vector<std::tuple<std::string, int64_t>> got;
        ListPosition from;
        for (;;) {
            const auto listing = rt::RunTask(List(*entries, {.entries_max = size, .from = from}));
            ASSERT_TRUE(listing.ok());
            for (const ListEntry& entry : listing->entries) {
                const auto record = ObjectRecord::Decode(entry.key, entry.value);
                ASSERT_TRUE(record.ok());
                EXPECT_EQ(entry.within, WithinOfSequence(record->sequence));
                got.emplace_back(entry.key, record->sequence);
            }
            if (!listing->truncated) {
                break;
            }
            from = AfterEntry(listing->last_key, listing->last_within);
        }
        EXPECT_EQ(got, expected) << "page size " << size;
    }
}

TEST_F(UploadsTest, BoundsOfBytesThatNoKeyHas) {
    Write([&](storage::Transaction& transaction) {
        for (const char* key : {"a", "a\xf4\x8f\xbf\xbf", "b"}) {
            transaction.Put(keys::Current(bucket_, key), ObjectRecord().Encode());
        }
    });
    const auto entries = CurrentEntries(*kv_, bucket_);
    const auto after = [&](const std::string& marker) {
        return rt::RunTask(List(*entries, {.from = AfterMarker(marker, "", "")}))->entries.size();
    };
    EXPECT_EQ(after("a"), 2u);
    EXPECT_EQ(after("a\xff"), 1u);
    EXPECT_EQ(after("\xff\xff"), 0u);
    EXPECT_EQ(rt::RunTask(List(*entries, {.prefix = "a\xff"}))->entries.size(), 0u);
    EXPECT_EQ(rt::RunTask(List(*entries, {.prefix = "a"}))->entries.size(), 2u);
}

}  // namespace
}  // namespace hearth::s3
