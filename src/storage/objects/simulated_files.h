#pragma once

#include "storage/objects/body_files.h"
#include "storage/objects/object_bodies.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace hearth::storage {

// A disk in memory that knows what a cut of power would leave, for tests.
//
// Fault model: of a file, what was synced is there; of each write behind that by chance all, a
// beginning, or nothing. A name (made or removed) counts once its directory was synced, before that
// by chance, and nothing is left below a directory whose own name is lost.
class SimulatedFiles final : public BodyFiles {
  public:
    // Everything on the disk.
    struct Image {
        std::map<std::string, std::string> files;
        std::set<std::string> directories;
    };

    SimulatedFiles() = default;

    explicit SimulatedFiles(Image image) {
        for (auto& [path, bytes] : image.files) {
            auto inode = std::make_shared<Inode>();
            inode->bytes = std::move(bytes);
            inode->durable = inode->bytes;
            names_[path] = inode;
        }
        for (const std::string& path : image.directories) {
            names_[path] = nullptr;
        }
        durable_names_ = names_;
    }

    // Called before each step that changes something, with the disk locked; an error is the step's.
    std::function<Status(const std::string& step)> before_step;
    // Called before each read of a file, with the disk locked; an error is the read's.
    std::function<Status(const std::string& path)> before_read;
    uint64_t free_bytes = uint64_t{1} << 40;

    // Nothing happens on the disk while `look` runs, as within before_step.
    void WhileStill(const std::function<void()>& look) const {
        const std::lock_guard lock(mutex_);
        look();
    }

    // Within before_step or WhileStill only.
    Image Cut(std::mt19937_64& random) const {
        std::map<std::string, std::shared_ptr<Inode>> names = durable_names_;
        for (const auto& [path, inode] : names_) {
            if (!durable_names_.contains(path) && random() % 2 == 0) {
                names[path] = inode;
            }
        }
        for (const auto& [path, inode] : durable_names_) {
            if (!names_.contains(path) && random() % 2 == 0) {
                names.erase(path);
            }
        }
        Image image;
        // In order, so that a directory comes before what is in it.
        for (const auto& [path, inode] : names) {
            const std::string parent = ParentOf(path);
            if (!parent.empty() && !image.directories.contains(parent)) {
                continue;
            }
            if (inode == nullptr) {
                image.directories.insert(path);
            } else {
                image.files[path] = inode->AfterCut(random);
            }
        }
        return image;
    }

    Image Now() const {
        const std::lock_guard lock(mutex_);
        Image image;
        for (const auto& [path, inode] : names_) {
            if (inode == nullptr) {
                image.directories.insert(path);
            } else {
                image.files[path] = inode->bytes;
            }
        }
        return image;
    }

    Result<std::unique_ptr<File>> Make(const std::string& path) override {
        const std::lock_guard lock(mutex_);
        HEARTH_RETURN_IF_ERROR(Step("make"));
        if (names_.contains(path) || !HasParent(path)) {
            return errors::Internal("cannot make " + path);
        }
        auto inode = std::make_shared<Inode>();
        names_[path] = inode;
        return std::unique_ptr<File>(std::make_unique<SimulatedFile>(*this, path, inode));
    }

    Result<std::unique_ptr<File>> Open(const std::string& path) override {
        const std::lock_guard lock(mutex_);
        const auto found = names_.find(path);
        if (found == names_.end() || found->second == nullptr) {
            return Error(Error::Kind::kNotFound, kBodyGone, "no file", 500);
        }
        return std::unique_ptr<File>(std::make_unique<SimulatedFile>(*this, path, found->second));
    }

    Result<bool> MakeDirectory(const std::string& path) override {
        const std::lock_guard lock(mutex_);
        if (names_.contains(path)) {
            return false;
        }
        HEARTH_RETURN_IF_ERROR(Step("make directory"));
        if (!HasParent(path)) {
            return errors::Internal("cannot make " + path);
        }
        names_[path] = nullptr;
        return true;
    }

    Status SyncDirectory(const std::string& path) override {
        const std::lock_guard lock(mutex_);
        HEARTH_RETURN_IF_ERROR(Step("sync directory"));
        const std::string directory = path == "." ? "" : path;
        std::erase_if(durable_names_, [&](const auto& name) {
            return ParentOf(name.first) == directory && !names_.contains(name.first);
        });
        for (const auto& [name, inode] : names_) {
            if (ParentOf(name) == directory) {
                durable_names_[name] = inode;
            }
        }
        return Status();
    }

    Result<bool> Remove(const std::string& path) override {
        const std::lock_guard lock(mutex_);
        if (!names_.contains(path)) {
            return false;
        }
        HEARTH_RETURN_IF_ERROR(Step("remove"));
        names_.erase(path);
        return true;
    }

