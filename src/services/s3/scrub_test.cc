#include "services/s3/scrub.h"

#include "base/random.h"
#include "codec/crypto/crypto.h"
#include "codec/crypto/master_key.h"
#include "rt/blocking_pool.h"
#include "rt/loops.h"
#include "rt/timer.h"
#include "services/s3/part_removal.h"
#include "services/s3/s3_keys.h"
#include "services/s3/upload_store.h"
#include "storage/memory/memory_kv.h"
#include "testing/fake_clock.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>

namespace hearth::s3 {
namespace {

using rt::RunTask;

constexpr std::chrono::days kDay{1};

class ScrubTest : public ::testing::Test {
  protected:
    ScrubTest() {
        char pattern[] = "/tmp/hearth-scrub-XXXXXX";
        root_ = mkdtemp(pattern);
        storage::ObjectBodiesOptions options;
        options.directory = root_ + "/objects";
        options.sync = false;
        bodies_ = *storage::OpenObjectBodies(*kv_, key_, *random_, options);
        part_removal_.emplace(*kv_, *bodies_);
        store_.emplace(*kv_, *random_, *bodies_, *part_removal_);
        for (BucketRecord* bucket : {&first_, &second_}) {
            bucket->account = AccountId("000000000000");
            bucket->region = Region("us-east-1");
        }
        first_.name = "first";
        first_.id = 7;
        second_.name = "second";
        second_.id = 8;
        EXPECT_TRUE(RunTask(store_->CreateBucket(first_, {})).ok());
        EXPECT_TRUE(RunTask(store_->CreateBucket(second_, {})).ok());
    }

    ~ScrubTest() override { std::filesystem::remove_all(root_); }

    std::unique_ptr<Scrub> Make(int32_t days = 7) {
        admin_.emplace();
        metrics_.emplace();
        return std::make_unique<Scrub>(
            Scrub::Deps{
                .metrics = *metrics_,
                .admin = *admin_,
                .wall_clock = clock_,
                .blocking_pool = pool_,
                .days = days},
            *store_,
            *bodies_);
    }

    // `change` may make the record lie.
    Task<Status> Put(
        const BucketRecord& bucket,
        std::string key,
        std::string bytes,
        std::function<void(ObjectRecord&)> change = nullptr) {
        HEARTH_CO_TRY(auto sink, co_await bodies_->Create({}));
        HEARTH_CO_RETURN_IF_ERROR(co_await sink->Write(bytes));
        HEARTH_CO_TRY(auto finished, co_await sink->Finish());
        ObjectRecord record;
        record.key = key;
        record.modified = clock_.Now();
        record.unique = store_->Unique();
        record.etag = codec::Md5Hex(bytes);
        record.encryption = Encryption::kS3;
        storage::StoredBody body = finished.body();
        record.size = body.length;
        record.body_inline = body.is_inline();
        const std::string inline_bytes = std::exchange(body.inline_bytes, {});
        record.body = body.Encode();
        if (change) {
            change(record);
        }
        const storage::Kv::Body put = [&](storage::Transaction& transaction) -> Task<Status> {
            HEARTH_CO_TRY(
                const auto written,
                co_await store_->Put(
                    transaction,
                    bucket,
                    record,
                    record.body_inline ? &inline_bytes : nullptr,
                    nullptr));
            co_return Status();
        };
        HEARTH_CO_RETURN_IF_ERROR(co_await kv_->Transact(put));
        finished.Keep();
        co_return Status();
    }

    void MustPut(
        const BucketRecord& bucket,
        std::string key,
        std::string bytes,
        std::function<void(ObjectRecord&)> change = nullptr) {
        const Status put =
            RunTask(Put(bucket, std::move(key), std::move(bytes), std::move(change)));
        EXPECT_TRUE(put.ok()) << put.error().message();
    }

    void PutMany(const BucketRecord& bucket, int count) {
        auto put = [&]() -> Task<void> {
            for (int i = 0; i < count; ++i) {
                EXPECT_TRUE((co_await Put(bucket, fmt::format("k{:03}", i), "bytes")).ok());
            }
        };
        RunTask(put());
    }

    ScrubState State() {
        const auto stored = RunTask(kv_->Get(keys::Scrub()));
        return *stored ? *ScrubState::Decode(**stored) : ScrubState();
    }

    std::map<std::string, std::string> Damaged() {
        std::map<std::string, std::string> damaged;
        const auto page = RunTask(kv_->Range(keys::Damages().Children()));
        for (const storage::KeyValue& item : page->items) {
            const auto record = DamageRecord::Decode(item.value);
            damaged[record->bucket + "/" + record->key] = record->what;
        }
        return damaged;
    }

    // A pass of its own, from the beginning.
    ScrubState Pass() {
        const auto scrub = Make();
        clock_.Advance(std::chrono::hours(1));
        ScrubState state;
        state.begun_ms = UnixMs(clock_.Now());
        state.running = true;
        const Status passed = RunTask(scrub->RunPass(state));
        EXPECT_TRUE(passed.ok()) << passed.error().message();
        EXPECT_FALSE(state.running);
        return state;
    }

