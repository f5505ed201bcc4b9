#include "services/lambda/code_store.h"

#include "rt/task_group.h"
#include "testing/run_task.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace hearth::lambda {
namespace {

namespace fs = std::filesystem;

using hearth::testing::RunTask;

// A stored zip with one file "a" holding "1": made once by hand, so that the test needs no writer.
std::string SmallZip() {
    const auto u16 = [](unsigned v) {
        return std::string{static_cast<char>(v & 0xff), static_cast<char>(v >> 8)};
    };
    const auto u32 = [&](uint32_t v) { return u16(v & 0xffff) + u16(v >> 16); };
    const std::string common = u16(20) + u16(0) + u16(0) + u16(0) + u16(0x21) +
                               u32(0x83dcefb7) /* crc of "1" */ + u32(1) + u32(1) + u16(1) + u16(0);
    const std::string local = u32(0x04034b50) + common + "a" + "1";
    const std::string central = u32(0x02014b50) + u16(3 << 8 | 20) + common + u16(0) + u16(0) +
                                u16(0) + u32(0100644u << 16) + u32(0) + "a";
    return local + central + u32(0x06054b50) + u16(0) + u16(0) + u16(1) + u16(1) +
           u32(static_cast<uint32_t>(central.size())) + u32(static_cast<uint32_t>(local.size())) +
           u16(0);
}

class BlobsInMemory final : public storage::BlobStore {
  public:
    Task<Status> Put(std::string_view id, std::string bytes) override {
        const std::lock_guard lock(mutex_);
        blobs_.emplace(id, std::move(bytes));
        co_return Status();
    }

    Task<Result<std::string>> Read(std::string_view id, uint64_t) override {
        const std::lock_guard lock(mutex_);
        ++reads;
        const auto it = blobs_.find(std::string(id));
        if (it == blobs_.end()) {
            co_return Error(Error::Kind::kNotFound, "", "no such blob", 404);
        }
        co_return it->second;
    }

    Task<Status> Delete(std::string_view id) override {
        const std::lock_guard lock(mutex_);
        blobs_.erase(std::string(id));
        co_return Status();
    }

    std::string PathOf(std::string_view id) const override { return std::string(id); }

    size_t size() const { return blobs_.size(); }

    int reads = 0;

  private:
    std::mutex mutex_;
    std::map<std::string, std::string> blobs_;
};

class CodeStoreTest : public ::testing::Test {
  protected:
    CodeStoreTest() : random_(Random::Seeded(3)) {
        std::string name = fs::temp_directory_path() / "hearth_code_XXXXXX";
        parent_ = mkdtemp(name.data());
        directory_ = parent_ / "code";
        Restart("boot-1");
    }

    ~CodeStoreTest() override {
        store_.reset();
        pool_.reset();
        std::error_code ignored;
        fs::remove_all(parent_, ignored);
    }

    // What a new process finds. Joins what the old one had still to remove.
    std::vector<std::string> Restart(const std::string& boot_id) {
        store_.reset();
        pool_ = std::make_unique<rt::BlockingPool>(rt::BlockingPool::Options{});
        store_ = std::make_unique<CodeStore>(blobs_, *pool_, *random_, directory_.string());
        const auto ids = store_->Prepare(boot_id);
        EXPECT_TRUE(ids.ok()) << ids.error().message();
        return *ids;
    }

    std::string Add() {
        const std::string zip = SmallZip();
        const auto added = RunTask(store_->Add(zip));
        EXPECT_TRUE(added.ok()) << added.error().message();
        EXPECT_EQ(added->unzipped_bytes, 1) << "one file of one byte";
        return added->id;
    }

    static std::string Content(const CodeDirectory& directory) {
        std::ifstream in(directory.path() + "/a");
        return {std::istreambuf_iterator<char>(in), {}};
    }