    Result<bool> RemoveDirectory(const std::string& path) override {
        const std::lock_guard lock(mutex_);
        const auto child = names_.lower_bound(path + "/");
        if (!names_.contains(path) ||
            (child != names_.end() && child->first.starts_with(path + "/"))) {
            return false;
        }
        HEARTH_RETURN_IF_ERROR(Step("remove directory"));
        names_.erase(path);
        return true;
    }

    Result<std::vector<std::string>> List(const std::string& path) override {
        const std::lock_guard lock(mutex_);
        const std::string directory = path == "." ? "" : path;
        std::vector<std::string> found;
        for (const auto& [name, inode] : names_) {
            if (ParentOf(name) == directory) {
                found.push_back(name.substr(directory.empty() ? 0 : directory.size() + 1));
            }
        }
        return found;
    }

    Result<uint64_t> FreeBytes() override { return free_bytes; }

  private:
    struct Inode {
        struct Write {
            uint64_t offset;
            std::string bytes;
        };

        static void Apply(std::string& to, const Write& write) {
            if (to.size() < write.offset + write.bytes.size()) {
                to.resize(write.offset + write.bytes.size());
            }
            to.replace(write.offset, write.bytes.size(), write.bytes);
        }

        std::string AfterCut(std::mt19937_64& random) const {
            std::string left = durable;
            for (const Write& write : unsynced) {
                switch (random() % 3) {
                    case 0:
                        Apply(left, write);
                        break;
                    case 1:
                        Apply(
                            left,
                            {write.offset,
                             write.bytes.substr(0, random() % (write.bytes.size() + 1))});
                        break;
                    default:
                        break;
                }
            }
            return left;
        }

        std::string bytes;
        std::string durable;
        std::vector<Write> unsynced;
    };

    class SimulatedFile final : public File {
      public:
        SimulatedFile(SimulatedFiles& disk, std::string path, std::shared_ptr<Inode> inode)
            : disk_(disk), path_(std::move(path)), inode_(std::move(inode)) {}

        Status Write(uint64_t offset, std::string_view bytes) override {
            const std::lock_guard lock(disk_.mutex_);
            HEARTH_RETURN_IF_ERROR(disk_.Step("write"));
            Inode::Write write{offset, std::string(bytes)};
            Inode::Apply(inode_->bytes, write);
            inode_->unsynced.push_back(std::move(write));
            return Status();
        }

        Status Read(uint64_t offset, std::span<iovec> parts) override {
            const std::lock_guard lock(disk_.mutex_);
            if (disk_.before_read) {
                HEARTH_RETURN_IF_ERROR(disk_.before_read(path_));
            }
            for (const iovec& part : parts) {
                if (inode_->bytes.size() < offset + part.iov_len) {
                    return Error(Error::Kind::kInternal, kBodyDamaged, "short file", 500);
                }
                std::memcpy(part.iov_base, inode_->bytes.data() + offset, part.iov_len);
                offset += part.iov_len;
            }
            return Status();
        }

        Status Sync() override {
            const std::lock_guard lock(disk_.mutex_);
            HEARTH_RETURN_IF_ERROR(disk_.Step("sync"));
            inode_->durable = inode_->bytes;
            inode_->unsynced.clear();
            return Status();
        }

        Status Reserve(uint64_t) override {
            const std::lock_guard lock(disk_.mutex_);
            return disk_.Step("reserve");
        }

        void StartWriteBack(uint64_t, uint64_t) override {}

        void WillReadAll() override {}

        Status EndAt(uint64_t bytes) override {
            const std::lock_guard lock(disk_.mutex_);
            inode_->bytes.resize(bytes);
            return Status();
        }

        Result<uint64_t> Size() override {
            const std::lock_guard lock(disk_.mutex_);
            return uint64_t{inode_->bytes.size()};
        }

      private:
        SimulatedFiles& disk_;
        const std::string path_;
        const std::shared_ptr<Inode> inode_;
    };

    static std::string ParentOf(const std::string& path) {
        const size_t slash = path.rfind('/');
        return slash == std::string::npos ? "" : path.substr(0, slash);
    }

    bool HasParent(const std::string& path) const {
        const std::string parent = ParentOf(path);
        return parent.empty() || names_.contains(parent);
    }

    Status Step(const std::string& step) { return before_step ? before_step(step) : Status(); }

    mutable std::mutex mutex_;
    // Null: a directory.
    std::map<std::string, std::shared_ptr<Inode>> names_;
    std::map<std::string, std::shared_ptr<Inode>> durable_names_;
};

}  // namespace hearth::storage
