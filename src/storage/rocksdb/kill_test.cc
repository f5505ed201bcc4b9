#include "os/fd.h"
#include "rt/blocking_pool.h"
#include "rt/loops.h"
#include "rt/task_group.h"
#include "storage/rocksdb/rocksdb_kv.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <random>

// kill -9 under load: what was acknowledged is there, and no transaction is half there. The record
// of acknowledgements is kept by another process (the test), from a pipe.
namespace hearth::storage {
namespace {

constexpr int kWriters = 8;
constexpr char kDirectoryVariable[] = "HEARTH_KILL_TEST_DIRECTORY";

struct Acknowledged {
    int32_t writer;
    int32_t number;
};

std::string ItemKey(int writer, int number) {
    return fmt::format("item/{:02}/{:09}", writer, number);
}

std::string CountKey(int writer) {
    return fmt::format("count/{:02}", writer);
}

// Each transaction puts the next item and raises the writer's count.
Task<void> Write(Kv& kv, int writer, int acknowledge_fd) {
    const std::string padding(static_cast<size_t>(100 + writer * 300), 'x');
    while (true) {
        int number = 0;
        const Kv::Body body = [&](Transaction& t) -> Task<Status> {
            HEARTH_CO_TRY(const auto count, co_await t.Get(CountKey(writer)));
            number = count ? std::stoi(*count) + 1 : 1;
            t.Put(CountKey(writer), std::to_string(number));
            t.Put(ItemKey(writer, number), padding);
            co_return Status();
        };
        const Status status = co_await kv.Transact(body);
        CHECK(status.ok(), "{}", status.error().message());
        const Acknowledged record{writer, number};
        CHECK(::write(acknowledge_fd, &record, sizeof(record)) == sizeof(record));
    }
}

// Not a test: the process that gets killed, started from below with the pipe as descriptor 3.
TEST(KilledProcess, WritesUntilItIsKilled) {
    const char* const directory = ::getenv(kDirectoryVariable);
    if (directory == nullptr) {
        GTEST_SKIP() << "runs as a child of Crash.AcknowledgedWritesSurviveAKill";
    }
    RocksDbOptions options;
    options.durability = Durability::kRelaxed;
    options.memtable_bytes = 256 * 1024;
    auto kv = OpenRocksDb(directory, options);
    CHECK(kv.ok(), "{}", kv.error().message());
    auto write = [&]() -> Task<void> {
        rt::TaskGroup writers;
        for (int writer = 0; writer < kWriters; ++writer) {
            writers.Spawn(Write(**kv, writer, 3));
        }
        co_await writers.Join();
    };
    rt::RunTask(write());
}

class Child final {
  public:
    explicit Child(const std::string& directory) {
        int ends[2];
        CHECK(::pipe(ends) == 0);
        acknowledged_ = os::Fd(ends[0]);
        pid_ = ::fork();
        CHECK(pid_ >= 0);
        if (pid_ == 0) {
            ::dup2(ends[1], 3);
            ::setenv(kDirectoryVariable, directory.c_str(), 1);
            ::execl(
                "/proc/self/exe",
                "killed",
                "--gtest_filter=KilledProcess.*",
                "--gtest_brief=1",
                nullptr);
            _exit(127);
        }
        ::close(ends[1]);
    }

    ~Child() { Kill(); }

    // False when the child has ended.
    bool Next(Acknowledged& record) {
        return ::read(acknowledged_.get(), &record, sizeof(record)) == sizeof(record);
    }

    void Kill() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
            pid_ = -1;
        }
    }

  private:
    pid_t pid_ = -1;
    os::Fd acknowledged_;
};