    std::shared_ptr<Random> random_;
    BlobsInMemory blobs_;
    fs::path parent_;
    fs::path directory_;
    std::unique_ptr<rt::BlockingPool> pool_;
    std::unique_ptr<CodeStore> store_;
};

TEST_F(CodeStoreTest, AddedCodeIsThereAtOnce) {
    const std::string id = Add();
    const auto directory = RunTask(store_->Open(id));
    ASSERT_TRUE(directory.ok()) << directory.error().message();
    EXPECT_EQ(Content(**directory), "1");
    EXPECT_EQ(blobs_.reads, 0) << "nothing had to be unpacked again";
    struct stat about{};
    ASSERT_EQ(stat((*directory)->path().c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 07777, 0755u) << "the function's user must be able to read it";
}

TEST_F(CodeStoreTest, ZipsThatAreNoneAreRefusedAndLeaveNothing) {
    const std::string zip = "this is not a zip";
    const auto id = RunTask(store_->Add(zip));
    ASSERT_FALSE(id.ok());
    EXPECT_EQ(id.error().code(), "InvalidParameterValueException");
    EXPECT_EQ(
        id.error().message(),
        "Could not unzip uploaded file. Please check your file, then try to upload again.");
    EXPECT_EQ(blobs_.size(), 0u);
    EXPECT_TRUE(Restart("boot-1").empty());
}

TEST_F(CodeStoreTest, SurvivesARestartButNotAReboot) {
    const std::string id = Add();
    EXPECT_EQ(Restart("boot-1"), std::vector<std::string>{id});
    EXPECT_TRUE(Restart("boot-2").empty()) << "a power cut may have torn it";
    const auto directory = RunTask(store_->Open(id));
    ASSERT_TRUE(directory.ok());
    EXPECT_EQ(Content(**directory), "1");
    EXPECT_EQ(blobs_.reads, 1);
}

TEST_F(CodeStoreTest, ASweepTakesWhatNoRecordNames) {
    const std::string kept = Add();
    const std::string orphan = Add();
    const auto unpacked = Restart("boot-1");
    EXPECT_EQ(unpacked.size(), 2u);
    const CodeStore::IsKnown is_known = [&](std::string_view id) -> Task<Result<bool>> {
        co_return id == kept;
    };
    ASSERT_TRUE(RunTask(store_->Sweep(unpacked, is_known)).ok());
    EXPECT_EQ(blobs_.size(), 1u);
    EXPECT_TRUE(RunTask(store_->Open(kept)).ok());
    EXPECT_EQ(Restart("boot-1"), std::vector<std::string>{kept});
}

TEST_F(CodeStoreTest, LeftoversOfAKilledProcessAreRemoved) {
    fs::create_directories(directory_ / ".unpacking-0011/deep");
    fs::create_directories(parent_ / "code-old-0011/deep");
    Restart("boot-1");
    store_.reset();
    pool_.reset();  // joins the removals
    EXPECT_FALSE(fs::exists(directory_ / ".unpacking-0011"));
    EXPECT_FALSE(fs::exists(parent_ / "code-old-0011"));
}

TEST_F(CodeStoreTest, ConcurrentFirstCallsUnpackOnce) {
    const std::string id = Add();
    Restart("boot-2");
    const auto all = [&]() -> Task<int> {
        int good = 0;
        rt::TaskGroup group;
        for (int i = 0; i < 20; ++i) {
            group.Spawn([&]() -> Task<void> {
                const auto directory = co_await store_->Open(id);
                good += directory.ok() && Content(**directory) == "1" ? 1 : 0;
            });
        }
        co_await group.Join();
        co_return good;
    };
    EXPECT_EQ(RunTask(all()), 20);
    EXPECT_EQ(blobs_.reads, 1);
}

TEST_F(CodeStoreTest, MissingCodeIsAnErrorForEveryCaller) {
    const auto all = [&]() -> Task<int> {
        int failed = 0;
        rt::TaskGroup group;
        for (int i = 0; i < 5; ++i) {
            group.Spawn([&]() -> Task<void> {
                const auto directory = co_await store_->Open("00112233");
                failed += directory.ok() ? 0 : 1;
            });
        }
        co_await group.Join();
        co_return failed;
    };
    EXPECT_EQ(RunTask(all()), 5);
}

TEST_F(CodeStoreTest, DroppedCodeStaysUntilItsLastHolderLetsGo) {
    const std::string id = Add();
    auto directory = RunTask(store_->Open(id));
    ASSERT_TRUE(directory.ok());
    std::shared_ptr<const CodeDirectory> held = *directory;
    directory = Error(Error::Kind::kNotFound, "", "", 404);
    RunTask(store_->Drop(id));
    EXPECT_EQ(Content(*held), "1") << "a busy environment still runs from it";
    EXPECT_EQ(blobs_.size(), 0u);
    const std::string path = held->path();
    held.reset();
    store_.reset();
    pool_.reset();  // joins the removals
    EXPECT_FALSE(fs::exists(path));
}

// Where overlayfs is missing: hard links, with the rules that overlayfs has.
TEST_F(CodeStoreTest, MergedDirectoriesLookLikeLayersOverEachOther) {
    const auto put = [&](const std::string& path, const std::string& text) {
        fs::create_directories((directory_ / path).parent_path());
        std::ofstream(directory_ / path) << text;
    };
    put("one/lib/a", "1");
    put("one/lib/only", "1");
    put("one/swap/inner", "1");
    put("one/file", "1");
    put("one/linked/x", "1");
    put("two/lib/a", "2");
    put("two/swap", "2");
    put("two/file/inner", "2");
    put("two/a", "2");
    fs::create_directory_symlink("/etc", directory_ / "two/linked");
    put("three/a", "3");
    const auto merged = RunTask(store_->OpenMerged({"one", "two", "three"}));
    ASSERT_TRUE(merged.ok()) << merged.error().message();
    const fs::path root = (*merged)->path();
    const auto read = [&](const std::string& path) {
        std::ifstream in(root / path);
        return std::string(std::istreambuf_iterator<char>(in), {});
    };
    EXPECT_EQ(read("a"), "3");
    EXPECT_EQ(read("lib/a"), "2");
    EXPECT_EQ(read("lib/only"), "1");
    EXPECT_EQ(read("swap"), "2");
    EXPECT_EQ(read("file/inner"), "2");
    EXPECT_TRUE(fs::is_symlink(root / "linked"));
    EXPECT_FALSE(fs::exists("/etc/x"));
    EXPECT_EQ(fs::status(root / "lib").permissions(), static_cast<fs::perms>(0755));
    EXPECT_EQ(RunTask(store_->OpenMerged({"one", "two", "three"})).value().get(), merged->get());
    EXPECT_NE(RunTask(store_->OpenMerged({"two", "one"})).value()->path(), (*merged)->path());
}

TEST_F(CodeStoreTest, MergedDirectoriesGoWithTheirPartsAndAreMadeAnewAfterAStart) {
    const std::string first = Add();
    const std::string second = Add();
    std::string path;
    {
        const auto merged = RunTask(store_->OpenMerged({first, second}));
        ASSERT_TRUE(merged.ok()) << merged.error().message();
        path = (*merged)->path();
        EXPECT_EQ(Content(**merged), "1");
        RunTask(store_->Drop(first));
        EXPECT_TRUE(fs::exists(path)) << "an environment still uses it";
    }
    const std::string third = Add();
    const auto kept = RunTask(store_->OpenMerged({second, third}));
    ASSERT_TRUE(kept.ok());
    const std::string kept_path = (*kept)->path();
    EXPECT_EQ(Restart("boot-1").size(), 2u) << "the two that were not dropped, and no merged one";
    Restart("boot-1");
    EXPECT_FALSE(fs::exists(path));
    EXPECT_FALSE(fs::exists(kept_path));
}

}  // namespace
}  // namespace hearth::lambda
