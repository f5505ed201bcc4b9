#include "hearth/cloud/master_key_check.h"

#include "storage/memory/memory_kv.h"
#include "testing/run_task.h"

#include <gtest/gtest.h>

namespace hearth::cloud {
namespace {

TEST(MasterKeyCheck, TakesTheFirstKeyAndNoOther) {
    const std::unique_ptr<storage::Kv> store = storage::MakeMemoryKv();
    storage::Kv& kv = *store;
    const codec::MasterKey first({1});
    const codec::MasterKey other({2});
    EXPECT_TRUE(testing::RunTask(CheckMasterKey(kv, first)).ok());
    EXPECT_TRUE(testing::RunTask(CheckMasterKey(kv, first)).ok());
    EXPECT_FALSE(testing::RunTask(CheckMasterKey(kv, other)).ok());
    EXPECT_TRUE(testing::RunTask(CheckMasterKey(kv, first)).ok());
}

}  // namespace
}  // namespace hearth::cloud
