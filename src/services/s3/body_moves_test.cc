#include "services/s3/body_moves.h"

#include "base/random.h"
#include "codec/crypto/master_key.h"
#include "rt/loops.h"
#include "services/s3/errors.h"
#include "services/s3/s3_keys.h"
#include "services/s3/storage_places.h"
#include "storage/memory/memory_kv.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <array>
#include <filesystem>
#include <optional>
#include <random>
#include <utility>
#include <vector>

namespace hearth::s3 {
namespace {

using rt::RunTask;
using storage::BodyTier;
using storage::StoredBody;

constexpr size_t kBytes = 100'000;

std::string SomeBytes(size_t size, uint64_t seed) {
    std::string bytes(size, '\0');
    std::mt19937_64 random(seed);
    for (char& byte : bytes) {
        byte = static_cast<char>(random());
    }
    return bytes;
}

Status Nothing(ObjectRecord&) {
    return Status();
}

class BodyMovesTest : public ::testing::Test {
  protected:
    BodyMovesTest() {
        char pattern[] = "/tmp/hearth-moves-XXXXXX";
        root_ = mkdtemp(pattern);
        storage::ObjectBodiesOptions options;
        options.directory = root_ + "/objects";
        options.sync = false;
        bodies_ = *storage::OpenObjectBodies(*kv_, master_key_, *random_, options);
        removal_.emplace(*kv_, *bodies_);
        store_.emplace(*kv_, *random_, *bodies_, *removal_);
        moves_.emplace(*store_, *bodies_, *removal_);
        bucket_.name = "bucket";
        bucket_.id = 7;
        bucket_.account = AccountId("000000000000");
        bucket_.region = Region("us-east-1");
        EXPECT_TRUE(RunTask(store_->CreateBucket(bucket_, {})).ok());
    }

    ~BodyMovesTest() override {
        moves_.reset();
        store_.reset();
        removal_.reset();
        bodies_.reset();
        std::filesystem::remove_all(root_);
    }

    Task<Result<storage::FinishedBody>> Write(std::string bytes) {
        HEARTH_CO_TRY(const auto sink, co_await bodies_->Create({}));
        HEARTH_CO_RETURN_IF_ERROR(co_await sink->Write(bytes));
        co_return co_await sink->Finish();
    }

    Status PutRecord(ObjectRecord record) {
        const storage::Kv::Body body = [&](storage::Transaction& transaction) -> Task<Status> {
            HEARTH_CO_TRY(
                const auto written,
                co_await store_->Put(transaction, bucket_, record, nullptr, nullptr));
            co_return Status();
        };
        return RunTask(kv_->Transact(body));
    }

    ObjectRecord Put(const std::string& key, const std::string& bytes) {
        auto finished = RunTask(Write(bytes));
        EXPECT_TRUE(finished.ok());
        ObjectRecord record;
        record.key = key;
        record.size = bytes.size();
        record.unique = store_->Unique();
        record.body = finished->body().Encode();
        EXPECT_TRUE(PutRecord(record).ok());
        finished->Keep();
        return Find(key);
    }

    // The last part is a small one.
    ObjectRecord PutInParts(const std::string& key, const std::vector<std::string>& parts) {
        ObjectRecord record;
        record.key = key;
        record.unique = store_->Unique();
        record.parts_id = "parts of " + key;
        record.parts_count = static_cast<int32_t>(parts.size());
        int32_t number = 0;
        for (const std::string& bytes : parts) {
            auto finished = RunTask(Write(bytes));
            EXPECT_TRUE(finished.ok());
            StoredBody stored = finished->body();
            PartRecord part;
            part.number = ++number;
            part.size = bytes.size();
            part.unique = store_->Unique();
            part.body_inline = stored.is_inline();
            const std::string inline_bytes = std::exchange(stored.inline_bytes, {});
            part.body = stored.Encode();
            const storage::Kv::Body put = [&](storage::Transaction& transaction) -> Task<Status> {
                transaction.Put(keys::Part(bucket_, record.parts_id, part.number), part.Encode());
                bodies_->Refer(transaction, stored, "test");
                if (part.body_inline) {
                    transaction.Put(keys::Inline(bucket_, part.unique), inline_bytes);
                }
                co_return Status();
            };
            EXPECT_TRUE(RunTask(kv_->Transact(put)).ok());
            finished->Keep();
            record.size += bytes.size();
        }
        EXPECT_TRUE(PutRecord(record).ok());
        return Find(key);
    }