void Verify(const std::string& directory, const std::map<int, int>& acknowledged) {
    auto kv = OpenRocksDb(directory);
    ASSERT_TRUE(kv.ok()) << kv.error().message();
    for (int writer = 0; writer < kWriters; ++writer) {
        const auto count = rt::RunTask((*kv)->Get(CountKey(writer)));
        ASSERT_TRUE(count.ok());
        const int committed = *count ? std::stoi(**count) : 0;
        const auto known = acknowledged.find(writer);
        ASSERT_GE(committed, known == acknowledged.end() ? 0 : known->second);
        int items = 0;
        RangeRequest range{.begin = ItemKey(writer, 0), .end = ItemKey(writer, 999'999'999)};
        while (true) {
            auto page = rt::RunTask((*kv)->Range(range));
            ASSERT_TRUE(page.ok());
            for (const KeyValue& item : page->items) {
                ASSERT_EQ(item.key, ItemKey(writer, ++items));
            }
            if (!page->next) {
                break;
            }
            range.begin = *page->next;
        }
        ASSERT_EQ(items, committed) << "a transaction is half there";
    }
}

TEST(Crash, AcknowledgedWritesSurviveAKill) {
    const char* const soak = ::getenv("HEARTH_SOAK_COUNT");
    const int kills = soak != nullptr ? ::atoi(soak) : 10;
    const uint64_t seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937_64 random(seed);
    char pattern[] = "/tmp/hearth-kill-XXXXXX";
    const std::string root = mkdtemp(pattern);
    std::map<int, int> acknowledged;
    for (int kill = 0; kill < kills && !::testing::Test::HasFailure(); ++kill) {
        // Looking at everything after each kill would make a long soak quadratic.
        constexpr int kKillsPerStore = 20;
        if (kill % kKillsPerStore == 0) {
            std::filesystem::remove_all(root + "/kv");
            acknowledged.clear();
        }
        Child child(root + "/kv");
        Acknowledged record{};
        for (size_t n = 1 + random() % 3'000; n > 0; --n) {
            ASSERT_TRUE(child.Next(record)) << "the child ended by itself";
            acknowledged[record.writer] = record.number;
        }
        child.Kill();
        // What the child said before it died counts as well.
        while (child.Next(record)) {
            acknowledged[record.writer] = record.number;
        }
        Verify(root + "/kv", acknowledged);
    }
    std::filesystem::remove_all(root);
}

// After a start nothing is in the cache: the first read of a block must not stop the loop.
TEST(Open, ColdReadsGoByThePoolAndWarmOnesDoNot) {
    char pattern[] = "/tmp/hearth-cold-XXXXXX";
    const std::string root = mkdtemp(pattern);
    {
        auto kv = OpenRocksDb(root + "/kv");
        ASSERT_TRUE(kv.ok());
        for (const char* key : {"a", "b", "c"}) {
            ASSERT_TRUE(rt::RunTask((*kv)->Put(key, key)).ok());
        }
    }
    for (const bool range : {false, true}) {
        rt::BlockingPool pool({});
        RocksDbOptions options;
        options.pool = &pool;
        auto kv = OpenRocksDb(root + "/kv", options);
        ASSERT_TRUE(kv.ok());
        const auto read = [&] {
            if (!range) {
                EXPECT_EQ(rt::RunTask((*kv)->Get("b")).value(), "b");
                return;
            }
            const auto page = rt::RunTask((*kv)->Range({.begin = "a", .end = "z"}));
            ASSERT_TRUE(page.ok());
            EXPECT_EQ(page->items.size(), 3u);
        };
        EXPECT_EQ(pool.threads(), 0);
        read();
        EXPECT_EQ(pool.threads(), 1);
        read();
        EXPECT_EQ(pool.threads(), 1);
    }
    std::filesystem::remove_all(root);
}

TEST(Open, ASecondOpenerIsToldThatTheStoreIsHeld) {
    char pattern[] = "/tmp/hearth-open-XXXXXX";
    const std::string root = mkdtemp(pattern);
    {
        const auto first = OpenRocksDb(root + "/kv");
        ASSERT_TRUE(first.ok());
        RocksDbOptions options;
        options.lock_wait = std::chrono::milliseconds(20);
        const auto second = OpenRocksDb(root + "/kv", options);
        ASSERT_FALSE(second.ok());
        EXPECT_EQ(second.error().kind(), Error::Kind::kUnavailable);
    }
    EXPECT_TRUE(OpenRocksDb(root + "/kv").ok());
    std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace hearth::storage
