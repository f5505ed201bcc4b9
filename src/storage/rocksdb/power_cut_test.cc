#include "rt/loops.h"
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

// Power cuts: the engine's writes and syncs are recorded, and the disk is rebuilt as it would be
// after a cut at a sync boundary. Fault model: of a file, what was synced is there, and of the rest
// a random beginning; a name (made, renamed, removed) counts once its directory was synced, before
// that by chance. Every acknowledged write must be there after the cut.
namespace hearth::storage {
namespace {

struct Operation {
    enum class Type { kCreate, kAppend, kTruncate, kSync, kRename, kRemove, kSyncDirectory };

    Type type;
    // Of the file's contents; names move, contents stay.
    int file = -1;
    std::string name;
    std::string target;
    std::string bytes;
    uint64_t size = 0;
};

class Recording final {
  public:
    int Create(const std::string& name) {
        const std::lock_guard lock(mutex_);
        const int file = next_file_++;
        operations_.push_back({.type = Operation::Type::kCreate, .file = file, .name = name});
        return file;
    }

    void Add(Operation operation) {
        const std::lock_guard lock(mutex_);
        operations_.push_back(std::move(operation));
    }

    size_t size() const {
        const std::lock_guard lock(mutex_);
        return operations_.size();
    }

    const std::vector<Operation>& operations() const { return operations_; }

  private:
    mutable std::mutex mutex_;
    std::vector<Operation> operations_;
    int next_file_ = 0;
};

class RecordedFile final : public rocksdb::FSWritableFileOwnerWrapper {
  public:
    RecordedFile(std::unique_ptr<rocksdb::FSWritableFile>&& file, Recording& recording, int id)
        : FSWritableFileOwnerWrapper(std::move(file)), recording_(recording), id_(id) {}

    using FSWritableFileOwnerWrapper::Append;

    rocksdb::IOStatus Append(
        const rocksdb::Slice& data,
        const rocksdb::IOOptions& options,
        rocksdb::IODebugContext* debug) override {
        recording_.Add({.type = Operation::Type::kAppend, .file = id_, .bytes = data.ToString()});
        return FSWritableFileOwnerWrapper::Append(data, options, debug);
    }

    rocksdb::IOStatus Truncate(
        uint64_t size, const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
        recording_.Add({.type = Operation::Type::kTruncate, .file = id_, .size = size});
        return FSWritableFileOwnerWrapper::Truncate(size, options, debug);
    }

    // The recording is the disk: what it has seen synced is safe, and the real sync is not needed.
    rocksdb::IOStatus Sync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
        recording_.Add({.type = Operation::Type::kSync, .file = id_});
        return rocksdb::IOStatus::OK();
    }

    rocksdb::IOStatus Fsync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
        recording_.Add({.type = Operation::Type::kSync, .file = id_});
        return rocksdb::IOStatus::OK();
    }

  private:
    Recording& recording_;
    const int id_;
};

class RecordedDirectory final : public rocksdb::FSDirectory {
  public:
    explicit RecordedDirectory(Recording& recording) : recording_(recording) {}

    rocksdb::IOStatus Fsync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
        recording_.Add({.type = Operation::Type::kSyncDirectory});
        return rocksdb::IOStatus::OK();
    }

    size_t GetUniqueId(char*, size_t) const override { return 0; }

  private:
    Recording& recording_;
};

class RecordingFileSystem final : public rocksdb::FileSystemWrapper {
  public:
    explicit RecordingFileSystem(Recording& recording)
        : FileSystemWrapper(rocksdb::FileSystem::Default()), recording_(recording) {}

    const char* Name() const override { return "RecordingFileSystem"; }

    rocksdb::IOStatus NewWritableFile(
        const std::string& name,
        const rocksdb::FileOptions& options,
        std::unique_ptr<rocksdb::FSWritableFile>* result,
        rocksdb::IODebugContext* debug) override {
        std::unique_ptr<rocksdb::FSWritableFile> file;
        rocksdb::IOStatus status = FileSystemWrapper::NewWritableFile(name, options, &file, debug);
        if (status.ok()) {
            const int id = recording_.Create(name);
            *result = std::make_unique<RecordedFile>(std::move(file), recording_, id);
        }
        return status;
    }

    rocksdb::IOStatus ReuseWritableFile(
        const std::string&,
        const std::string&,
        const rocksdb::FileOptions&,
        std::unique_ptr<rocksdb::FSWritableFile>*,
        rocksdb::IODebugContext*) override {
        return rocksdb::IOStatus::NotSupported("logs are never reused");
    }

    rocksdb::IOStatus NewDirectory(
        const std::string&,
        const rocksdb::IOOptions&,
        std::unique_ptr<rocksdb::FSDirectory>* result,
        rocksdb::IODebugContext*) override {
        *result = std::make_unique<RecordedDirectory>(recording_);
        return rocksdb::IOStatus::OK();
    }

    rocksdb::IOStatus RenameFile(
        const std::string& from,
        const std::string& to,
        const rocksdb::IOOptions& options,
        rocksdb::IODebugContext* debug) override {
        recording_.Add({.type = Operation::Type::kRename, .name = from, .target = to});
        return FileSystemWrapper::RenameFile(from, to, options, debug);
    }

    rocksdb::IOStatus DeleteFile(
        const std::string& name,
        const rocksdb::IOOptions& options,
        rocksdb::IODebugContext* debug) override {
        recording_.Add({.type = Operation::Type::kRemove, .name = name});
        return FileSystemWrapper::DeleteFile(name, options, debug);
    }

  private:
    Recording& recording_;
};

// The disk while the recording plays.
class Disk final {
  public:
    void Play(const Operation& operation) {
        using Type = Operation::Type;
        switch (operation.type) {
            case Type::kCreate:
                names_[operation.name] = operation.file;
                files_[operation.file] = {};
                break;
            case Type::kAppend:
                files_[operation.file].bytes += operation.bytes;
                break;
            case Type::kTruncate: {
                File& file = files_[operation.file];
                file.bytes.resize(operation.size);
                file.synced = std::min<size_t>(file.synced, operation.size);
                break;
            }
            case Type::kSync: {
                File& file = files_[operation.file];
                file.synced = file.bytes.size();
                break;
            }
            case Type::kRename:
                names_[operation.target] = names_.at(operation.name);
                names_.erase(operation.name);
                break;
            case Type::kRemove:
                names_.erase(operation.name);
                break;
            case Type::kSyncDirectory:
                synced_names_ = names_;
                break;
        }
    }

    // Puts what is left after a cut into `directory`.
    void CutInto(const std::string& directory, std::mt19937_64& random) const {
        std::filesystem::create_directories(directory);
        const auto& names = random() % 2 == 0 ? synced_names_ : names_;
        for (const auto& [name, id] : names) {
            const File& file = files_.at(id);
            size_t kept = file.synced;
            if (const size_t unsynced = file.bytes.size() - file.synced; unsynced > 0) {
                kept += random() % (unsynced + 1);
            }
            std::ofstream out(
                directory + "/" + std::filesystem::path(name).filename().string(),
                std::ios::binary);
            out.write(file.bytes.data(), static_cast<std::streamsize>(kept));
        }
    }

  private:
    struct File {
        std::string bytes;
        size_t synced = 0;
    };

    std::map<int, File> files_;
    std::map<std::string, int> names_;
    std::map<std::string, int> synced_names_;
};

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

}  // namespace
}  // namespace hearth::storage