    ObjectRecord Find(const std::string& key) {
        const auto found = RunTask(store_->FindObject(bucket_, key, std::nullopt));
        EXPECT_TRUE(found.ok());
        return found->record;
    }

    Task<Result<std::string>> Read(std::vector<StoredBody> bodies) {
        HEARTH_CO_TRY(const auto source, co_await bodies_->Open(std::move(bodies), {}));
        std::string all;
        while (true) {
            HEARTH_CO_TRY(const std::string_view bytes, co_await source->Next());
            if (bytes.empty()) {
                co_return all;
            }
            all += bytes;
        }
    }

    std::vector<StoredBody> PartBodies(const ObjectRecord& record) {
        std::vector<StoredBody> bodies;
        const auto page = RunTask(store_->Parts(bucket_, record.parts_id, std::nullopt));
        EXPECT_TRUE(page.ok());
        for (const PartRecord& part : page->parts) {
            bodies.push_back(*StoredBody::Decode(part.body));
            if (part.body_inline) {
                bodies.back().inline_bytes = *RunTask(store_->InlineBody(bucket_, part.unique));
            }
        }
        return bodies;
    }

    size_t KeysIn(std::string_view table) {
        return RunTask(kv_->Range(keys::All(bucket_, table)))->items.size();
    }

    std::string root_;
    std::unique_ptr<storage::Kv> kv_ = storage::MakeMemoryKv({.seed = 1, .conflict_per_mille = 50});
    std::shared_ptr<Random> random_ = Random::Seeded(1);
    codec::MasterKey master_key_{std::array<uint8_t, 32>{1, 2, 3}};
    std::unique_ptr<storage::ObjectBodies> bodies_;
    std::optional<PartRemoval> removal_;
    std::optional<S3Store> store_;
    std::optional<BodyMoves> moves_;
    BucketRecord bucket_;
};

TEST_F(BodyMovesTest, ABodyMovesWithItsRecord) {
    const std::string bytes = SomeBytes(kBytes, 1);
    const ObjectRecord before = Put("k", bytes);
    const auto to_archive = [](ObjectRecord& record) -> Status {
        record.storage_class = "GLACIER";
        return Status();
    };
    ASSERT_TRUE(RunTask(moves_->Move(bucket_, before, BodyTier::kArchive, to_archive)).ok());
    const ObjectRecord after = Find("k");
    EXPECT_EQ(after.storage_class, "GLACIER");
    EXPECT_EQ(after.sequence, before.sequence);
    EXPECT_FALSE(IsOutOfPlace(after));
    const StoredBody body = *StoredBody::Decode(after.body);
    EXPECT_EQ(body.tier, BodyTier::kArchive);
    const auto read = RunTask(Read({body}));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(*read, bytes);
}

TEST_F(BodyMovesTest, WhatChangedMeanwhileStaysAsItIs) {
    const ObjectRecord seen = Put("k", SomeBytes(kBytes, 1));
    Put("k", SomeBytes(kBytes, 2));
    const Status moved = RunTask(moves_->Move(bucket_, seen, BodyTier::kArchive, Nothing));
    EXPECT_FALSE(moved.ok());
    EXPECT_EQ(StoredBody::Decode(Find("k").body)->tier, BodyTier::kStandard);
    // Nor does a change that is refused leave anything.
    const auto refuse = [](ObjectRecord&) -> Status { return errors::NoSuchKey("k"); };
    const Status refused = RunTask(moves_->Move(bucket_, Find("k"), BodyTier::kDeep, refuse));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code(), "NoSuchKey");
    EXPECT_EQ(StoredBody::Decode(Find("k").body)->tier, BodyTier::kStandard);
}

TEST_F(BodyMovesTest, PartsMoveTogether) {
    const std::vector<std::string> parts = {
        SomeBytes(kBytes, 1), SomeBytes(kBytes, 2), std::string("the end")};
    const ObjectRecord before = PutInParts("k", parts);
    ASSERT_TRUE(RunTask(moves_->Move(bucket_, before, BodyTier::kDeep, Nothing)).ok());
    const ObjectRecord after = Find("k");
    EXPECT_NE(after.parts_id, before.parts_id);
    EXPECT_EQ(after.parts_place, static_cast<int32_t>(BodyTier::kDeep));
    EXPECT_EQ(KeysIn("p"), parts.size());
    EXPECT_EQ(KeysIn("i"), 1U);
    const auto read = RunTask(Read(PartBodies(after)));
    ASSERT_TRUE(read.ok()) << read.error().message();
    EXPECT_EQ(*read, parts[0] + parts[1] + parts[2]);
}

TEST_F(BodyMovesTest, PartsThatWereCopiedInVainGo) {
    const ObjectRecord before = PutInParts("k", {SomeBytes(kBytes, 1), std::string("the end")});
    const auto refuse = [](ObjectRecord&) -> Status { return errors::NoSuchKey("k"); };
    EXPECT_FALSE(RunTask(moves_->Move(bucket_, before, BodyTier::kDeep, refuse)).ok());
    EXPECT_EQ(KeysIn("p"), 2U);
    EXPECT_EQ(KeysIn("i"), 1U);
    EXPECT_EQ(Find("k").parts_id, before.parts_id);
    EXPECT_TRUE(RunTask(Read(PartBodies(before))).ok());
}

TEST_F(BodyMovesTest, ARestoredCopyIsOneBodyAndGoesWithItsTime) {
    const std::vector<std::string> parts = {SomeBytes(kBytes, 1), std::string("the end")};
    PutInParts("k", parts);
    const auto restore = [](ObjectRecord& record) -> Status {
        record.restored_until = WallClock::time_point(std::chrono::hours(1));
        return Status();
    };
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(RunTask(moves_->Restore(bucket_, Find("k"), restore)).ok());
        const auto read = RunTask(Read({*StoredBody::Decode(Find("k").restored_body)}));
        ASSERT_TRUE(read.ok());
        EXPECT_EQ(*read, parts[0] + parts[1]);
    }
    ASSERT_TRUE(RunTask(moves_->Update(bucket_, Find("k"), Nothing)).ok());
    EXPECT_FALSE(Find("k").restored_body.empty());
    const auto end = [](ObjectRecord& record) -> Status {
        record.restored_until.reset();
        return Status();
    };
    ASSERT_TRUE(RunTask(moves_->Update(bucket_, Find("k"), end)).ok());
    EXPECT_TRUE(Find("k").restored_body.empty());
    EXPECT_TRUE(RunTask(Read(PartBodies(Find("k")))).ok());
}

