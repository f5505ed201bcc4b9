#include "storage/blob/file_blob_store.h"

#include "rt/loops.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace hearth::storage {
namespace {

using rt::RunTask;

class FileBlobStoreTest : public ::testing::Test {
  protected:
    FileBlobStoreTest() {
        char pattern[] = "/tmp/hearth-blobs-XXXXXX";
        root_ = mkdtemp(pattern);
        Open();
    }

    ~FileBlobStoreTest() override { std::filesystem::remove_all(root_); }

    void Open() {
        auto opened = OpenFileBlobStore(root_ + "/blobs", pool_);
        ASSERT_TRUE(opened.ok()) << opened.error().message();
        store_ = *std::move(opened);
    }

    std::string root_;
    rt::BlockingPool pool_{{}};
    std::unique_ptr<FileBlobStore> store_;
};

TEST_F(FileBlobStoreTest, KeepsBytesUnderTheirId) {
    const std::string bytes(3'000'000, '\xfe');
    EXPECT_TRUE(RunTask(store_->Put("a-B_9", bytes)).ok());
    Open();
    EXPECT_EQ(*RunTask(store_->Read("a-B_9", bytes.size())), bytes);
    EXPECT_FALSE(RunTask(store_->Read("a-B_9", bytes.size() - 1)).ok());
    EXPECT_EQ(store_->PathOf("a-B_9"), root_ + "/blobs/a-B_9");
    EXPECT_TRUE(RunTask(store_->Delete("a-B_9")).ok());
    EXPECT_TRUE(RunTask(store_->Delete("a-B_9")).ok());
    EXPECT_EQ(RunTask(store_->Read("a-B_9", 1)).error().kind(), Error::Kind::kNotFound);
}

TEST_F(FileBlobStoreTest, AnExistingBlobIsLeftAsItIs) {
    EXPECT_TRUE(RunTask(store_->Put("id", "first")).ok());
    EXPECT_TRUE(RunTask(store_->Put("id", "second")).ok());
    EXPECT_EQ(*RunTask(store_->Read("id", 100)), "first");
}

TEST_F(FileBlobStoreTest, IdsCannotLeaveTheDirectory) {
    const std::string too_long(129, 'a');
    for (const std::string_view id : {"", "..", "../x", "a/b", ".new-1", "a.b", too_long.c_str()}) {
        EXPECT_FALSE(RunTask(store_->Put(id, "x")).ok()) << id;
        EXPECT_FALSE(RunTask(store_->Read(id, 1)).ok()) << id;
        EXPECT_FALSE(RunTask(store_->Delete(id)).ok()) << id;
    }
}

TEST_F(FileBlobStoreTest, WhatADeadWriterLeftIsRemovedAtTheNextStart) {
    std::ofstream(root_ + "/blobs/.new-7") << "half";
    Open();
    EXPECT_FALSE(std::filesystem::exists(root_ + "/blobs/.new-7"));
}

TEST_F(FileBlobStoreTest, SweepTakesOnlyOldOrphans) {
    for (const char* id : {"kept", "orphan"}) {
        EXPECT_TRUE(RunTask(store_->Put(id, "x")).ok());
    }
    const auto only_kept = [](std::string_view id) -> Task<Result<bool>> {
        co_return id == "kept";
    };
    EXPECT_EQ(*RunTask(store_->Sweep(only_kept, std::chrono::hours(1))), 0u);
    EXPECT_EQ(*RunTask(store_->Sweep(only_kept, std::chrono::seconds(0))), 1u);
    EXPECT_TRUE(RunTask(store_->Read("kept", 1)).ok());
    EXPECT_FALSE(RunTask(store_->Read("orphan", 1)).ok());
}

}  // namespace
}  // namespace hearth::storage
