#include "services/lambda/function_store.h"

#include "storage/memory/memory_kv.h"
#include "testing/run_task.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

namespace hearth::lambda {
namespace {

using Variables = std::map<std::string, std::string>;

using hearth::testing::RunTask;

class FunctionStoreTest : public ::testing::Test {
  protected:
    FunctionStoreTest()
        : kv_(storage::MakeMemoryKv({.seed = 7, .conflict_per_mille = 200})),
          random_(Random::Seeded(11)),
          master_key_(std::array<uint8_t, 32>{1, 2, 3}),
          sealing_key_(master_key_.Derive("lambda-environment")),
          store_(*kv_, sealing_key_, *random_) {}

    FunctionRecord Record(const std::string& name, const std::string& version = "$LATEST") {
        FunctionRecord record;
        record.account = account_;
        record.region = region_;
        record.name = name;
        record.version = version;
        record.revision_id = random_->Uuid();
        record.environment_revision = random_->Uuid();
        record.runtime = "python3.12";
        record.handler = "index.handler";
        record.role = "arn:aws:iam::123456789012:role/r";
        record.code_blob = "blob-" + version;
        record.code_sha256 = "sha-" + version;
        record.code_size = 100;
        return record;
    }

    FunctionKey Key(const std::string& name) { return {account_, region_, name}; }

    void Run(const FunctionStore::Body& body) {
        const Status status = RunTask(store_.Transact(body));
        ASSERT_TRUE(status.ok()) << status.error().message();
    }

    void Create(const std::string& name, const std::string& id = "id-1") {
        Run([&](FunctionTransaction& transaction) -> Task<Status> {
            FunctionHead head;
            head.id = id;
            head.tags = {{"team", "a"}};
            transaction.PutHead(Key(name), head);
            FunctionRecord record = Record(name);
            transaction.PutLatest(record);
            transaction.PutCode(account_, region_, record.code_sha256, {record.code_blob, 100});
            transaction.AddCodeReference(record, id, 0);
            co_return Status();
        });
    }

    void AddVersion(const std::string& name, int64_t number, const std::string& id = "id-1") {
        Run([&](FunctionTransaction& transaction) -> Task<Status> {
            transaction.PutVersion(Key(name), id, number, Record(name, std::to_string(number)));
            co_return Status();
        });
    }

    Result<ResolvedFunction> Resolve(const std::string& name, const std::string& qualifier = {}) {
        return RunTask(store_.Resolve({account_, region_, name, qualifier}));
    }