TEST(StoragePlaces, OfClassesAndTiers) {
    EXPECT_EQ(PlaceOf("STANDARD"), BodyTier::kStandard);
    EXPECT_EQ(PlaceOf("REDUCED_REDUNDANCY"), BodyTier::kStandard);
    EXPECT_EQ(PlaceOf("STANDARD_IA"), BodyTier::kInfrequent);
    EXPECT_EQ(PlaceOf("ONEZONE_IA"), BodyTier::kInfrequent);
    EXPECT_EQ(PlaceOf("GLACIER_IR"), BodyTier::kInfrequent);
    EXPECT_EQ(PlaceOf("GLACIER"), BodyTier::kArchive);
    EXPECT_EQ(PlaceOf("DEEP_ARCHIVE"), BodyTier::kDeep);
    EXPECT_EQ(PlaceOf("INTELLIGENT_TIERING"), BodyTier::kStandard);
    EXPECT_EQ(PlaceOf("INTELLIGENT_TIERING", "INFREQUENT"), BodyTier::kInfrequent);
    EXPECT_EQ(PlaceOf("INTELLIGENT_TIERING", "ARCHIVE_INSTANT"), BodyTier::kInfrequent);
    EXPECT_EQ(PlaceOf("INTELLIGENT_TIERING", "ARCHIVE"), BodyTier::kArchive);
    EXPECT_EQ(PlaceOf("INTELLIGENT_TIERING", "DEEP_ARCHIVE"), BodyTier::kDeep);
}

}  // namespace
}  // namespace hearth::s3
