#include "rt/blocking_pool.h"
#include "rt/loops.h"
#include "rt/task_group.h"
#include "storage/memory/memory_kv.h"
#include "storage/rocksdb/rocksdb_kv.h"
#include "testing/fake_clock.h"
#include "testing/run_task.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <random>
#include <thread>

// One suite for every engine: what services may rely on, whichever store is below them.
namespace hearth::storage {
namespace {

using testing::RunTask;

// A store in a fresh directory, reopened on demand.
class Engine {
  public:
    virtual ~Engine() = default;
    virtual Kv& kv() = 0;
    virtual testing::FakeMonotonicClock& clock() = 0;
};

class MemoryEngine final : public Engine {
  public:
    MemoryEngine() : kv_(MakeMemoryKv({.clock = clock_})) {}

    Kv& kv() override { return *kv_; }

    testing::FakeMonotonicClock& clock() override { return *clock_; }

  private:
    std::shared_ptr<testing::FakeMonotonicClock> clock_ =
        std::make_shared<testing::FakeMonotonicClock>();
    std::unique_ptr<Kv> kv_;
};

class RocksDbEngine final : public Engine {
  public:
    // `cold`: little stays in memory, so that reads may go to the disk by way of the pool.
    explicit RocksDbEngine(bool cold) {
        char pattern[] = "/tmp/hearth-kv-XXXXXX";
        directory_ = mkdtemp(pattern);
        RocksDbOptions options;
        options.clock = clock_;
        if (cold) {
            options.pool = &pool_;
            options.memtable_bytes = 1;
        }
        auto opened = OpenRocksDb(directory_ + "/kv", options);
        CHECK(opened.ok(), "{}", opened.error().message());
        kv_ = *std::move(opened);
    }

    ~RocksDbEngine() override {
        kv_.reset();
        std::filesystem::remove_all(directory_);
    }

    Kv& kv() override { return *kv_; }

    testing::FakeMonotonicClock& clock() override { return *clock_; }

  private:
    std::shared_ptr<testing::FakeMonotonicClock> clock_ =
        std::make_shared<testing::FakeMonotonicClock>();
    rt::BlockingPool pool_{{}};
    std::string directory_;
    std::unique_ptr<RocksDbKv> kv_;
};

using MakeEngine = std::unique_ptr<Engine> (*)();

class KvContract : public ::testing::TestWithParam<std::pair<const char*, MakeEngine>> {
  protected:
    KvContract() : engine_(GetParam().second()) {}

    Kv& kv() { return engine_->kv(); }

    std::optional<std::string> Get(std::string_view key) {
        auto value = RunTask(kv().Get(key));
        EXPECT_TRUE(value.ok());
        return *value;
    }

    void Put(std::string_view key, std::string value) {
        const Status status = RunTask(kv().Put(key, std::move(value)));
        EXPECT_TRUE(status.ok());
    }

    // "a=1 b=2 | c": items and where the next page begins.
    std::string Page(RangeRequest request) {
        const auto page = RunTask(kv().Range(std::move(request)));
        EXPECT_TRUE(page.ok());
        return Show(*page);
    }

    static std::string Show(const RangePage& page) {
        std::string text;
        for (const KeyValue& item : page.items) {
            text += item.key + "=" + item.value + " ";
        }
        if (page.next) {
            std::string next = *page.next;
            std::replace(next.begin(), next.end(), '\0', '0');
            text += "| " + next;
        }
        return text;
    }

