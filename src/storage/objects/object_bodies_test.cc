#include "storage/objects/object_bodies.h"

#include "base/random.h"
#include "codec/checksum/checksum.h"
#include "codec/crc32/crc32.h"
#include "codec/crypto/crypto.h"
#include "codec/crypto/master_key.h"
#include "rt/loops.h"
#include "storage/memory/memory_kv.h"
#include "storage/objects/body_frames.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

namespace hearth::storage {
namespace {

using rt::RunTask;

std::string SomeBytes(size_t size, uint64_t seed = 1) {
    std::string bytes(size, '\0');
    std::mt19937_64 random(seed);
    for (char& byte : bytes) {
        byte = static_cast<char>(random());
    }
    return bytes;
}

CustomerKey KeyOf(uint8_t byte) {
    CustomerKey key;
    key.fill(byte);
    return key;
}

class ObjectBodiesTest : public ::testing::Test {
  protected:
    ObjectBodiesTest() {
        char pattern[] = "/tmp/hearth-bodies-XXXXXX";
        root_ = mkdtemp(pattern);
        options_.directory = root_ + "/objects";
        options_.sync = false;
        Reopen();
    }

    ~ObjectBodiesTest() override {
        bodies_.reset();
        std::filesystem::remove_all(root_);
    }

    void Reopen() {
        bodies_.reset();
        auto opened = OpenObjectBodies(*kv_, master_key_, *random_, options_);
        ASSERT_TRUE(opened.ok()) << opened.error().message();
        bodies_ = *std::move(opened);
    }

    // In pieces of `piece` bytes.
    Task<Result<FinishedBody>> Put(
        std::string_view bytes, BodyOptions options = {}, size_t piece = 100'000) {
        HEARTH_CO_TRY(auto sink, co_await bodies_->Create(std::move(options)));
        while (!bytes.empty()) {
            const std::string_view next = bytes.substr(0, piece);
            HEARTH_CO_RETURN_IF_ERROR(co_await sink->Write(next));
            bytes.remove_prefix(next.size());
        }
        co_return co_await sink->Finish();
    }

    Task<Result<std::string>> Get(std::vector<StoredBody> bodies, OpenOptions options = {}) {
        HEARTH_CO_TRY(auto source, co_await bodies_->Open(std::move(bodies), options));
        std::string all;
        while (true) {
            HEARTH_CO_TRY(const std::string_view bytes, co_await source->Next());
            if (bytes.empty()) {
                break;
            }
            all += bytes;
        }
        HEARTH_CO_TRY(const std::string_view more, co_await source->Next());
        EXPECT_EQ(more, "");
        co_return all;
    }

    Task<Status> Commit(const StoredBody& body) {
        auto claim = [&](Transaction& transaction) -> Task<Status> {
            bodies_->Refer(transaction, body, "bucket/key");
            co_return Status();
        };
        co_return co_await kv_->Transact(claim);
    }

    // Written, claimed and kept.
    StoredBody Keep(std::string_view bytes, BodyOptions options = {}) {
        auto finished = RunTask(Put(bytes, std::move(options)));
        EXPECT_TRUE(finished.ok()) << finished.error().message();
        EXPECT_TRUE(RunTask(Commit(finished->body())).ok());
        finished->Keep();
        return finished->body();
    }

    Task<Status> Drop(std::vector<StoredBody> bodies) {
        auto drop = [&](Transaction& transaction) -> Task<Status> {
            bodies_->Drop(transaction, bodies);
            co_return Status();
        };
        HEARTH_CO_RETURN_IF_ERROR(co_await kv_->Transact(drop));
        bodies_->Dropped(bodies);
        co_return Status();
    }

    // What a start does in the background is done when this returns.
    void Recover() {
        auto recover = [&]() -> Task<void> {
            EXPECT_TRUE((co_await bodies_->Start()).ok());
            co_await bodies_->Stop();
        };
        RunTask(recover());
        Reopen();
    }

    // Those with bodies; marks and directories do not count.
    std::vector<std::string> Files() const {
        std::vector<std::string> files;
        for (const auto& entry :
             std::filesystem::recursive_directory_iterator(options_.directory)) {
            const std::string name = entry.path().lexically_relative(options_.directory).string();
            if (entry.is_regular_file() && !name.starts_with("open/")) {
                files.push_back(name);
            }
        }
        std::sort(files.begin(), files.end());
        return files;
    }