    std::string root_;
    codec::MasterKey key_{{1, 2, 3}};
    std::shared_ptr<Random> random_ = Random::System();
    std::unique_ptr<storage::Kv> kv_ = storage::MakeMemoryKv();
    testing::FakeWallClock clock_;
    rt::BlockingPool pool_{{}};
    std::unique_ptr<storage::ObjectBodies> bodies_;
    std::optional<PartRemoval> part_removal_;
    std::optional<S3Store> store_;
    std::optional<aws::AdminEndpoints> admin_;
    std::optional<aws::Metrics> metrics_;
    BucketRecord first_;
    BucketRecord second_;
};

TEST_F(ScrubTest, APassBeginsWhenItsDaysAreOverAlsoAcrossStarts) {
    PutMany(first_, 3);
    const auto live = [&](Scrub& scrub, bool until_finished) -> Task<void> {
        EXPECT_TRUE((co_await scrub.Start()).ok());
        while (true) {
            const auto stored = co_await kv_->Get(keys::Scrub());
            const ScrubState state = *stored ? *ScrubState::Decode(**stored) : ScrubState();
            if (state.begun_ms != 0 && (!until_finished || state.finished_ms != 0)) {
                break;
            }
            co_await rt::Sleep(std::chrono::milliseconds(1));
        }
        co_await scrub.Stop();
    };
    RunTask(live(*Make(), false));
    const int64_t begun_ms = State().begun_ms;
    EXPECT_EQ(begun_ms, UnixMs(clock_.Now()));
    clock_.Advance(6 * kDay);
    RunTask(live(*Make(), false));
    EXPECT_EQ(State().begun_ms, begun_ms);
    EXPECT_EQ(State().finished_ms, 0);
    clock_.Advance(1 * kDay);
    RunTask(live(*Make(), true));
    EXPECT_EQ(State().finished.objects, 3);
    EXPECT_EQ(State().finished.bytes, 15);
    EXPECT_FALSE(State().running);
    EXPECT_EQ(State().begun_ms, UnixMs(clock_.Now()));
}

TEST_F(ScrubTest, ZeroDaysIsNever) {
    const auto scrub = Make(0);
    const auto live = [&]() -> Task<void> {
        EXPECT_TRUE((co_await scrub->Start()).ok());
        co_await scrub->Stop();
    };
    RunTask(live());
    EXPECT_EQ(State().begun_ms, 0);
}

TEST_F(ScrubTest, APassGoesOnWhereItWas) {
    PutMany(first_, 300);
    PutMany(second_, 20);
    EXPECT_EQ(Pass().finished.objects, 320);
    // It was saved on its way: that was the last thing but one that it stored.
    const auto scrub = Make();
    ScrubState state;
    state.running = true;
    state.begun_ms = UnixMs(clock_.Now());
    state.totals.objects = 250;
    state.bucket = "first";
    state.table = "o";
    state.position = keys::Current(first_, "k250");
    EXPECT_TRUE(RunTask(scrub->RunPass(state)).ok());
    EXPECT_EQ(state.finished.objects, 320);
    // The bucket it was in is gone.
    state.running = true;
    state.totals.objects = 0;
    state.bucket = "fir";
    EXPECT_TRUE(RunTask(scrub->RunPass(state)).ok());
    EXPECT_EQ(state.finished.objects, 320);
    state.bucket = "g";
    state.totals.objects = 0;
    EXPECT_TRUE(RunTask(scrub->RunPass(state)).ok());
    EXPECT_EQ(state.finished.objects, 20);
}

TEST_F(ScrubTest, WhatIsNotWhatWasPromisedIsDamageUntilItIsWholeOrGone) {
    const std::string large(300'000, 'x');
    MustPut(first_, "whole", large);
    MustPut(first_, "tag", large, [](ObjectRecord& record) {
        record.etag = codec::Md5Hex("other bytes");
    });
    MustPut(first_, "sum", "small", [](ObjectRecord& record) {
        record.checksum_algorithm = "CRC32";
        record.checksum_type = "FULL_OBJECT";
        record.checksum = "AAAAAA==";
    });
    MustPut(first_, "archived", large, [&](ObjectRecord& record) {
        storage::StoredBody copy = *storage::StoredBody::Decode(record.body);
        copy.id = 4'242;
        record.restored_body = copy.Encode();
    });
    // What only a multipart object has says nothing of the whole.
    MustPut(first_, "composite", "small", [](ObjectRecord& record) {
        record.checksum_algorithm = "CRC32";
        record.checksum_type = "COMPOSITE";
        record.checksum = "AAAAAA==-1";
        record.etag += "-1";
    });
    MustPut(second_, "lost", large);
    std::filesystem::path newest;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_ + "/objects")) {
        if (entry.is_regular_file() && entry.file_size() > large.size() &&
            (newest.empty() || entry.path() > newest)) {
            newest = entry.path();
        }
    }
    std::filesystem::remove(newest);
    EXPECT_EQ(Pass().finished.objects, 6);
    const auto damaged = Damaged();
    EXPECT_EQ(damaged.size(), 4u);
    EXPECT_EQ(damaged.at("first/tag"), "its MD5 is not its entity tag");
    EXPECT_EQ(damaged.at("first/sum"), "its CRC32 is not what was promised");
    EXPECT_EQ(damaged.at("second/lost"), "its file is not there");
    EXPECT_EQ(damaged.at("first/archived"), "its restored copy: its file is not there");
    EXPECT_NE(metrics_->Render().find("hearth_s3_damaged_objects 4"), std::string::npos);
    MustPut(first_, "tag", large);
    MustPut(first_, "sum", "small");
    MustPut(first_, "archived", large);
    EXPECT_EQ(Pass().finished.objects, 6);
    EXPECT_EQ(Damaged().size(), 1u);
    EXPECT_NE(metrics_->Render().find("hearth_s3_damaged_objects 1"), std::string::npos);
    MustPut(second_, "lost", large);
    Pass();
    EXPECT_TRUE(Damaged().empty());
}

TEST_F(ScrubTest, PartsOfUploadsInProgressAreLookedAt) {
    UploadStore uploads(*kv_, *random_);
    UploadRecord upload;
    upload.key = "a/\x01key";
    upload.id = uploads.NewId(clock_.Now());
    upload.parts_id = UploadStore::PartsIdOf(upload.id);
    upload.object.encryption = Encryption::kS3;
    const std::string small = "small";
    const std::string large(300'000, 'p');
    auto begin = [&](const std::string& large_etag) -> Task<Status> {
        std::vector<storage::FinishedBody> bodies;
        for (const std::string& bytes : {small, large}) {
            HEARTH_CO_TRY(auto sink, co_await bodies_->Create({}));
            HEARTH_CO_RETURN_IF_ERROR(co_await sink->Write(bytes));
            HEARTH_CO_TRY(auto finished, co_await sink->Finish());
            bodies.push_back(std::move(finished));
        }
        const storage::Kv::Body put = [&](storage::Transaction& transaction) -> Task<Status> {
            UploadStore::Put(transaction, first_, upload);
            for (int32_t number = 1; number <= 2; ++number) {
                storage::StoredBody body = bodies[static_cast<size_t>(number - 1)].body();
                PartRecord part;
                part.size = body.length;
                part.unique = store_->Unique();
                part.etag = number == 1 ? codec::Md5Hex(small) : large_etag;
                part.body_inline = body.is_inline();
                if (part.body_inline) {
                    transaction.Put(keys::Inline(first_, part.unique), body.inline_bytes);
                    body.inline_bytes.clear();
                } else {
                    bodies_->Refer(transaction, body, "part");
                }
                part.body = body.Encode();
                transaction.Put(keys::Part(first_, upload.parts_id, number), part.Encode());
            }
            co_return Status();
        };
        HEARTH_CO_RETURN_IF_ERROR(co_await kv_->Transact(put));
        for (storage::FinishedBody& body : bodies) {
            body.Keep();
        }
        co_return Status();
    };
    ASSERT_TRUE(RunTask(begin(codec::Md5Hex(large))).ok());
    Pass();
    EXPECT_TRUE(Damaged().empty());
    ASSERT_TRUE(RunTask(begin(codec::Md5Hex("other bytes"))).ok());
    Pass();
    EXPECT_EQ(Damaged()["first/a/\x01key"], "part 2: its MD5 is not its entity tag");
    // It may have become an object, or been aborted.
    auto abort = [&]() -> Task<Status> {
        const storage::Kv::Body gone = [&](storage::Transaction& transaction) -> Task<Status> {
            UploadStore::Delete(transaction, first_, upload.key, upload.id);
            co_return Status();
        };
        co_return co_await kv_->Transact(gone);
    };
    ASSERT_TRUE(RunTask(abort()).ok());
    Pass();
    EXPECT_TRUE(Damaged().empty());
}

TEST(ScrubRecords, AreWhatTheyWere) {
    ScrubState state;
    state.begun_ms = 5;
    state.running = true;
    state.totals = {.objects = 1, .bytes = 2, .mended = 3};
    state.bucket = "bucket";
    state.table = "v";
    state.position = std::string("\0\xff", 2);
    state.finished_ms = 9;
    state.finished = {.objects = 4, .bytes = 5, .mended = 6};
    const auto read = ScrubState::Decode(state.Encode());
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->Encode(), state.Encode());
    EXPECT_EQ(read->position, state.position);
    EXPECT_TRUE(read->running);
    EXPECT_EQ(read->finished.mended, 6);
    EXPECT_FALSE(ScrubState::Decode("x").ok());
    EXPECT_FALSE(DamageRecord::Decode("").ok());
}

}  // namespace
}  // namespace hearth::s3
