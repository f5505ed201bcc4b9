#include "base/random.h"
#include "codec/crypto/master_key.h"
#include "rt/loops.h"
#include "rt/task_group.h"
#include "storage/memory/memory_kv.h"
#include "storage/objects/body_core.h"
#include "storage/objects/object_bodies.h"
#include "storage/objects/simulated_files.h"
#include "storage/objects/simulated_owner.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <map>
#include <random>

// What is left after cuts of power and failures of the disk: bodies whole or absent, no file that
// nobody claims.
namespace hearth::storage {
namespace {

using rt::RunTask;

// A start on what a cut left, and everything that must hold then.
void ExpectWhole(SimulatedFiles::Image image, const Contents& contents) {
    const auto random = Random::System();
    const auto kv = MakeMemoryKv();
    size_t filled = 0;
    auto fill = [&]() -> Task<void> {
        for (const auto& [key, value] : contents) {
            EXPECT_TRUE((co_await kv->Put(key, value)).ok());
            ++filled;
        }
    };
    RunTask(fill());
    auto files = std::make_unique<SimulatedFiles>(std::move(image));
    SimulatedFiles& disk = *files;
    {
        auto opened = OpenObjectBodiesOn(BodyPlaces(std::move(files)), *kv, Key(), *random, {});
        ASSERT_TRUE(opened.ok()) << opened.error().message();
        ObjectBodies& bodies = **opened;
        Owner owner(*kv, bodies);
        auto recover = [&]() -> Task<void> {
            EXPECT_TRUE((co_await bodies.Start()).ok());
            co_await bodies.Stop();
            // Life goes on, without meeting an old id.
            EXPECT_TRUE((co_await owner.Put("slot-new", {1'000'001}, []() -> Task<void> {
                            co_return;
                        })).ok());
        };
        RunTask(recover());
        std::set<std::string> claimed;
        size_t slots = 0;
        for (const auto& [key, value] : ContentsOf(*kv)) {
            if (!key.starts_with("slot")) {
                continue;
            }
            ++slots;
            const Status checked = RunTask(owner.Check(value));
            EXPECT_TRUE(checked.ok()) << key << ": " << checked.error().message();
            for (const StoredBody& body : *Owner::Decode(value)) {
                if (!body.is_inline()) {
                    claimed.insert(BodyEpochs::PathOf(body.id));
                }
            }
        }
        EXPECT_GT(slots, 0u);
        std::set<std::string> found;
        for (const auto& [path, bytes] : disk.Now().files) {
            if (!path.starts_with("open/")) {
                found.insert(path);
            }
        }
        EXPECT_EQ(found, claimed);
        // One claim for each file, no trash.
        size_t keys = 0;
        for (const auto& [key, value] : ContentsOf(*kv)) {
            keys += key.starts_with("slot") ? 0 : 1;
        }
        EXPECT_EQ(keys, claimed.size());
    }
}

TEST(BodyFaults, ACutAtAnyStepLeavesWholeBodiesAndNothingElse) {
    const char* const soak = ::getenv("HEARTH_SOAK_COUNT");
    const int rounds = soak != nullptr ? ::atoi(soak) : 4;
    const char* const replayed = ::getenv("HEARTH_SEED");
    const uint64_t seed =
        replayed != nullptr ? ::strtoull(replayed, nullptr, 10) : std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937_64 random(seed);
    for (int round = 0; round < rounds; ++round) {
        struct Moment {
            SimulatedFiles::Image image;
            // How many commits were durable.
            size_t commits;
        };

        std::vector<Moment> moments;
        std::vector<Contents> commits = {{}};
        std::mutex mutex;
        std::mt19937_64 cuts(random());

        const auto system_random = Random::System();
        const auto kv = MakeMemoryKv();
        auto files = std::make_unique<SimulatedFiles>();
        SimulatedFiles& disk = *files;
        disk.before_step = [&](const std::string&) {
            const std::lock_guard lock(mutex);
            if (cuts() % 6 == 0 && commits.size() > 1) {
                moments.push_back({disk.Cut(cuts), commits.size()});
            }
            return Status();
        };
        auto opened =
            OpenObjectBodiesOn(BodyPlaces(std::move(files)), *kv, Key(), *system_random, {});
        ASSERT_TRUE(opened.ok());
        Owner owner(*kv, **opened);
        auto committed = [&]() -> Task<void> {
            Contents contents;
            const auto page =
                co_await kv->Range({.begin = std::string(1, '\0'), .end = "\xff", .limit = 10'000});
            for (const KeyValue& item : page->items) {
                contents[item.key] = item.value;
            }
            const std::lock_guard lock(mutex);
            commits.push_back(std::move(contents));
        };
        auto life = [&]() -> Task<void> {
            EXPECT_TRUE((co_await (*opened)->Start()).ok());
            EXPECT_TRUE((co_await owner.Put("slot-first", {1}, committed)).ok());
            rt::TaskGroup group;
            for (int writer = 0; writer < 3; ++writer) {
                group.Spawn([&, writer]() -> Task<void> {
                    for (int i = 0; i < 8; ++i) {
                        std::vector<uint64_t> numbers;
                        for (uint64_t left = random() % 4; left > 0; --left) {
                            numbers.push_back(random() % 1'000'000);
                        }
                        const std::string slot = fmt::format("slot{}", random() % 4);
                        EXPECT_TRUE((co_await owner.Put(slot, numbers, committed)).ok());
                    }
                    // One that never becomes anything.
                    auto sink = *co_await (*opened)->Create({});
                    EXPECT_TRUE(
                        (co_await sink->Write(BytesOf(static_cast<uint64_t>(writer)))).ok());
                });
            }
            co_await group.Join();
            co_await (*opened)->Stop();
        };
        RunTask(life());
        opened->reset();
        EXPECT_GT(moments.size(), 10u);
        std::shuffle(moments.begin(), moments.end(), random);
        moments.resize(std::min<size_t>(moments.size(), 40));
        for (Moment& moment : moments) {
            SCOPED_TRACE(fmt::format("round {}, {} commits", round, moment.commits));
            ExpectWhole(std::move(moment.image), commits[moment.commits - 1]);
            if (::testing::Test::HasFailure()) {
                return;
            }
        }
    }
}

// A disk that fails at the n-th step, for each n: a clear error, nothing left of the body, and the
// next one works.
TEST(BodyFaults, AFailureAtAnyStepLeavesNothingBehind) {
    for (const char* code : {kDiskFull, ""}) {
        for (int failing = 0; failing < 20; ++failing) {
            SCOPED_TRACE(fmt::format("step {} fails with '{}'", failing, code));
            const auto random = Random::System();
            const auto kv = MakeMemoryKv();
            auto files = std::make_unique<SimulatedFiles>();
            SimulatedFiles& disk = *files;
            auto opened = OpenObjectBodiesOn(BodyPlaces(std::move(files)), *kv, Key(), *random, {});
            ASSERT_TRUE(opened.ok());
            int steps = 0;
            bool failed = false;
            disk.before_step = [&](const std::string& step) {
                // Removal is what follows.
                if (step != "remove" && steps++ == failing) {
                    failed = true;
                    return Status(Error(Error::Kind::kUnavailable, code, "the disk says no", 500));
                }
                return Status();
            };
            const std::string bytes(2'000'000, 'x');
            auto write = [&]() -> Task<Status> {
                HEARTH_CO_TRY(
                    auto sink, co_await (*opened)->Create({.expected_length = bytes.size()}));
                HEARTH_CO_RETURN_IF_ERROR(co_await sink->Write(bytes));
                HEARTH_CO_TRY(auto finished, co_await sink->Finish());
                finished.Leave();
                co_return Status();
            };
            const Status first = RunTask(write());
            EXPECT_EQ(first.ok(), !failed);
            if (!failed) {
                break;
            }
            EXPECT_EQ(first.error().code(), code);
            const Status second = RunTask(write());
            EXPECT_TRUE(second.ok()) << second.error().message();
        }
    }
}

TEST(BodyFaults, AFullDiskRefusesBodiesBeforeTheyComeAndReadsGoOn) {
    const auto random = Random::System();
    const auto kv = MakeMemoryKv();
    auto files = std::make_unique<SimulatedFiles>();
    SimulatedFiles& disk = *files;
    auto opened = OpenObjectBodiesOn(BodyPlaces(std::move(files)), *kv, Key(), *random, {});
    ASSERT_TRUE(opened.ok());
    Owner owner(*kv, **opened);
    auto nothing = []() -> Task<void> { co_return; };
    uint64_t large = 5;
    while (BytesOf(large).size() < 200'000) {
        ++large;
    }
    ASSERT_TRUE(RunTask(owner.Put("slot", {large}, nothing)).ok());
    disk.free_bytes = uint64_t{1} << 20;
    const Status refused = RunTask(owner.Put("other", {large}, nothing));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code(), kDiskFull);
    EXPECT_EQ(refused.error().kind(), Error::Kind::kUnavailable);
    EXPECT_TRUE(RunTask(owner.Check(**RunTask(kv->Get("slot")))).ok());
}

// A file that cannot be read is an error of whoever reads it, and of nobody else.
TEST(BodyFaults, AFailedReadIsAClearErrorAndOthersGoOn) {
    const auto random = Random::System();
    const auto kv = MakeMemoryKv();
    auto files = std::make_unique<SimulatedFiles>();
    SimulatedFiles& disk = *files;
    auto opened = OpenObjectBodiesOn(BodyPlaces(std::move(files)), *kv, Key(), *random, {});
    ASSERT_TRUE(opened.ok());
    Owner owner(*kv, **opened);
    auto nothing = []() -> Task<void> { co_return; };
    std::vector<uint64_t> large;
    for (uint64_t number = 5; large.size() < 2; ++number) {
        // More than a download has in its two buffers' first half, so that some is read later.
        if (BytesOf(number).size() > 300'000) {
            large.push_back(number);
        }
    }
    ASSERT_TRUE(RunTask(owner.Put("slot-bad", {large[0]}, nothing)).ok());
    ASSERT_TRUE(RunTask(owner.Put("slot-good", {large[1]}, nothing)).ok());
    const std::string bad = **RunTask(kv->Get("slot-bad"));
    const std::string good = **RunTask(kv->Get("slot-good"));
    const std::string path = BodyEpochs::PathOf((*Owner::Decode(bad))[0].id);
    for (int failing = 0; failing < 3; ++failing) {
        SCOPED_TRACE(fmt::format("read {} fails", failing));
        int reads = 0;
        disk.before_read = [&](const std::string& read) {
            if (read == path && reads++ >= failing) {
                return Status(errors::System("reading a body", EIO));
            }
            return Status();
        };
        const Status failed = RunTask(owner.Check(bad));
        if (reads <= failing) {
            EXPECT_TRUE(failed.ok()) << failed.error().message();
            continue;
        }
        ASSERT_FALSE(failed.ok());
        EXPECT_EQ(failed.error().kind(), Error::Kind::kInternal);
        EXPECT_NE(failed.error().code(), kBodyGone);
        EXPECT_NE(failed.error().message().find("Input/output error"), std::string::npos)
            << failed.error().message();
        // What the scrub calls for bodies whose key it does not have.
        reads = failing;
        auto check = [&]() -> Task<Status> {
            auto checked = co_await (*opened)->Check((*Owner::Decode(bad))[0], 0);
            co_return checked.ok() ? Status() : Status(std::move(checked).error());
        };
        EXPECT_FALSE(RunTask(check()).ok());
        EXPECT_TRUE(RunTask(owner.Check(good)).ok());
    }
    disk.before_read = nullptr;
    EXPECT_TRUE(RunTask(owner.Check(bad)).ok());
}

}  // namespace
}  // namespace hearth::storage
