#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

// The engine's writes and syncs are recorded, and the disk is rebuilt as it would be after a cut of
// power, for tests.
//
// Fault model: of a file, what was synced is there, and of the rest a random beginning; a name
// (made, renamed, removed) counts once its directory was synced, before that by chance.
namespace hearth::storage {

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
    // Called before and after each sync, from any of the engine's threads.
    std::function<void()> around_sync;

    int Create(const std::string& name) {
        const std::lock_guard lock(mutex_);
        const int file = next_file_++;
        operations_.push_back({.type = Operation::Type::kCreate, .file = file, .name = name});
        return file;
    }

    void Add(Operation operation) {
        const bool is_sync = operation.type == Operation::Type::kSync ||
                             operation.type == Operation::Type::kSyncDirectory;
        if (is_sync && around_sync) {
            around_sync();
        }
        {
            const std::lock_guard lock(mutex_);
            operations_.push_back(std::move(operation));
        }
        if (is_sync && around_sync) {
            around_sync();
        }
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

}  // namespace hearth::storage