    std::unique_ptr<Engine> engine_;
};

TEST_P(KvContract, WhatWasPutIsThereAndWhatWasDeletedIsNot) {
    EXPECT_EQ(Get("a"), std::nullopt);
    Put("a", "1");
    Put("empty", "");
    EXPECT_EQ(Get("a"), "1");
    EXPECT_EQ(Get("empty"), "");
    Put("a", std::string("\0x", 2));
    EXPECT_EQ(Get("a"), std::string("\0x", 2));
    EXPECT_TRUE(RunTask(kv().Delete("a")).ok());
    EXPECT_EQ(Get("a"), std::nullopt);
    EXPECT_TRUE(RunTask(kv().Delete("a")).ok());
}

TEST_P(KvContract, RangesComeInPagesBothWays) {
    for (const char* key : {"b", "a", "e", "c", "d"}) {
        Put(key, "1");
    }
    EXPECT_EQ(Page({.begin = "b", .end = "e"}), "b=1 c=1 d=1 ");
    EXPECT_EQ(Page({.begin = "b", .end = "e", .limit = 2}), "b=1 c=1 | c0");
    EXPECT_EQ(Page({.begin = std::string("c\0", 2), .end = "e", .limit = 2}), "d=1 ");
    EXPECT_EQ(Page({.begin = "a", .end = "z", .limit = 2, .reverse = true}), "e=1 d=1 | d");
    EXPECT_EQ(Page({.begin = "a", .end = "d", .limit = 9, .reverse = true}), "c=1 b=1 a=1 ");
    EXPECT_EQ(Page({.begin = "e", .end = "a"}), "");
    EXPECT_EQ(Page({.begin = "x", .end = "z"}), "");
    EXPECT_EQ(Page({.begin = "a", .end = "z", .page_bytes_max = 3}), "a=1 b=1 | b0");
}

TEST_P(KvContract, ATransactionSeesItsOwnWritesOverOneState) {
    for (const char* key : {"a", "b", "c", "d"}) {
        Put(key, "old");
    }
    std::vector<std::string> seen;
    const Kv::Body body = [&](Transaction& t) -> Task<Status> {
        seen.clear();
        t.Put("b", "new");
        t.Delete("c");
        t.Put("bb", "more");
        HEARTH_CO_TRY(auto b, co_await t.Get("b"));
        HEARTH_CO_TRY(auto c, co_await t.Get("c"));
        HEARTH_CO_TRY(RangePage all, co_await t.Range({.begin = "a", .end = "z"}));
        HEARTH_CO_TRY(RangePage two, co_await t.Range({.begin = "a", .end = "z", .limit = 2}));
        HEARTH_CO_TRY(
            RangePage back,
            co_await t.Range({.begin = "a", .end = "z", .limit = 3, .reverse = true}));
        seen = {*b, c ? "there" : "gone", Show(all), Show(two), Show(back)};
        co_return Status();
    };
    EXPECT_TRUE(RunTask(kv().Transact(body)).ok());
    EXPECT_EQ(
        seen,
        (std::vector<std::string>{
            "new",
            "gone",
            "a=old b=new bb=more d=old ",
            "a=old b=new | b0",
            "d=old bb=more b=new | b"}));
    EXPECT_EQ(Page({.begin = "a", .end = "z"}), "a=old b=new bb=more d=old ");
}

TEST_P(KvContract, AnErrorOfTheBodyWritesNothing) {
    const Kv::Body body = [&](Transaction& t) -> Task<Status> {
        t.Put("a", "1");
        co_return errors::Malformed("no");
    };
    const Status status = RunTask(kv().Transact(body));
    EXPECT_EQ(status.error().message(), "no");
    EXPECT_EQ(Get("a"), std::nullopt);
}

TEST_P(KvContract, AChangedReadRunsTheBodyAgain) {
    struct Case {
        const char* name;
        std::function<Task<Status>(Transaction&)> read;
        bool conflicts;
    };

    const Case cases[] = {
        {"same key",
         [](Transaction& t) -> Task<Status> {
             HEARTH_CO_RETURN_IF_ERROR(co_await t.Get("k"));
             co_return Status();
         },
         true},
        {"key in range",
         [](Transaction& t) -> Task<Status> {
             HEARTH_CO_RETURN_IF_ERROR(co_await t.Range({.begin = "j", .end = "l"}));
             co_return Status();
         },
         true},
        {"other key",
         [](Transaction& t) -> Task<Status> {
             HEARTH_CO_RETURN_IF_ERROR(co_await t.Get("other"));
             co_return Status();
         },
         false},
        {"range beside",
         [](Transaction& t) -> Task<Status> {
             HEARTH_CO_RETURN_IF_ERROR(co_await t.Range({.begin = "l", .end = "z"}));
             co_return Status();
         },
         false},
        {"unread part of a paged range",
         [](Transaction& t) -> Task<Status> {
             HEARTH_CO_RETURN_IF_ERROR(co_await t.Range({.begin = "a", .end = "z", .limit = 1}));
             co_return Status();
         },
         false},
        {"blind write", [](Transaction&) -> Task<Status> { co_return Status(); }, false},
    };
    Put("a", "first");
    Put("b", "second");
    for (const Case& one : cases) {
        SCOPED_TRACE(one.name);
        int runs = 0;
        const Kv::Body body = [&](Transaction& t) -> Task<Status> {
            ++runs;
            HEARTH_CO_RETURN_IF_ERROR(co_await one.read(t));
            if (runs == 1) {
                HEARTH_CO_RETURN_IF_ERROR(co_await kv().Put("k", fmt::format("{}", runs)));
            }
            t.Put("written", one.name);
            co_return Status();
        };
        EXPECT_TRUE(RunTask(kv().Transact(body)).ok());
        EXPECT_EQ(runs, one.conflicts ? 2 : 1);
        EXPECT_EQ(Get("written"), one.name);
        EXPECT_TRUE(RunTask(kv().Delete("k")).ok());
    }
}

TEST_P(KvContract, EndlessConflictsEndInAnError) {
    int runs = 0;
    const Kv::Body body = [&](Transaction& t) -> Task<Status> {
        HEARTH_CO_RETURN_IF_ERROR(co_await t.Get("k"));
        HEARTH_CO_RETURN_IF_ERROR(co_await kv().Put("k", fmt::format("{}", ++runs)));
        t.Put("never", "1");
        co_return Status();
    };
    const Status status = RunTask(kv().Transact(body));
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().kind(), Error::Kind::kConflict);
    EXPECT_EQ(runs, kConflictRetriesMax + 1);
    EXPECT_EQ(Get("never"), std::nullopt);
}

TEST_P(KvContract, ATransactionReadsOneStateWhileOthersCommit) {
    Put("x", "1");
    Put("y", "1");
    std::string seen;
    int runs = 0;
    const Kv::Body body = [&](Transaction& t) -> Task<Status> {
        HEARTH_CO_TRY(auto x, co_await t.Get("x"));
        if (++runs == 1) {
            const Kv::Body both = [](Transaction& other) -> Task<Status> {
                other.Put("x", "2");
                other.Put("y", "2");
                co_return Status();
            };
            HEARTH_CO_RETURN_IF_ERROR(co_await kv().Transact(both));
        }
        HEARTH_CO_TRY(auto y, co_await t.Get("y"));
        seen += *x + *y + " ";
        co_return Status();
    };
    EXPECT_TRUE(RunTask(kv().Transact(body)).ok());
    EXPECT_EQ(seen, "11 ");
}

TEST_P(KvContract, LimitsAreErrors) {
    const std::string longest_key(kKeyBytesMax, 'k');
    Put(longest_key, std::string(kValueBytesMax, 'v'));
    EXPECT_EQ(Get(longest_key)->size(), kValueBytesMax);
    EXPECT_FALSE(RunTask(kv().Put(longest_key + "k", "v")).ok());
    EXPECT_FALSE(RunTask(kv().Put("", "v")).ok());
    EXPECT_FALSE(RunTask(kv().Get("")).ok());
    EXPECT_FALSE(RunTask(kv().Put("k", std::string(kValueBytesMax + 1, 'v'))).ok());
    EXPECT_FALSE(RunTask(kv().Range({.begin = "a", .end = "b", .limit = 0})).ok());

    size_t keys = kTransactionKeysMax;
    const Kv::Body many = [&](Transaction& t) -> Task<Status> {
        for (size_t i = 0; i < keys; ++i) {
            t.Put(fmt::format("many{:05}", i), "v");
        }
        co_return Status();
    };
    EXPECT_TRUE(RunTask(kv().Transact(many)).ok());
    keys = kTransactionKeysMax + 1;
    EXPECT_FALSE(RunTask(kv().Transact(many)).ok());

    const Kv::Body large = [&](Transaction& t) -> Task<Status> {
        for (int i = 0; i < 7; ++i) {
            t.Put(fmt::format("large{}", i), std::string(kValueBytesMax, 'v'));
        }
        co_return Status();
    };
    EXPECT_FALSE(RunTask(kv().Transact(large)).ok());
    EXPECT_EQ(Get("large0"), std::nullopt);
}

TEST_P(KvContract, ATransactionOlderThanFiveSecondsRunsAgain) {
    int runs = 0;
    const Kv::Body body = [&](Transaction& t) -> Task<Status> {
        if (++runs == 1) {
            engine_->clock().Advance(std::chrono::seconds(6));
        }
        t.Put("k", "v");
        co_return Status();
    };
    EXPECT_TRUE(RunTask(kv().Transact(body)).ok());
    EXPECT_EQ(runs, 2);
}

// Many counters raised by many coroutines on two loops: no increment is lost, whatever the order.
TEST_P(KvContract, ConcurrentIncrementsAddUp) {
    constexpr int kWriters = 24;
    constexpr int kIncrements = 20;
    constexpr int kCounters = 3;
    rt::Loops loops(2);
    const auto writer = [](Kv& kv, int id, std::atomic<int>& failures) -> Task<void> {
        for (int i = 0; i < kIncrements; ++i) {
            const std::string key = fmt::format("counter{}", (id + i) % kCounters);
            const Kv::Body body = [&](Transaction& t) -> Task<Status> {
                HEARTH_CO_TRY(auto value, co_await t.Get(key));
                // Lets the others in between reading and writing.
                co_await rt::Yield();
                t.Put(key, fmt::format("{}", value ? std::stoi(*value) + 1 : 1));
                co_return Status();
            };
            if (const Status status = co_await kv.Transact(body); !status.ok()) {
                ++failures;
            }
        }
    };
    std::atomic<int> failures = 0;
    const auto half = [&](int first) -> Task<void> {
        rt::TaskGroup group;
        for (int id = first; id < kWriters; id += 2) {
            group.Spawn(writer(kv(), id, failures));
        }
        co_await group.Join();
    };
    std::thread second([&] { rt::BlockOn(loops, 1, [&] { return half(1); }); });
    rt::BlockOn(loops, 0, [&] { return half(0); });
    second.join();
    int total = failures;
    for (int i = 0; i < kCounters; ++i) {
        total += std::stoi(Get(fmt::format("counter{}", i)).value());
    }
    EXPECT_EQ(total, kWriters * kIncrements);
    // The memory engine gives up sooner, because its contenders do not spread over time.
    EXPECT_LE(failures.load(), kWriters * kIncrements / 4);
}

// Random operations against a std::map that cannot be wrong.
TEST_P(KvContract, BehavesLikeAMap) {
    const uint64_t seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937_64 random(seed);
    std::map<std::string, std::string> model;
    const auto random_key = [&] {
        std::string key = "k";
        for (size_t n = random() % 3; n > 0; --n) {
            key.push_back("\0a\xff"[random() % 3]);
        }
        return key;
    };
    const auto expected_page = [&](const RangeRequest& request) {
        std::vector<std::pair<std::string, std::string>> items;
        for (const auto& [key, value] : model) {
            if (key >= request.begin && key < request.end) {
                items.emplace_back(key, value);
            }
        }
        if (request.reverse) {
            std::reverse(items.begin(), items.end());
        }
        return items;
    };
    for (int step = 0; step < 300; ++step) {
        const bool commit = random() % 4 != 0;
        const auto before = model;
        const uint64_t step_seed = random();
        const Kv::Body body = [&](Transaction& t) -> Task<Status> {
            model = before;
            random.seed(step_seed);
            for (size_t n = random() % 8; n > 0; --n) {
                const std::string key = random_key();
                switch (random() % 4) {
                    case 0:
                        t.Put(key, fmt::format("{}", step));
                        model[key] = fmt::format("{}", step);
                        break;
                    case 1:
                        t.Delete(key);
                        model.erase(key);
                        break;
                    case 2: {
                        HEARTH_CO_TRY(auto value, co_await t.Get(key));
                        const auto known = model.find(key);
                        EXPECT_EQ(value.has_value(), known != model.end());
                        if (value && known != model.end()) {
                            EXPECT_EQ(*value, known->second);
                        }
                        break;
                    }
                    default: {
                        RangeRequest request{
                            .begin = key,
                            .end = random_key() + "z",
                            .limit = 1 + random() % 4,
                            .reverse = random() % 2 == 0};
                        const auto expected = expected_page(request);
                        std::vector<std::pair<std::string, std::string>> got;
                        while (request.begin < request.end) {
                            HEARTH_CO_TRY(RangePage page, co_await t.Range(request));
                            for (const KeyValue& item : page.items) {
                                got.emplace_back(item.key, item.value);
                            }
                            if (!page.next) {
                                break;
                            }
                            (request.reverse ? request.end : request.begin) = *page.next;
                        }
                        EXPECT_EQ(got, expected);
                    }
                }
            }
            if (!commit) {
                model = before;
                co_return errors::Malformed("given up");
            }
            co_return Status();
        };
        EXPECT_EQ(RunTask(kv().Transact(body)).ok(), commit);
        random.seed(step_seed + 1);
        if (HasFailure()) {
            break;
        }
    }
    RangeRequest all{.begin = "k", .end = "l", .limit = 1'000};
    const auto page = RunTask(kv().Range(all));
    std::vector<std::pair<std::string, std::string>> got;
    for (const KeyValue& item : page->items) {
        got.emplace_back(item.key, item.value);
    }
    EXPECT_EQ(got, expected_page(all));
}

INSTANTIATE_TEST_SUITE_P(
    Engines,
    KvContract,
    ::testing::Values(
        std::pair<const char*, MakeEngine>(
            "memory", []() -> std::unique_ptr<Engine> { return std::make_unique<MemoryEngine>(); }),
        std::pair<const char*, MakeEngine>(
            "rocksdb",
            []() -> std::unique_ptr<Engine> { return std::make_unique<RocksDbEngine>(false); }),
        std::pair<const char*, MakeEngine>(
            "rocksdb_cold",
            []() -> std::unique_ptr<Engine> { return std::make_unique<RocksDbEngine>(true); })),
    [](const auto& info) { return std::string(info.param.first); });

}  // namespace
}  // namespace hearth::storage
