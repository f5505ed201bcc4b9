#include "services/lambda/layer_store.h"

#include "services/lambda/layer_name.h"
#include "services/lambda/record_codec.h"
#include "storage/memory/memory_kv.h"
#include "testing/run_task.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace hearth::lambda {
namespace {

using hearth::testing::RunTask;

class LayerStoreTest : public ::testing::Test {
  protected:
    LayerStoreTest()
        : kv_(storage::MakeMemoryKv({.seed = 7, .conflict_per_mille = 200})), store_(*kv_) {}

    LayerKey Key(const std::string& name) { return {account_, region_, name}; }

    void Run(const std::function<Task<Status>(LayerTransaction&)>& body) {
        const storage::Kv::Body wrapped = [&](storage::Transaction& transaction) -> Task<Status> {
            LayerTransaction layers(transaction);
            co_return co_await body(layers);
        };
        const Status status = RunTask(kv_->Transact(wrapped));
        ASSERT_TRUE(status.ok()) << status.error().message();
    }

    void Publish(const std::string& name) {
        Run([&](LayerTransaction& layers) -> Task<Status> {
            LayerVersionRecord record;
            HEARTH_CO_TRY(record.version, co_await layers.NextVersion(Key(name)));
            layers.PutNextVersion(Key(name), record.version + 1);
            layers.PutVersion(Key(name), record);
            co_return Status();
        });
    }

    std::vector<int64_t> Numbers(const std::string& name, int64_t before, size_t limit) {
        const auto page = RunTask(store_.ListVersions(Key(name), before, limit));
        EXPECT_TRUE(page.ok());
        more_ = page->more;
        std::vector<int64_t> numbers;
        for (const LayerVersionRecord& record : page->versions) {
            numbers.push_back(record.version);
        }
        return numbers;
    }

    AccountId account_{"123456789012"};
    Region region_{"us-east-1"};
    std::unique_ptr<storage::Kv> kv_;
    LayerStore store_;
    bool more_ = false;
};

TEST_F(LayerStoreTest, RecordsComeBackAsTheyWere) {
    LayerVersionRecord record;
    record.version = 7;
    record.description = "words";
    record.license = "";
    record.runtimes = {"python3.12", "nodejs20.x"};
    record.architectures.emplace();
    record.created = WallClock::time_point(std::chrono::milliseconds(1'700'000'000'123));
    record.code_blob = "lambda-1";
    record.code_sha256 = "sha";
    record.code_size = 1;
    record.unzipped_size = 2;
    record.statements = {{"s1", "*", "o-1"}, {"s2", "123456789012", ""}};
    record.policy_revision = "r";
    const auto back = DecodeLayerVersion(EncodeLayerVersion(record), 7);
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(EncodeLayerVersion(*back), EncodeLayerVersion(record));
    EXPECT_EQ(back->license, "");
    EXPECT_EQ(back->runtimes, record.runtimes);
    ASSERT_TRUE(back->architectures);
    EXPECT_TRUE(back->architectures->empty()) << "given and empty is not the same as absent";
    EXPECT_EQ(back->created, record.created);
    EXPECT_EQ(back->statements[0].organization, "o-1");
    const auto plain = DecodeLayerVersion(EncodeLayerVersion(LayerVersionRecord()), 1);
    ASSERT_TRUE(plain.ok());
    EXPECT_FALSE(plain->license || plain->runtimes || plain->architectures);
}

TEST_F(LayerStoreTest, WhatANewerHearthAddsIsPassedOver) {
    std::string bytes = EncodeLayerVersion(LayerVersionRecord{.description = "d"});
    FieldWriter newer;
    newer.Text(200, "?");
    bytes += newer.Take().substr(1);
    const auto back = DecodeLayerVersion(bytes, 1);
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->description, "d");
    EXPECT_FALSE(DecodeLayerVersion(bytes.substr(0, bytes.size() - 1), 1).ok());
}

TEST_F(LayerStoreTest, NewestFirstAndPageByPage) {
    for (int i = 0; i < 12; ++i) {
        Publish("l");
    }
    Publish("la");
    EXPECT_EQ(Numbers("l", 0, 3), (std::vector<int64_t>{12, 11, 10}));
    EXPECT_TRUE(more_);
    EXPECT_EQ(Numbers("l", 10, 50), (std::vector<int64_t>{9, 8, 7, 6, 5, 4, 3, 2, 1}));
    EXPECT_FALSE(more_);
    EXPECT_EQ(Numbers("l", 3, 2), (std::vector<int64_t>{2, 1}));
    EXPECT_FALSE(more_) << "exactly as many as asked for";
    EXPECT_TRUE(Numbers("other", 0, 2).empty());
}

TEST_F(LayerStoreTest, ALayerWithoutVersionsKeepsItsCount) {
    Publish("l");
    Publish("l");
    for (const int64_t number : {1, 2}) {
        Run([&](LayerTransaction& layers) -> Task<Status> {
            layers.DeleteVersion(Key("l"), number);
            co_return Status();
        });
    }
    EXPECT_TRUE(Numbers("l", 0, 10).empty());
    Publish("l");
    EXPECT_EQ(Numbers("l", 0, 10), std::vector<int64_t>{3});
    const auto names = RunTask(store_.ListNames(account_, region_, "", 10));
    ASSERT_TRUE(names.ok());
    EXPECT_EQ(names->names, std::vector<std::string>{"l"});
}

TEST(LayerName, NamesAndArns) {
    const AccountId account("123456789012");
    const Region region("us-east-1");
    const auto plain = ParseLayerName("my_layer-1", account, region);
    ASSERT_TRUE(plain.ok());
    EXPECT_EQ(
        LayerArn(plain->account, plain->region, plain->name),
        "arn:aws:lambda:us-east-1:123456789012:layer:my_layer-1");
    const auto other =
        ParseLayerName("arn:aws-cn:lambda:eu-west-1:000000000001:layer:x", account, region);
    ASSERT_TRUE(other.ok());
    EXPECT_EQ(other->account, AccountId("000000000001"));
    EXPECT_EQ(other->region, Region("eu-west-1"));
    for (const char* text :
         {"",
          "a b",
          "a:1",
          "arn:aws:lambda:us-east-1:1:layer:x",
          "arn:aws:lambda:us-east-1:123456789012:layer:x:1",
          "arn:aws:lambda:us-east-1:123456789012:function:x",
          "arn:aws:s3:us-east-1:123456789012:layer:x",
          "arn:aws:lambda::123456789012:layer:x"}) {
        EXPECT_FALSE(ParseLayerName(text, account, region).ok()) << text;
    }
    const auto version =
        ParseLayerVersionArn("arn:aws:lambda:us-east-1:123456789012:layer:x:42", "arn");
    ASSERT_TRUE(version.ok());
    EXPECT_EQ(version->version, 42);
    EXPECT_TRUE(ParseLayerVersionArn(
                    "arn:aws:lambda:us-east-1:123456789012:layer:x:99999999999999999999", "arn")
                    .ok())
        << "well-formed, though no such version can be";
    for (const char* text :
         {"x:1",
          "arn:aws:lambda:us-east-1:123456789012:layer:x",
          "arn:aws:lambda:us-east-1:123456789012:layer:x:",
          "arn:aws:lambda:us-east-1:123456789012:layer:x:-1",
          "arn:aws:lambda:us-east-1:123456789012:layer:x:1a",
          "arn:aws:lambda:us-east-1:123456789012:layer:x:1:1"}) {
        EXPECT_FALSE(ParseLayerVersionArn(text, "arn").ok()) << text;
    }
}

}  // namespace
}  // namespace hearth::lambda