    size_t Marks() const {
        size_t marks = 0;
        for ([[maybe_unused]] const auto& entry :
             std::filesystem::directory_iterator(options_.directory + "/open")) {
            ++marks;
        }
        return marks;
    }

    size_t Keys() {
        const auto page = RunTask(kv_->Range({.begin = std::string(1, '\0'), .end = "\xff"}));
        return page->items.size();
    }

    std::string root_;
    ObjectBodiesOptions options_;
    std::unique_ptr<Kv> kv_ = MakeMemoryKv();
    std::shared_ptr<Random> random_ = Random::System();
    codec::MasterKey master_key_{KeyOf(7)};
    std::unique_ptr<ObjectBodies> bodies_;
};

std::vector<size_t> SizesAtBorders() {
    std::vector<size_t> sizes = {0, 1, 2, 1'000};
    for (const size_t border :
         {size_t{16} << 10, kFrameBytes, 2 * kFrameBytes, 4 * kFrameBytes, 8 * kFrameBytes}) {
        sizes.insert(sizes.end(), {border - 1, border, border + 1});
    }
    sizes.push_back(3'000'000);
    return sizes;
}

TEST_F(ObjectBodiesTest, WhatIsReadIsWhatWasWrittenAtAllSizesAndInAllModes) {
    for (const bool encrypt : {true, false}) {
        options_.encrypt = encrypt;
        Reopen();
        for (const size_t size : SizesAtBorders()) {
            for (const int mode : {0, 1, 2}) {
                SCOPED_TRACE(fmt::format("{} bytes, mode {}, {}", size, mode, encrypt));
                const std::string bytes = SomeBytes(size, size);
                BodyOptions options;
                if (mode != 1) {
                    options.expected_length = size;
                }
                options.always_file = mode == 2;
                if (mode == 1) {
                    options.customer_key = KeyOf(9);
                }
                const auto finished = RunTask(Put(bytes, options));
                ASSERT_TRUE(finished.ok()) << finished.error().message();
                const StoredBody& body = finished->body();
                EXPECT_EQ(body.length, size);
                EXPECT_EQ(body.is_inline(), size <= (16u << 10) && mode != 2);
                EXPECT_EQ(codec::Hex(finished->digests().md5.value()), codec::Md5Hex(bytes));
                StoredBody decoded = *StoredBody::Decode(body.Encode());
                decoded.inline_bytes = body.inline_bytes;
                EXPECT_EQ(decoded, body);
                const OpenOptions open{.customer_key = options.customer_key};
                const auto read = RunTask(Get({decoded}, open));
                ASSERT_TRUE(read.ok()) << read.error().message();
                EXPECT_TRUE(*read == bytes);
            }
        }
    }
}

TEST_F(ObjectBodiesTest, RangesReadExactlyTheirBytesAcrossParts) {
    std::mt19937_64 random(5);
    std::string all;
    std::vector<StoredBody> parts;
    std::vector<FinishedBody> kept;
    for (const size_t size : {200'000u, 0u, 5u, 65'536u, 700'000u, 131'072u, 100u}) {
        const std::string bytes = SomeBytes(size, size);
        auto finished = RunTask(Put(bytes));
        ASSERT_TRUE(finished.ok());
        parts.push_back(finished->body());
        kept.push_back(*std::move(finished));
        all += bytes;
    }
    EXPECT_TRUE(*RunTask(Get(parts)) == all);
    std::vector<uint64_t> edges = {0, 1, all.size() - 1, all.size()};
    for (const uint64_t border : {65'535u, 65'536u, 65'537u, 199'999u, 200'000u, 200'005u}) {
        edges.push_back(border);
    }
    for (int i = 0; i < 20; ++i) {
        edges.push_back(random() % all.size());
    }
    for (const uint64_t begin : edges) {
        for (const uint64_t end : edges) {
            if (begin > end) {
                continue;
            }
            const auto read =
                RunTask(Get(parts, {.offset = begin, .length = end - begin, .customer_key = {}}));
            ASSERT_TRUE(read.ok()) << read.error().message();
            ASSERT_TRUE(*read == all.substr(begin, end - begin)) << begin << " to " << end;
        }
    }
}

TEST_F(ObjectBodiesTest, AnyPiecesGiveTheSameBytesAndHashes) {
    const uint64_t seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937_64 random(seed);
    for (int round = 0; round < 30; ++round) {
        const std::string bytes = SomeBytes(random() % 1'500'000, random());
        BodyOptions options;
        options.hashes = {
            .md5 = true,
            .crc32 = true,
            .crc32c = true,
            .crc64nvme = true,
            .sha1 = true,
            .sha256 = true};
        // Right, wrong in either direction, or unknown.
        switch (random() % 4) {
            case 0:
                options.expected_length = bytes.size();
                break;
            case 1:
                options.expected_length = random() % (bytes.size() + 1);
                break;
            case 2:
                options.expected_length = bytes.size() + random() % 3'000'000;
                break;
            default:
                break;
        }
        auto write = [&]() -> Task<Result<FinishedBody>> {
            HEARTH_CO_TRY(auto sink, co_await bodies_->Create(options));
            size_t at = 0;
            while (at < bytes.size()) {
                HEARTH_CO_TRY(const std::span<char> space, co_await sink->Space());
                EXPECT_FALSE(space.empty());
                const size_t count =
                    std::min({space.size(), bytes.size() - at, 1 + random() % 300'000});
                std::copy_n(bytes.data() + at, count, space.data());
                sink->Filled(count);
                at += count;
            }
            // As one asks a connection for the end.
            HEARTH_CO_TRY(const std::span<char> space, co_await sink->Space());
            EXPECT_FALSE(space.empty());
            EXPECT_EQ(sink->bytes_written(), bytes.size());
            co_return co_await sink->Finish();
        };
        const auto finished = RunTask(write());
        ASSERT_TRUE(finished.ok()) << finished.error().message();
        const BodyDigests& digests = finished->digests();
        EXPECT_EQ(codec::Hex(digests.md5.value()), codec::Md5Hex(bytes));
        EXPECT_EQ(digests.sha256.value(), codec::Sha256(bytes));
        EXPECT_EQ(digests.crc32.value(), codec::Crc32(bytes));
        EXPECT_EQ(digests.crc32c.value(), codec::Crc32c(bytes));
        EXPECT_EQ(digests.crc64nvme.value(), codec::Crc64Nvme(bytes));
        EXPECT_TRUE(digests.sha1.has_value());
        EXPECT_TRUE(*RunTask(Get({finished->body()})) == bytes);
    }
}

TEST_F(ObjectBodiesTest, ACustomersKeyIsNeededAndNotKept) {
    for (const size_t size : {0u, 100u, 200'000u}) {
        const std::string bytes = SomeBytes(size);
        const auto finished =
            RunTask(Put(bytes, {.customer_key = KeyOf(1), .expected_length = {}, .hashes = {}}));
        ASSERT_TRUE(finished.ok());
        const StoredBody& body = finished->body();
        EXPECT_FALSE(finished->digests().md5.has_value());
        EXPECT_LE(body.Encode().size(), kStoredBodyEncodedBytesMax);
        EXPECT_TRUE(bodies_->IsCustomerKey(body, KeyOf(1)));
        EXPECT_FALSE(bodies_->IsCustomerKey(body, KeyOf(2)));
        EXPECT_TRUE(*RunTask(Get({body}, {.customer_key = KeyOf(1)})) == bytes);
        if (size > 0) {
            EXPECT_EQ(
                RunTask(Get({body}, {.customer_key = KeyOf(2)})).error().code(), kWrongCustomerKey);
            EXPECT_EQ(RunTask(Get({body})).error().code(), kWrongCustomerKey);
        }
    }
}

TEST_F(ObjectBodiesTest, NothingOfAnEncryptedBodyIsInItsFile) {
    const std::string bytes(300'000, 'q');
    const StoredBody body = Keep(bytes);
    std::ifstream in(options_.directory + "/" + Files().at(0), std::ios::binary);
    const std::string stored((std::istreambuf_iterator<char>(in)), {});
    EXPECT_EQ(stored.size(), BytesOnDisk(BodyEncryption::kManaged, bytes.size()));
    EXPECT_EQ(stored.find("qqqq"), std::string::npos);
    const std::string small(1'000, 'q');
    EXPECT_EQ(Keep(small).inline_bytes.find("qqqq"), std::string::npos);
}

// Each region of the file once: head, key, frames, tails, the end mark.
TEST_F(ObjectBodiesTest, AChangedBitIsFoundWhereverItIs) {
    for (const bool encrypt : {true, false}) {
        options_.encrypt = encrypt;
        Reopen();
        const std::string bytes = SomeBytes(200'000);
        const auto finished = RunTask(Put(bytes, {.expected_length = bytes.size()}));
        ASSERT_TRUE(finished.ok());
        const BodyEncryption mode = finished->body().encryption;
        // Ids ascend, so the newest file is the last.
        const std::string path = options_.directory + "/" + Files().back();
        const uint64_t size = BytesOnDisk(mode, bytes.size());
        std::vector<uint64_t> places = {0, 4, 5, 8, 15, HeadBytes(mode) - 1, HeadBytes(mode)};
        for (uint64_t frame = 0; frame < FrameCount(bytes.size()); ++frame) {
            const uint64_t begin = FrameOffset(mode, frame);
            places.insert(places.end(), {begin, begin + 1'000, begin - 1, begin - 4});
        }
        places.insert(places.end(), {size - 1, size - 5, size - FrameTailBytes(mode)});
        for (const uint64_t place : places) {
            SCOPED_TRACE(fmt::format("byte {} of {}, encrypted {}", place, size, encrypt));
            const auto turn = [&] {
                std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
                file.seekg(static_cast<std::streamoff>(place));
                const int byte = file.get();
                file.seekp(static_cast<std::streamoff>(place));
                file.put(static_cast<char>(byte ^ 0x10));
            };
            turn();
            const auto read = RunTask(Get({finished->body()}));
            // An encrypted frame's check sum is for those without a key; its tag is what counts.
            const bool is_spare_sum =
                encrypt && place >= HeadBytes(mode) &&
                (place == size - 1 ||
                 place % (kFrameBytes + 20) == (HeadBytes(mode) - 1) % (kFrameBytes + 20) ||
                 place % (kFrameBytes + 20) == (HeadBytes(mode) - 4) % (kFrameBytes + 20));
            if (is_spare_sum) {
                EXPECT_TRUE(read.ok() ? *read == bytes : read.error().code() == kBodyDamaged);
            } else {
                ASSERT_FALSE(read.ok());
                EXPECT_EQ(read.error().code(), kBodyDamaged) << read.error().message();
            }
            turn();
        }
        EXPECT_TRUE(*RunTask(Get({finished->body()})) == bytes);
        // A length that is not the file's.
        for (const int change : {-1, 1, -65'556}) {
            std::filesystem::resize_file(
                path, static_cast<uint64_t>(static_cast<int64_t>(size) + change));
            EXPECT_EQ(RunTask(Get({finished->body()})).error().code(), kBodyDamaged);
            std::filesystem::resize_file(path, size);
        }
    }
}

TEST_F(ObjectBodiesTest, BodiesCannotChangePlaces) {
    for (const bool encrypt : {true, false}) {
        options_.encrypt = encrypt;
        Reopen();
        const auto first = RunTask(Put(SomeBytes(100'000, 1)));
        const auto second = RunTask(Put(SomeBytes(100'000, 2)));
        const auto files = Files();
        ASSERT_GE(files.size(), 2u);
        const std::string a = options_.directory + "/" + files[files.size() - 2];
        const std::string b = options_.directory + "/" + files.back();
        std::filesystem::rename(a, a + ".x");
        std::filesystem::rename(b, a);
        std::filesystem::rename(a + ".x", b);
        EXPECT_EQ(RunTask(Get({first->body()})).error().code(), kBodyDamaged);
        EXPECT_EQ(RunTask(Get({second->body()})).error().code(), kBodyDamaged);

        auto small = RunTask(Put("one"));
        const auto other = RunTask(Put("two"));
        StoredBody mixed = small->body();
        mixed.inline_bytes = other->body().inline_bytes;
        EXPECT_EQ(RunTask(Get({mixed})).error().code(), kBodyDamaged);
    }
}

TEST_F(ObjectBodiesTest, AnotherMasterKeyOpensNothing) {
    const StoredBody body = Keep(SomeBytes(100'000));
    master_key_ = codec::MasterKey(KeyOf(8));
    Reopen();
    EXPECT_EQ(RunTask(Get({body})).error().code(), kBodyDamaged);
}

TEST_F(ObjectBodiesTest, KeptBodiesStayAndTheirEpochIsClosed) {
    const std::string bytes = SomeBytes(100'000);
    const StoredBody body = Keep(bytes);
    Reopen();
    EXPECT_EQ(Marks(), 0u);
    Recover();
    EXPECT_TRUE(*RunTask(Get({body})) == bytes);
}

TEST_F(ObjectBodiesTest, WhatWasNotFinishedOrNotKeptGoes) {
    auto unfinished = [&]() -> Task<void> {
        EXPECT_TRUE((co_await bodies_->Start()).ok());
        {
            auto sink = *co_await bodies_->Create({});
            EXPECT_TRUE((co_await sink->Write(SomeBytes(900'000))).ok());
        }
        {
            auto finished = *co_await Put(SomeBytes(900'000));
        }
        while (!Files().empty()) {
            co_await rt::Yield();
        }
        co_await bodies_->Stop();
    };
    RunTask(unfinished());
    Reopen();
    EXPECT_TRUE(Files().empty());
    EXPECT_EQ(Marks(), 0u);
}

TEST_F(ObjectBodiesTest, AStartKeepsWhatWasCommittedAndRemovesTheRest) {
    const std::string bytes = SomeBytes(100'000);
    auto committed = RunTask(Put(bytes));
    auto lost = RunTask(Put(bytes));
    ASSERT_TRUE(RunTask(Commit(committed->body())).ok());
    committed->Leave();
    lost->Leave();
    EXPECT_EQ(Files().size(), 2u);
    Reopen();
    EXPECT_EQ(Marks(), 1u);
    Recover();
    EXPECT_EQ(Files().size(), 1u);
    EXPECT_EQ(Marks(), 0u);
    EXPECT_TRUE(*RunTask(Get({committed->body()})) == bytes);
}

TEST_F(ObjectBodiesTest, CommittedButForgottenBodiesStay) {
    const std::string bytes = SomeBytes(100'000);
    StoredBody body;
    auto forget = [&]() -> Task<void> {
        EXPECT_TRUE((co_await bodies_->Start()).ok());
        {
            auto finished = *co_await Put(bytes);
            body = finished.body();
            EXPECT_TRUE((co_await Commit(body)).ok());
        }
        co_await bodies_->Stop();
    };
    RunTask(forget());
    Recover();
    EXPECT_TRUE(*RunTask(Get({body})) == bytes);
}

TEST_F(ObjectBodiesTest, DroppedBodiesGiveTheirRoomBack) {
    std::vector<StoredBody> parts;
    for (int i = 0; i < 5; ++i) {
        parts.push_back(Keep(SomeBytes(100'000)));
    }
    parts.push_back(Keep("inline"));
    const std::string kept_bytes = SomeBytes(100'000, 3);
    const StoredBody kept = Keep(kept_bytes);
    EXPECT_EQ(Keys(), 6u);
    ASSERT_TRUE(RunTask(Drop(parts)).ok());
    // Not started, as after a crash: it is in the trash.
    EXPECT_EQ(Keys(), 7u);
    Reopen();
    Recover();
    EXPECT_EQ(Keys(), 1u);
    EXPECT_EQ(Files().size(), 1u);
    EXPECT_EQ(RunTask(Get({parts[0], parts[1]})).error().code(), kBodyGone);
    EXPECT_TRUE(*RunTask(Get({kept})) == kept_bytes);
}

TEST_F(ObjectBodiesTest, AReaderOfSeveralBodiesGoesOnAfterTheyWereDropped) {
    std::vector<StoredBody> parts;
    std::string all;
    for (int i = 0; i < 8; ++i) {
        const std::string bytes = SomeBytes(300'000, static_cast<uint64_t>(i));
        parts.push_back(Keep(bytes));
        all += bytes;
    }
    const StoredBody single = Keep(all);
    auto read_and_drop = [&]() -> Task<void> {
        EXPECT_TRUE((co_await bodies_->Start()).ok());
        auto several = *co_await bodies_->Open(parts, {});
        auto one = *co_await bodies_->Open({single}, {});
        EXPECT_TRUE((co_await Drop(parts)).ok());
        EXPECT_TRUE((co_await Drop({single})).ok());
        // Until the single one's claim is gone, so the removal has been at both.
        while (Files().size() > parts.size()) {
            co_await rt::Yield();
        }
        for (BodySource* source : {several.get(), one.get()}) {
            std::string read;
            while (true) {
                const auto bytes = co_await source->Next();
                EXPECT_TRUE(bytes.ok());
                if (!bytes.ok() || bytes->empty()) {
                    break;
                }
                read += *bytes;
            }
            EXPECT_TRUE(read == all);
        }
        several.reset();
        while (!Files().empty()) {
            co_await rt::Yield();
        }
        co_await bodies_->Stop();
    };
    RunTask(read_and_drop());
}

TEST_F(ObjectBodiesTest, IdsAreNeverUsedAgain) {
    uint64_t last = 0;
    for (int i = 0; i < 5; ++i) {
        const StoredBody body = Keep(SomeBytes(100'000));
        EXPECT_GT(body.id, last);
        last = body.id;
        ASSERT_TRUE(RunTask(Drop({body})).ok());
        Reopen();
        Recover();
        EXPECT_TRUE(Files().empty());
    }
}

TEST_F(ObjectBodiesTest, EpochsFollowOneAnotherAndEmptyOnesGo) {
    std::vector<StoredBody> all;
    auto many = [&]() -> Task<void> {
        for (int i = 0; i < 4'100; ++i) {
            auto finished = *co_await Put("x", {.hashes = {}, .always_file = true});
            EXPECT_TRUE((co_await Commit(finished.body())).ok());
            finished.Keep();
            all.push_back(finished.body());
        }
        for (const StoredBody& body : all) {
            EXPECT_TRUE((co_await Drop({body})).ok());
        }
    };
    RunTask(many());
    Reopen();
    EXPECT_EQ(Marks(), 0u);
    Recover();
    EXPECT_TRUE(Files().empty());
    size_t directories = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(options_.directory)) {
        directories += entry.is_directory() ? 1 : 0;
    }
    // "open", the three tiers, the newest epoch and what holds it.
    EXPECT_EQ(directories, 6u);
}

TEST_F(ObjectBodiesTest, MovedBodiesAreTheSameInEachTier) {
    for (int disk = 0; disk < 9; ++disk) {
        options_.deep_directories.push_back(fmt::format("{}/disk{}", root_, disk));
    }
    Reopen();
    std::string bytes = SomeBytes(700'000);
    bytes += std::string(2'000'000, 'z');
    StoredBody last;
    auto move = [&](StoredBody body) -> Task<void> {
        EXPECT_TRUE((co_await bodies_->Start()).ok());
        for (const BodyTier tier :
             {BodyTier::kInfrequent,
              BodyTier::kArchive,
              BodyTier::kDeep,
              BodyTier::kStandard,
              BodyTier::kDeep}) {
            SCOPED_TRACE(static_cast<int>(tier));
            auto moved = co_await bodies_->Move(body, tier, {});
            EXPECT_TRUE(moved.ok()) << moved.error().message();
            if (!moved.ok()) {
                break;
            }
            EXPECT_EQ(moved->body().tier, tier);
            const bool packed = tier == BodyTier::kArchive || tier == BodyTier::kDeep;
            EXPECT_EQ(moved->body().packed_length.has_value(), packed);
            EXPECT_EQ(moved->body().framed_length() < 1'000'000, packed);
            auto commit = [&](Transaction& transaction) -> Task<Status> {
                bodies_->Refer(transaction, moved->body(), "bucket/moved");
                bodies_->Drop(transaction, {body});
                co_return Status();
            };
            EXPECT_TRUE((co_await kv_->Transact(commit)).ok());
            moved->Keep();
            bodies_->Dropped({body});
            body = *StoredBody::Decode(moved->body().Encode());
            EXPECT_TRUE(*co_await Get({body}) == bytes);
            for (const uint64_t offset : {1u, 65'536u, 699'999u, 2'600'000u}) {
                EXPECT_TRUE(
                    *co_await Get(
                        {body}, {.offset = offset, .length = 70'000, .customer_key = {}}) ==
                    bytes.substr(offset, 70'000));
            }
        }
        last = body;
        co_await bodies_->Stop();
    };
    RunTask(move(Keep(bytes)));
    Reopen();
    Recover();
    EXPECT_EQ(Marks(), 0u);
    // All copies but the last, which is on nine disks, are gone.
    EXPECT_EQ(Files().size(), 0u);
    EXPECT_EQ(Keys(), 1u);

    // Losing three disks loses nothing, and a look at the body brings them back.
    for (const int disk : {0, 4, 8}) {
        std::filesystem::remove_all(fmt::format("{}/disk{}", root_, disk));
    }
    Reopen();
    const auto mended = RunTask(bodies_->Check(last, 0));
    ASSERT_TRUE(mended.ok()) << mended.error().message();
    EXPECT_TRUE(mended->mended);
    EXPECT_FALSE(RunTask(bodies_->Check(last, 0))->mended);
}

TEST_F(ObjectBodiesTest, SmallBodiesAndThoseOfACustomersKeyAreNotMoved) {
    const StoredBody small = Keep("small");
    const auto same = RunTask(bodies_->Move(small, BodyTier::kDeep, {}));
    EXPECT_EQ(same->body(), small);
    const StoredBody customers = Keep(SomeBytes(100'000), {.customer_key = KeyOf(3)});
    EXPECT_EQ(
        RunTask(bodies_->Move(customers, BodyTier::kDeep, {})).error().code(), kWrongCustomerKey);
    const auto moved = RunTask(bodies_->Move(customers, BodyTier::kDeep, KeyOf(3)));
    ASSERT_TRUE(moved.ok());
    EXPECT_EQ(moved->body().encryption, BodyEncryption::kCustomer);
    EXPECT_TRUE(*RunTask(Get({moved->body()}, {.customer_key = KeyOf(3)})) == SomeBytes(100'000));
}

TEST_F(ObjectBodiesTest, ACheckFindsWhatTheDiskChangedWithoutAKey) {
    // Plain, sealed, sealed by a customer.
    for (const int kind : {0, 1, 2}) {
        options_.encrypt = kind != 0;
        Reopen();
        BodyOptions options;
        if (kind == 2) {
            options.customer_key = KeyOf(1);
        }
        const size_t size = 2'000'000;
        const auto before = Files();
        const StoredBody body = Keep(SomeBytes(size), options);
        const auto whole = RunTask(bodies_->Check(body, 0));
        ASSERT_TRUE(whole.ok()) << whole.error().message();
        EXPECT_EQ(whole->bytes, size);
        auto files = Files();
        std::erase_if(files, [&](const std::string& file) {
            return std::ranges::find(before, file) != before.end();
        });
        ASSERT_EQ(files.size(), 1u);
        const std::string path = options_.directory + "/" + files[0];
        const auto length = std::filesystem::file_size(path);
        // The head, the first frame, one in between, the end mark.
        for (const uint64_t at : {uint64_t{4}, uint64_t{300}, uint64_t{900'000}, length - 1}) {
            SCOPED_TRACE(fmt::format("kind {}, byte {}", kind, at));
            const auto flip = [&] {
                std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
                file.seekg(static_cast<std::streamoff>(at));
                const int byte = file.get();
                file.seekp(static_cast<std::streamoff>(at));
                file.put(static_cast<char>(byte ^ 0x10));
            };
            flip();
            const auto damaged = RunTask(bodies_->Check(body, 0));
            ASSERT_FALSE(damaged.ok());
            EXPECT_EQ(damaged.error().code(), kBodyDamaged);
            flip();
            EXPECT_TRUE(RunTask(bodies_->Check(body, 0)).ok());
        }
        std::filesystem::resize_file(path, length - 1);
        EXPECT_EQ(RunTask(bodies_->Check(body, 0)).error().code(), kBodyDamaged);
        std::filesystem::remove(path);
        EXPECT_EQ(RunTask(bodies_->Check(body, 0)).error().code(), kBodyGone);
    }
}

TEST(StoredBody, DecodeTakesOnlyWhatEncodeMakes) {
    StoredBody body{.id = 77, .length = 1u << 20, .encryption = BodyEncryption::kManaged};
    const std::string bytes = body.Encode();
    EXPECT_EQ(*StoredBody::Decode(bytes), body);
    for (size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_FALSE(StoredBody::Decode(bytes.substr(0, size)).ok());
    }
    EXPECT_FALSE(StoredBody::Decode(bytes + "x").ok());
    EXPECT_EQ(DecodeBodies(EncodeBodies({body, body}))->size(), 2u);
    EXPECT_FALSE(DecodeBodies(EncodeBodies({body}) + "x").ok());
}

}  // namespace
}  // namespace hearth::storage
