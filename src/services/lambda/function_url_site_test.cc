#include "services/lambda/function_url_site.h"

#include "services/lambda/function_url_cors.h"
#include "services/lambda/function_url_store.h"
#include "storage/memory/memory_kv.h"
#include "testing/run_task.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hearth::lambda {
namespace {

using hearth::testing::RunTask;

FunctionUrlRecord Record(std::string id, std::string alias) {
    FunctionUrlRecord record;
    record.id = std::move(id);
    record.alias = std::move(alias);
    record.auth_type = "AWS_IAM";
    record.streaming = true;
    record.created = WallClock::time_point(std::chrono::milliseconds(1'700'000'000'123));
    record.modified = record.created + std::chrono::seconds(5);
    UrlCors cors;
    cors.allow_credentials = true;
    cors.max_age_s = 7;
    cors.allow_origins = {"https://a.example", "*"};
    cors.expose_headers.emplace();
    record.cors = cors;
    return record;
}

TEST(FunctionUrlText, StandsBelowTheNameOfTheEndpoint) {
    const Region region("eu-west-1");
    for (const auto& [endpoint, host] : std::initializer_list<std::pair<const char*, const char*>>{
             {"http://127.0.0.1:4566", "http://id.lambda-url.eu-west-1.localhost:4566/"},
             {"http://[::1]:4566", "http://id.lambda-url.eu-west-1.localhost:4566/"},
             {"https://localhost:1", "https://id.lambda-url.eu-west-1.localhost:1/"},
             {"http://App.LocalHost", "http://id.lambda-url.eu-west-1.localhost/"},
             {"http://192.0.2.1:4566", "http://id.lambda-url.eu-west-1.localhost:4566/"},
             {"https://Cloud.Example.com", "https://id.lambda-url.eu-west-1.cloud.example.com/"},
             {"http://hearth:4566/x", "http://id.lambda-url.eu-west-1.hearth:4566/"},
             {"http://", "http://id.lambda-url.eu-west-1.localhost/"}}) {
        EXPECT_EQ(FunctionUrlText(endpoint, "id", region), host) << endpoint;
    }
}

TEST(FunctionUrlCors, AnswersOnlyWhatIsAllowed) {
    UrlCors cors;
    EXPECT_TRUE(CorsAnswerHeaders(cors, "https://a.example").empty());
    cors.allow_origins = {"https://a.example"};
    EXPECT_EQ(
        CorsAnswerHeaders(cors, "https://a.example"),
        (HttpHeaders{{"Access-Control-Allow-Origin", "https://a.example"}, {"Vary", "Origin"}}));
    EXPECT_TRUE(CorsAnswerHeaders(cors, "https://b.example").empty());
    EXPECT_TRUE(CorsAnswerHeaders(cors, "").empty());
    EXPECT_TRUE(
        CorsPreflightHeaders(cors, {.origin = "https://a.example", .method = "PUT", .headers = ""})
            .empty());
    EXPECT_TRUE(
        CorsPreflightHeaders(cors, {.origin = "https://a.example", .method = "GET", .headers = "x"})
            .empty());
    cors.allow_origins = {"*"};
    cors.allow_credentials = true;
    // Browsers refuse a star together with credentials.
    EXPECT_EQ(CorsAnswerHeaders(cors, "https://b.example")[0].second, "https://b.example");
}

class FunctionUrlStoreTest : public ::testing::Test {
  protected:
    using Body = std::function<Task<Status>(FunctionUrlTransaction&)>;

    void Run(const Body& body) {
        const storage::Kv::Body wrapped = [&](storage::Transaction& transaction) -> Task<Status> {
            FunctionUrlTransaction urls(transaction);
            co_return co_await body(urls);
        };
        const Status status = RunTask(kv_->Transact(wrapped));
        ASSERT_TRUE(status.ok()) << status.error().message();
    }

    std::optional<FunctionUrlStore::Found> FindById(std::string_view id) {
        auto found = RunTask(store_.FindById(id));
        EXPECT_TRUE(found.ok());
        return *std::move(found);
    }

    const FunctionKey key_{AccountId("123456789012"), Region("eu-west-1"), "fn"};
    std::unique_ptr<storage::Kv> kv_ =
        storage::MakeMemoryKv({.seed = 7, .conflict_per_mille = 200});
    FunctionUrlStore store_{*kv_};
};

TEST_F(FunctionUrlStoreTest, KeepsEverything) {
    const FunctionUrlRecord record = Record("abc", "live");
    Run([&](FunctionUrlTransaction& urls) -> Task<Status> {
        urls.Put(key_, "life-1", record);
        co_return Status();
    });
    const auto found = FindById("abc");
    ASSERT_TRUE(found);
    EXPECT_EQ(found->owner.key.account, key_.account);
    EXPECT_EQ(found->owner.key.region, key_.region);
    EXPECT_EQ(found->owner.key.name, "fn");
    EXPECT_EQ(found->owner.function_id, "life-1");
    EXPECT_EQ(found->owner.alias, "live");
    EXPECT_EQ(found->record.id, "abc");
    EXPECT_EQ(found->record.alias, "live");
    EXPECT_EQ(found->record.auth_type, "AWS_IAM");
    EXPECT_TRUE(found->record.streaming);
    EXPECT_EQ(found->record.created, record.created);
    EXPECT_EQ(found->record.modified, record.modified);
    EXPECT_EQ(found->record.cors, record.cors);
    EXPECT_FALSE(FindById("abd"));
}

TEST_F(FunctionUrlStoreTest, ListsLatestFirstAndPages) {
    Run([&](FunctionUrlTransaction& urls) -> Task<Status> {
        for (const char* alias : {"b", "", "-a", "Z", "0x"}) {
            urls.Put(key_, "life-1", Record(std::string("id") + alias, alias));
        }
        urls.Put(key_, "life-2", Record("other", "b"));
        co_return Status();
    });
    std::vector<std::string> aliases;
    Run([&](FunctionUrlTransaction& urls) -> Task<Status> {
        aliases.clear();
        std::optional<std::string> after;
        for (;;) {
            HEARTH_CO_TRY(const auto page, co_await urls.List(key_, "life-1", after, 2));
            for (const FunctionUrlRecord& record : page) {
                aliases.push_back(record.alias);
            }
            if (page.size() < 2) {
                co_return Status();
            }
            after = page.back().alias;
        }
    });
    EXPECT_EQ(aliases, (std::vector<std::string>{"", "-a", "0x", "Z", "b"}));
    const auto all = RunTask(store_.ListAll(key_.account, key_.region));
    ASSERT_TRUE(all.ok());
    EXPECT_EQ(all->size(), 6);
}

TEST_F(FunctionUrlStoreTest, ADeletedUrlIsNobodys) {
    const FunctionUrlRecord record = Record("abc", "");
    Run([&](FunctionUrlTransaction& urls) -> Task<Status> {
        urls.Put(key_, "life-1", record);
        co_return Status();
    });
    Run([&](FunctionUrlTransaction& urls) -> Task<Status> {
        urls.Delete(key_, "life-1", record);
        co_return Status();
    });
    EXPECT_FALSE(FindById("abc"));
    Run([&](FunctionUrlTransaction& urls) -> Task<Status> {
        HEARTH_CO_TRY(const auto found, co_await urls.Find(key_, "life-1", ""));
        EXPECT_FALSE(found);
        co_return Status();
    });
}

}  // namespace
}  // namespace hearth::lambda