    AccountId account_{"123456789012"};
    Region region_{"us-east-1"};
    std::unique_ptr<storage::Kv> kv_;
    std::shared_ptr<Random> random_;
    codec::MasterKey master_key_;
    codec::SealingKey sealing_key_;
    FunctionStore store_;
};

TEST_F(FunctionStoreTest, KeepsEveryFieldOfARecord) {
    FunctionRecord record = Record("f");
    record.description = "what it does";
    record.memory_mb = 512;
    record.timeout_s = 30;
    record.ephemeral_storage_mb = 1024;
    record.environment = Variables{{"SECRET", "s3cr3t"}, {"EMPTY", ""}};
    record.tracing_mode = "Active";
    record.log_format = "JSON";
    record.log_group = "/own/group";
    record.application_log_level = "WARN";
    record.system_log_level = "DEBUG";
    record.ignored = {{"VpcConfig.SubnetIds", "subnet-1"}};
    record.hot_reload_directory = "/src";
    record.update_runtime_on = "Manual";
    record.runtime_version_arn = "arn:aws:lambda:us-east-1::runtime:1";
    record.last_modified = WallClock::time_point(std::chrono::milliseconds(1'769'853'600'123));
    const std::string stored = EncodeRecord(record, sealing_key_);
    EXPECT_EQ(stored.find("s3cr3t"), std::string::npos) << "secrets must not be readable";
    EXPECT_EQ(stored.find("SECRET"), std::string::npos);
    const auto read =
        DecodeRecord(stored, sealing_key_, account_, region_, record.name, record.version);
    ASSERT_TRUE(read.ok()) << read.error().message();
    EXPECT_EQ(Fingerprint(*read), Fingerprint(record));
    EXPECT_EQ(read->environment, record.environment);
    EXPECT_EQ(read->revision_id, record.revision_id);
    EXPECT_EQ(read->environment_revision, record.environment_revision);
    EXPECT_EQ(read->code_blob, record.code_blob);
    EXPECT_EQ(read->code_size, record.code_size);
    EXPECT_EQ(read->ignored, record.ignored);
    EXPECT_EQ(read->last_modified, record.last_modified);
    EXPECT_EQ(read->application_log_level, record.application_log_level);
    EXPECT_EQ(read->update_runtime_on, record.update_runtime_on);
    EXPECT_EQ(read->runtime_version_arn, record.runtime_version_arn);
}

TEST_F(FunctionStoreTest, SealedVariablesCannotBeMovedToAnotherFunction) {
    FunctionRecord record = Record("f");
    record.environment = Variables{{"A", "1"}};
    const std::string stored = EncodeRecord(record, sealing_key_);
    EXPECT_FALSE(DecodeRecord(stored, sealing_key_, account_, region_, "g", "$LATEST").ok());
    EXPECT_FALSE(DecodeRecord(stored, sealing_key_, account_, region_, "f", "1").ok());
}

TEST_F(FunctionStoreTest, DamagedRecordsAreErrors) {
    const std::string stored = EncodeRecord(Record("f"), sealing_key_);
    for (size_t size = 0; size < stored.size(); ++size) {
        // Every cut is noticed, or falls between two fields.
        (void)DecodeRecord(
            std::string_view(stored).substr(0, size), sealing_key_, account_, region_, "f", "1")
            .ok();
    }
    EXPECT_FALSE(DecodeRecord("", sealing_key_, account_, region_, "f", "1").ok());
    EXPECT_FALSE(DecodeRecord("\x02", sealing_key_, account_, region_, "f", "1").ok());
    EXPECT_FALSE(DecodeRecord("\x01\x01", sealing_key_, account_, region_, "f", "1").ok());
}

TEST_F(FunctionStoreTest, FingerprintIsOfCodeAndConfiguration) {
    const FunctionRecord one = Record("f");
    FunctionRecord other = Record("f", "3");
    other.code_sha256 = one.code_sha256;
    other.last_modified += std::chrono::hours(1);
    EXPECT_EQ(Fingerprint(one), Fingerprint(other));
    other.environment.emplace();
    EXPECT_NE(Fingerprint(one), Fingerprint(other));
}

TEST_F(FunctionStoreTest, ResolvesLatestVersionsAndAliases) {
    Create("f");
    AddVersion("f", 1);
    Run([&](FunctionTransaction& transaction) -> Task<Status> {
        transaction.PutAlias(Key("f"), "id-1", {.name = "live", .function_version = "1"});
        transaction.PutAlias(Key("f"), "id-1", {.name = "head", .function_version = "$LATEST"});
        co_return Status();
    });
    EXPECT_EQ(Resolve("f")->function->version, "$LATEST");
    EXPECT_EQ(Resolve("f", "$LATEST")->function->version, "$LATEST");
    EXPECT_EQ(Resolve("f", "1")->function->version, "1");
    const auto live = Resolve("f", "live");
    EXPECT_EQ(live->function->version, "1");
    EXPECT_EQ(live->invoked_arn, "arn:aws:lambda:us-east-1:123456789012:function:f:live");
    EXPECT_EQ(Resolve("f", "head")->function->version, "$LATEST");
    for (const char* qualifier : {"2", "other"}) {
        const auto missing = Resolve("f", qualifier);
        ASSERT_FALSE(missing.ok());
        EXPECT_EQ(
            missing.error().message(),
            std::string("Function not found: arn:aws:lambda:us-east-1:123456789012:function:f:") +
                qualifier);
    }
    EXPECT_FALSE(Resolve("g").ok());
}

TEST_F(FunctionStoreTest, WeightsShareTheCalls) {
    Create("f");
    AddVersion("f", 1);
    AddVersion("f", 2);
    Run([&](FunctionTransaction& transaction) -> Task<Status> {
        transaction.PutAlias(
            Key("f"), "id-1", {.name = "live", .function_version = "1", .routing = {{"2", 0.25}}});
        co_return Status();
    });
    std::map<std::string, int> calls;
    for (int i = 0; i < 4'000; ++i) {
        ++calls[Resolve("f", "live")->function->version];
    }
    // A binomial of 4,000 draws at 0.25 has a deviation of 27; the seed is fixed.
    EXPECT_NEAR(calls["2"], 1'000, 140);
    EXPECT_EQ(calls["1"] + calls["2"], 4'000);
}

TEST_F(FunctionStoreTest, SeesAChangeAtOnceAndSharesWhatIsUnchanged) {
    Create("f");
    const auto first = Resolve("f");
    EXPECT_EQ(Resolve("f")->function, first->function) << "unchanged: the same object";
    FunctionRecord changed = Record("f");
    changed.timeout_s = 99;
    Run([&](FunctionTransaction& transaction) -> Task<Status> {
        transaction.PutLatest(changed);
        co_return Status();
    });
    EXPECT_EQ(Resolve("f")->function->timeout_s, 99);
}

TEST_F(FunctionStoreTest, ListsInPages) {
    for (int i = 0; i < 7; ++i) {
        Create("f" + std::to_string(i));
    }
    std::vector<std::string> names;
    std::string after;
    for (;;) {
        const auto page = RunTask(store_.ListLatest(account_, region_, after, 3));
        ASSERT_TRUE(page.ok());
        for (const FunctionRecord& record : page->functions) {
            names.push_back(record.name);
        }
        if (!page->more) {
            break;
        }
        ASSERT_EQ(page->functions.size(), 3u);
        after = page->functions.back().name;
    }
    EXPECT_EQ(names, (std::vector<std::string>{"f0", "f1", "f2", "f3", "f4", "f5", "f6"}));
    const auto exact = RunTask(store_.ListLatest(account_, region_, "", 7));
    EXPECT_FALSE(exact->more) << "a full last page has no successor";
}

TEST_F(FunctionStoreTest, VersionsComeInNumericalOrder) {
    Create("f");
    for (const int64_t number : {10, 2, 1, 11}) {
        AddVersion("f", number);
    }
    const auto page = RunTask(store_.ListVersions(Key("f"), "id-1", 2, 10));
    ASSERT_TRUE(page.ok());
    std::vector<std::string> versions;
    for (const FunctionRecord& record : page->functions) {
        versions.push_back(record.version);
    }
    EXPECT_EQ(versions, (std::vector<std::string>{"2", "10", "11"}));
}

TEST_F(FunctionStoreTest, CodeLivesAsLongAsSomebodyRefersToIt) {
    Create("f");
    FunctionRecord record = Record("f");
    Run([&](FunctionTransaction& transaction) -> Task<Status> {
        transaction.AddCodeReference(record, "id-1", 1);
        co_return Status();
    });
    std::string unused = "?";
    Run([&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(unused, co_await transaction.DropCodeReference(record, "id-1", 0));
        co_return Status();
    });
    EXPECT_EQ(unused, "");
    Run([&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(unused, co_await transaction.DropCodeReference(record, "id-1", 1));
        co_return Status();
    });
    EXPECT_EQ(unused, record.code_blob);
    Run([&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(
            const auto code, co_await transaction.FindCode(account_, region_, record.code_sha256));
        EXPECT_FALSE(code);
        co_return Status();
    });
}

TEST_F(FunctionStoreTest, GarbageOfManyVersionsIsClearedAndTheNewLifeIsUntouched) {
    Create("f", "old");
    for (int64_t number = 1; number <= 120; ++number) {
        AddVersion("f", number, "old");
    }
    Run([&](FunctionTransaction& transaction) -> Task<Status> {
        transaction.PutAlias(Key("f"), "old", {.name = "live", .function_version = "1"});
        transaction.DeleteHead(Key("f"));
        transaction.DeleteLatest(Key("f"));
        transaction.PutGarbage(Key("f"), "old");
        co_return Status();
    });
    Create("f", "new");
    AddVersion("f", 1, "new");
    const auto garbage = RunTask(store_.ListGarbage());
    ASSERT_TRUE(garbage.ok());
    ASSERT_EQ(garbage->size(), 1u);
    EXPECT_EQ(garbage->front().key.name, "f");
    EXPECT_EQ(garbage->front().function_id, "old");
    ASSERT_TRUE(RunTask(store_.ClearGarbage(Key("f"), "old")).ok());
    EXPECT_TRUE(RunTask(store_.ListGarbage())->empty());
    EXPECT_TRUE(RunTask(store_.ListVersions(Key("f"), "old", 0, 10))->functions.empty());
    EXPECT_EQ(RunTask(store_.ListVersions(Key("f"), "new", 0, 10))->functions.size(), 1u);
    EXPECT_FALSE(Resolve("f", "live").ok()) << "an alias of the old life";
}

TEST_F(FunctionStoreTest, UsageCountsFunctionsAndCodeOnce) {
    Create("f");
    Create("g");
    const auto usage = RunTask(store_.ReadUsage(account_, region_));
    ASSERT_TRUE(usage.ok());
    EXPECT_EQ(usage->functions, 2);
    EXPECT_EQ(usage->code_bytes, 100);
}

TEST_F(FunctionStoreTest, APolicyGoesWithItsFunction) {
    Create("f");
    AddVersion("f", 1);
    Run([&](FunctionTransaction& transaction) -> Task<Status> {
        transaction.PutAlias(Key("f"), "id-1", {.name = "live", .function_version = "1"});
        transaction.PutPolicy(Key("f"), "id-1", "", "own");
        transaction.PutPolicy(Key("f"), "id-1", "1", "of the version");
        transaction.PutPolicy(Key("f"), "id-1", "live", "of the alias");
        co_return Status();
    });
    const auto find = [&](std::string_view qualifier) {
        return RunTask(store_.FindPolicy(Key("f"), qualifier))->value_or("none");
    };
    EXPECT_EQ(find(""), "own");
    EXPECT_EQ(find("$LATEST"), "own");
    EXPECT_EQ(find("1"), "of the version");
    EXPECT_EQ(find("live"), "of the alias");
    EXPECT_EQ(find("2"), "none");
    EXPECT_EQ(*RunTask(store_.FindPolicy(Key("g"), "")), std::nullopt);
    Run([&](FunctionTransaction& transaction) -> Task<Status> {
        transaction.DeleteHead(Key("f"));
        transaction.PutGarbage(Key("f"), "id-1");
        co_return Status();
    });
    EXPECT_EQ(find(""), "none");
    ASSERT_TRUE(RunTask(store_.ClearGarbage(Key("f"), "id-1")).ok());
    // Nothing is left, not even for one who knows the old life's id.
    Run([&](FunctionTransaction& transaction) -> Task<Status> {
        for (const std::string_view qualifier : {"", "1", "live"}) {
            HEARTH_CO_TRY(
                const auto left, co_await transaction.FindPolicy(Key("f"), "id-1", qualifier));
            EXPECT_EQ(left, std::nullopt) << qualifier;
        }
        co_return Status();
    });
}

TEST_F(FunctionStoreTest, ReservesAreOfOneAccountAndRegion) {
    const FunctionKey elsewhere{account_, Region("eu-west-1"), "f"};
    Run([&](FunctionTransaction& transaction) -> Task<Status> {
        transaction.PutReserve(Key("f"), 7);
        transaction.PutReserve(Key("g"), 0);
        transaction.PutReserve(elsewhere, 9);
        co_return Status();
    });
    EXPECT_EQ(*RunTask(store_.FindReserve(Key("f"))), 7);
    EXPECT_EQ(*RunTask(store_.FindReserve(Key("h"))), std::nullopt);
    EXPECT_EQ(*RunTask(store_.ReadReserves(account_, region_)), (Reserves{{"f", 7}, {"g", 0}}));
    Run([&](FunctionTransaction& transaction) -> Task<Status> {
        transaction.DeleteReserve(Key("f"));
        co_return Status();
    });
    EXPECT_EQ(*RunTask(store_.ReadReserves(account_, region_)), (Reserves{{"g", 0}}));
}

}  // namespace
}  // namespace hearth::lambda
