#include "rt/loops.h"
#include "storage/rocksdb/recorded_disk.h"
#include "storage/rocksdb/rocksdb_kv.h"

#include <gtest/gtest.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

// Every acknowledged write must be there after a cut of power.
namespace hearth::storage {
namespace {

TEST(PowerCut, AcknowledgedWritesSurviveACutAtAnySync) {
    const char* const soak = ::getenv("HEARTH_SOAK_COUNT");
    const size_t cuts_max = soak != nullptr ? static_cast<size_t>(::atoi(soak)) : 40;
    const uint64_t seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937_64 random(seed);
    char pattern[] = "/tmp/hearth-cut-XXXXXX";
    const std::string root = mkdtemp(pattern);

    // Counts how many operations were on the disk when the write of each number was acknowledged.
    Recording recording;
    std::vector<size_t> acknowledged_at;
    {
        const auto env = rocksdb::NewCompositeEnv(std::make_shared<RecordingFileSystem>(recording));
        RocksDbOptions options;
        options.env = env.get();
        options.memtable_bytes = 64 * 1024;
        auto kv = OpenRocksDb(root + "/kv", options);
        ASSERT_TRUE(kv.ok()) << kv.error().message();
        for (int number = 0; number < 400; ++number) {
            const Kv::Body body = [&](Transaction& t) -> Task<Status> {
                t.Put(fmt::format("a{:06}", number), std::string(1 + random() % 2'000, 'a'));
                t.Put(fmt::format("b{:06}", number), "b");
                co_return Status();
            };
            const Status status = rt::RunTask((*kv)->Transact(body));
            ASSERT_TRUE(status.ok()) << status.error().message();
            acknowledged_at.push_back(recording.size());
        }
    }

    std::vector<size_t> boundaries;
    for (size_t i = 0; i < recording.operations().size(); ++i) {
        const auto type = recording.operations()[i].type;
        if (type == Operation::Type::kSync || type == Operation::Type::kSyncDirectory) {
            boundaries.push_back(i);
            boundaries.push_back(i + 1);
        }
    }
    std::shuffle(boundaries.begin(), boundaries.end(), random);
    boundaries.resize(std::min(boundaries.size(), cuts_max));
    for (const size_t cut : boundaries) {
        SCOPED_TRACE(fmt::format("cut before operation {}", cut));
        Disk disk;
        for (size_t i = 0; i < cut; ++i) {
            disk.Play(recording.operations()[i]);
        }
        const std::string directory = root + "/cut";
        disk.CutInto(directory, random);
        {
            auto kv = OpenRocksDb(directory);
            ASSERT_TRUE(kv.ok()) << kv.error().message();
            const auto page =
                rt::RunTask((*kv)->Range({.begin = "a", .end = "b", .limit = 10'000}));
            const auto marks =
                rt::RunTask((*kv)->Range({.begin = "b", .end = "c", .limit = 10'000}));
            ASSERT_TRUE(page.ok() && marks.ok());
            const size_t acknowledged = static_cast<size_t>(
                std::upper_bound(acknowledged_at.begin(), acknowledged_at.end(), cut) -
                acknowledged_at.begin());
            EXPECT_GE(page->items.size(), acknowledged);
            EXPECT_EQ(page->items.size(), marks->items.size()) << "a transaction is half there";
        }
        std::filesystem::remove_all(directory);
        if (HasFailure()) {
            break;
        }
    }
    std::filesystem::remove_all(root);
}

// A log write that fails: the writer hears Unknown, later writers are refused, reads go on, and a
// new start finds everything that was acknowledged.
class FailingFile final : public rocksdb::FSWritableFileOwnerWrapper {
  public:
    FailingFile(
        std::unique_ptr<rocksdb::FSWritableFile>&& file, const std::atomic<bool>& broken, bool full)
        : FSWritableFileOwnerWrapper(std::move(file)), broken_(broken), full_(full) {}

    using FSWritableFileOwnerWrapper::Append;

    rocksdb::IOStatus Append(
        const rocksdb::Slice& data,
        const rocksdb::IOOptions& options,
        rocksdb::IODebugContext* debug) override {
        if (broken_) {
            if (!full_) {
                return rocksdb::IOStatus::IOError("the disk is broken");
            }
            // As the engine's own files say it.
            rocksdb::IOStatus status = rocksdb::IOStatus::NoSpace("the disk is full");
            status.SetRetryable(true);
            return status;
        }
        return FSWritableFileOwnerWrapper::Append(data, options, debug);
    }

  private:
    const std::atomic<bool>& broken_;
    const bool full_;
};

class FailingFileSystem final : public rocksdb::FileSystemWrapper {
  public:
    // `full`: it fails as a disk without room.
    explicit FailingFileSystem(const std::atomic<bool>& broken, bool full = false)
        : FileSystemWrapper(rocksdb::FileSystem::Default()), broken_(broken), full_(full) {}

    const char* Name() const override { return "FailingFileSystem"; }

    rocksdb::IOStatus NewWritableFile(
        const std::string& name,
        const rocksdb::FileOptions& options,
        std::unique_ptr<rocksdb::FSWritableFile>* result,
        rocksdb::IODebugContext* debug) override {
        std::unique_ptr<rocksdb::FSWritableFile> file;
        rocksdb::IOStatus status = FileSystemWrapper::NewWritableFile(name, options, &file, debug);
        if (status.ok()) {
            *result = std::make_unique<FailingFile>(std::move(file), broken_, full_);
        }
        return status;
    }

    rocksdb::IOStatus GetFreeSpace(
        const std::string& path,
        const rocksdb::IOOptions& options,
        uint64_t* free_bytes,
        rocksdb::IODebugContext* debug) override {
        if (broken_ && full_) {
            *free_bytes = 0;
            return rocksdb::IOStatus::OK();
        }
        return FileSystemWrapper::GetFreeSpace(path, options, free_bytes, debug);
    }

  private:
    const std::atomic<bool>& broken_;
    const bool full_;
};

TEST(BrokenDisk, AFailedLogWriteEndsWritingUntilTheNextStart) {
    char pattern[] = "/tmp/hearth-broken-XXXXXX";
    const std::string root = mkdtemp(pattern);
    std::atomic<bool> broken = false;
    {
        const auto env = rocksdb::NewCompositeEnv(std::make_shared<FailingFileSystem>(broken));
        RocksDbOptions options;
        options.env = env.get();
        auto kv = OpenRocksDb(root + "/kv", options);
        ASSERT_TRUE(kv.ok());
        EXPECT_TRUE(rt::RunTask((*kv)->Put("a", "1")).ok());
        broken = true;
        const Status lost = rt::RunTask((*kv)->Put("b", "1"));
        ASSERT_FALSE(lost.ok());
        EXPECT_EQ(lost.error().code(), "Unknown");
        broken = false;
        const Status refused = rt::RunTask((*kv)->Put("c", "1"));
        ASSERT_FALSE(refused.ok());
        EXPECT_EQ(refused.error().kind(), Error::Kind::kUnavailable);
        EXPECT_NE(refused.error().message().find("until it is restarted"), std::string::npos);
        EXPECT_EQ(rt::RunTask((*kv)->Get("a")).value(), "1");
    }
    {
        auto kv = OpenRocksDb(root + "/kv");
        ASSERT_TRUE(kv.ok()) << kv.error().message();
        EXPECT_EQ(rt::RunTask((*kv)->Get("a")).value(), "1");
        EXPECT_EQ(rt::RunTask((*kv)->Get("c")).value(), std::nullopt);
        EXPECT_TRUE(rt::RunTask((*kv)->Put("d", "1")).ok());
    }
    std::filesystem::remove_all(root);
}

TEST(BrokenDisk, AFullDiskRefusesWritesUntilThereIsRoom) {
    char pattern[] = "/tmp/hearth-full-XXXXXX";
    const std::string root = mkdtemp(pattern);
    std::atomic<bool> full = false;
    const auto put = [](Kv& kv, const std::string& key) { return rt::RunTask(kv.Put(key, "1")); };
    {
        const auto env = rocksdb::NewCompositeEnv(std::make_shared<FailingFileSystem>(full, true));
        RocksDbOptions options;
        options.env = env.get();
        auto kv = OpenRocksDb(root + "/kv", options);
        ASSERT_TRUE(kv.ok());
        for (int round = 0; round < 3; ++round) {
            SCOPED_TRACE(round);
            const std::string key = std::string(1, static_cast<char>('a' + round));
            EXPECT_TRUE(put(**kv, key + " before").ok());
            full = true;
            EXPECT_EQ(put(**kv, key + " lost").error().code(), "Unknown");
            const Status refused = put(**kv, key + " refused");
            ASSERT_FALSE(refused.ok());
            EXPECT_EQ(refused.error().kind(), Error::Kind::kUnavailable);
            EXPECT_EQ(rt::RunTask((*kv)->Get(key + " before")).value(), "1");
            full = false;
            // It looks for room now and then.
            // What was not written is no conflict for who reads it.
            const Kv::Body after = [&](Transaction& transaction) -> Task<Status> {
                HEARTH_CO_TRY(const auto lost, co_await transaction.Get(key + " lost"));
                EXPECT_FALSE(lost);
                transaction.Put(key + " after", "1");
                co_return Status();
            };
            while (!rt::RunTask((*kv)->Transact(after)).ok()) {
                std::this_thread::sleep_for(std::chrono::milliseconds(10));
            }
            EXPECT_EQ(rt::RunTask((*kv)->Get(key + " lost")).value(), std::nullopt);
        }
    }
    // The same after a start, and no write that was never acknowledged came back.
    auto kv = OpenRocksDb(root + "/kv");
    ASSERT_TRUE(kv.ok()) << kv.error().message();
    for (const std::string key : {"a", "b", "c"}) {
        EXPECT_EQ(rt::RunTask((*kv)->Get(key + " before")).value(), "1");
        EXPECT_EQ(rt::RunTask((*kv)->Get(key + " after")).value(), "1");
        EXPECT_EQ(rt::RunTask((*kv)->Get(key + " lost")).value(), std::nullopt);
        EXPECT_EQ(rt::RunTask((*kv)->Get(key + " refused")).value(), std::nullopt);
    }
    kv->reset();
    std::filesystem::remove_all(root);
}

// As in the cloud, which ends there and is started again.
TEST(BrokenDisk, WhoEndsAfterAFullDiskIsToldOnceThereIsRoom) {
    char pattern[] = "/tmp/hearth-room-XXXXXX";
    const std::string root = mkdtemp(pattern);
    for (int round = 0; round < 3; ++round) {
        SCOPED_TRACE(round);
        std::atomic<bool> full = false;
        std::atomic<int> told = 0;
        const auto env = rocksdb::NewCompositeEnv(std::make_shared<FailingFileSystem>(full, true));
        RocksDbOptions options;
        options.env = env.get();
        options.on_room_again = [&told] { ++told; };
        auto kv = OpenRocksDb(root + "/kv", options);
        ASSERT_TRUE(kv.ok()) << kv.error().message();
        const auto put = [&](const std::string& key) { return rt::RunTask((*kv)->Put(key, "1")); };
        if (round > 0) {
            EXPECT_EQ(rt::RunTask((*kv)->Get("before")).value(), "1");
        }
        EXPECT_TRUE(put("before").ok());
        full = true;
        EXPECT_EQ(put("lost").error().code(), "Unknown");
        EXPECT_EQ(put("refused").error().kind(), Error::Kind::kUnavailable);
        EXPECT_EQ(told, 0);
        full = false;
        while (told == 0) {
            EXPECT_EQ(put("refused").error().kind(), Error::Kind::kUnavailable);
        }
        EXPECT_EQ(rt::RunTask((*kv)->Get("before")).value(), "1");
        EXPECT_EQ(rt::RunTask((*kv)->Get("refused")).value(), std::nullopt);
    }
    std::filesystem::remove_all(root);
}

class UnreadableFile final : public rocksdb::FSRandomAccessFileOwnerWrapper {
  public:
    UnreadableFile(
        std::unique_ptr<rocksdb::FSRandomAccessFile>&& file, const std::atomic<bool>& broken)
        : FSRandomAccessFileOwnerWrapper(std::move(file)), broken_(broken) {}

    rocksdb::IOStatus Read(
        uint64_t offset,
        size_t bytes,
        const rocksdb::IOOptions& options,
        rocksdb::Slice* result,
        char* scratch,
        rocksdb::IODebugContext* debug) const override {
        if (broken_) {
            return rocksdb::IOStatus::IOError("Input/output error");
        }
        return FSRandomAccessFileOwnerWrapper::Read(offset, bytes, options, result, scratch, debug);
    }

    rocksdb::IOStatus Prefetch(
        uint64_t, size_t, const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
        return rocksdb::IOStatus::NotSupported("every read is a Read");
    }

  private:
    const std::atomic<bool>& broken_;
};

class UnreadableFileSystem final : public rocksdb::FileSystemWrapper {
  public:
    explicit UnreadableFileSystem(const std::atomic<bool>& broken)
        : FileSystemWrapper(rocksdb::FileSystem::Default()), broken_(broken) {}

    const char* Name() const override { return "UnreadableFileSystem"; }

    rocksdb::IOStatus NewRandomAccessFile(
        const std::string& name,
        const rocksdb::FileOptions& options,
        std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
        rocksdb::IODebugContext* debug) override {
        std::unique_ptr<rocksdb::FSRandomAccessFile> file;
        rocksdb::IOStatus status =
            FileSystemWrapper::NewRandomAccessFile(name, options, &file, debug);
        if (status.ok()) {
            *result = std::make_unique<UnreadableFile>(std::move(file), broken_);
        }
        return status;
    }

  private:
    const std::atomic<bool>& broken_;
};

// What lies in a table that cannot be read is an error of whoever asks for it, what is in memory is
// answered, and so is everything once the disk answers again. Writes may be refused until the next
// start: the engine compacts when it likes, and gives up when it cannot read.
TEST(BrokenDisk, AFailedReadIsAClearErrorAndNothingElse) {
    char pattern[] = "/tmp/hearth-unread-XXXXXX";
    const std::string root = mkdtemp(pattern);
    const auto key_of = [](int number) { return fmt::format("old{:04}", number); };
    {
        auto kv = OpenRocksDb(root + "/kv");
        ASSERT_TRUE(kv.ok());
        for (int number = 0; number < 1'000; ++number) {
            ASSERT_TRUE(rt::RunTask((*kv)->Put(key_of(number), std::string(2'000, 'x'))).ok());
        }
    }
    std::atomic<bool> broken = false;
    const auto env = rocksdb::NewCompositeEnv(std::make_shared<UnreadableFileSystem>(broken));
    RocksDbOptions options;
    options.env = env.get();
    auto kv = OpenRocksDb(root + "/kv", options);
    ASSERT_TRUE(kv.ok()) << kv.error().message();
    ASSERT_TRUE(rt::RunTask((*kv)->Put("new", "1")).ok());
    // Opens the table, but brings few of its blocks into memory.
    ASSERT_TRUE(rt::RunTask((*kv)->Get(key_of(0))).ok());
    broken = true;
    const auto read = rt::RunTask((*kv)->Get(key_of(999)));
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().kind(), Error::Kind::kInternal);
    EXPECT_NE(read.error().message().find("Input/output error"), std::string::npos);
    const auto page = rt::RunTask((*kv)->Range({.begin = "old", .end = "ole", .limit = 1'000}));
    ASSERT_FALSE(page.ok());
    EXPECT_EQ(page.error().kind(), Error::Kind::kInternal);
    // A transaction that cannot read what it depends on changes nothing.
    const Kv::Body body = [&](Transaction& transaction) -> Task<Status> {
        transaction.Put("half", "1");
        HEARTH_CO_TRY(const auto old, co_await transaction.Get(key_of(998)));
        co_return Status();
    };
    EXPECT_FALSE(rt::RunTask((*kv)->Transact(body)).ok());
    EXPECT_EQ(rt::RunTask((*kv)->Get("new")).value(), "1");
    broken = false;
    EXPECT_EQ(rt::RunTask((*kv)->Get(key_of(999))).value(), std::string(2'000, 'x'));
    EXPECT_EQ(rt::RunTask((*kv)->Get("half")).value(), std::nullopt);
    kv->reset();
    kv = OpenRocksDb(root + "/kv");
    ASSERT_TRUE(kv.ok()) << kv.error().message();
    EXPECT_EQ(rt::RunTask((*kv)->Get("new")).value(), "1");
    EXPECT_TRUE(rt::RunTask((*kv)->Put("newer", "1")).ok());
    kv->reset();
    std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace hearth::storage
