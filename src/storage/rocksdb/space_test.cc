#include "rt/loops.h"
#include "storage/rocksdb/rocksdb_kv.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <random>
#include <thread>

namespace hearth::storage {
namespace {

uint64_t BytesOf(const std::string& directory) {
    uint64_t bytes = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        std::error_code gone;
        const uint64_t size = entry.is_regular_file(gone) ? entry.file_size(gone) : 0;
        bytes += gone ? 0 : size;
    }
    return bytes;
}

// Deletions are small: they must not wait for as many bytes to be written as they took away.
TEST(Space, WhatWasDeletedGivesItsRoomBack) {
    constexpr int kValues = 3'000;
    char pattern[] = "/tmp/hearth-space-XXXXXX";
    const std::string root = mkdtemp(pattern);
    RocksDbOptions options;
    options.durability = Durability::kRelaxed;
    std::mt19937_64 random(1);
    const auto fill = [&](Kv& kv) -> Task<void> {
        std::string value(8'000, '\0');
        for (int i = 0; i < kValues; ++i) {
            for (size_t at = 0; at < value.size(); at += 8) {
                const uint64_t some = random();
                value.replace(at, 8, reinterpret_cast<const char*>(&some), 8);
            }
            EXPECT_TRUE((co_await kv.Put(fmt::format("i{:08}", i), value)).ok());
        }
    };
    const auto empty = [&](Kv& kv) -> Task<void> {
        for (int i = 0; i < kValues; ++i) {
            EXPECT_TRUE((co_await kv.Delete(fmt::format("i{:08}", i))).ok());
        }
    };
    {
        auto kv = OpenRocksDb(root + "/kv", options);
        ASSERT_TRUE(kv.ok());
        rt::RunTask(fill(**kv));
    }
    EXPECT_GT(BytesOf(root), kValues * 8'000u * 9 / 10);
    {
        auto kv = OpenRocksDb(root + "/kv", options);
        ASSERT_TRUE(kv.ok());
        rt::RunTask(empty(**kv));
    }
    auto kv = OpenRocksDb(root + "/kv", options);
    ASSERT_TRUE(kv.ok());
    // In the background of the next start, if not before.
    while (BytesOf(root) > kValues * 8'000u / 20) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(rt::RunTask((*kv)->Get("i00000000")).value(), std::nullopt);
    kv->reset();
    std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace hearth::storage
