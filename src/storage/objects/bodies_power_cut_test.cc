#include "base/random.h"
#include "rt/loops.h"
#include "rt/task_group.h"
#include "storage/objects/body_core.h"
#include "storage/objects/object_bodies.h"
#include "storage/objects/simulated_files.h"
#include "storage/objects/simulated_owner.h"
#include "storage/rocksdb/recorded_disk.h"
#include "storage/rocksdb/rocksdb_kv.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>

// The real engine and the bodies' files lose power at the same moment: before and after any sync of
// the one, at any step of the other. What was acknowledged is whole; what was not is there whole or
// not at all; no record is without its body, and no file without its record.
namespace hearth::storage {
namespace {

using rt::RunTask;

// Each slot has one writer, so that at any moment it holds what was acknowledged last, or what is
// on its way.
class Model final {
  public:
    struct Slot {
        std::vector<uint64_t> acknowledged;
        std::optional<std::vector<uint64_t>> pending;
    };

    using Slots = std::map<std::string, Slot>;

    void Begin(const std::string& slot, std::vector<uint64_t> numbers) {
        const std::lock_guard lock(mutex_);
        slots_[slot].pending = std::move(numbers);
    }

    void Acknowledge(const std::string& slot) {
        const std::lock_guard lock(mutex_);
        Slot& its = slots_[slot];
        its.acknowledged = *std::move(its.pending);
        its.pending.reset();
    }

    Slots Now() const {
        const std::lock_guard lock(mutex_);
        return slots_;
    }

  private:
    mutable std::mutex mutex_;
    Slots slots_;
};

// Both disks at one moment.
struct Moment {
    SimulatedFiles::Image bodies;
    size_t engine_operations;
    Model::Slots slots;
};

void ExpectWhole(const Moment& moment, const std::string& store) {
    const auto random = Random::System();
    auto kv = OpenRocksDb(store);
    ASSERT_TRUE(kv.ok()) << kv.error().message();
    auto files = std::make_unique<SimulatedFiles>(moment.bodies);
    SimulatedFiles& disk = *files;
    auto opened = OpenObjectBodiesOn(BodyPlaces(std::move(files)), **kv, Key(), *random, {});
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    Owner owner(**kv, **opened);
    auto recover = [&]() -> Task<void> {
        EXPECT_TRUE((co_await (*opened)->Start()).ok());
        co_await (*opened)->Stop();
    };
    RunTask(recover());
    std::set<std::string> claimed;
    size_t others = 0;
    std::map<std::string, std::vector<uint64_t>> found;
    for (const auto& [key, value] : ContentsOf(**kv)) {
        if (!key.starts_with("slot")) {
            ++others;
            continue;
        }
        const Status checked = RunTask(owner.Check(value));
        EXPECT_TRUE(checked.ok()) << key << ": " << checked.error().message();
        for (const StoredBody& body : *Owner::Decode(value, &found[key])) {
            if (!body.is_inline()) {
                claimed.insert(BodyEpochs::PathOf(body.id));
            }
        }
    }
    for (const auto& [slot, numbers] : found) {
        EXPECT_TRUE(moment.slots.contains(slot)) << slot << " was never written";
    }
    for (const auto& [slot, expected] : moment.slots) {
        EXPECT_TRUE(
            found[slot] == expected.acknowledged ||
            (expected.pending && found[slot] == *expected.pending))
            << slot << " holds neither what was acknowledged nor what was on its way";
    }
    std::set<std::string> on_disk;
    for (const auto& [path, bytes] : disk.Now().files) {
        if (!path.starts_with("open/")) {
            on_disk.insert(path);
        }
    }
    EXPECT_EQ(on_disk, claimed);
    // One claim for each file, no trash.
    EXPECT_EQ(others, claimed.size());
    opened->reset();
}

TEST(BodiesPowerCut, EngineAndFilesAreCutAtTheSameMoment) {
    const char* const soak = ::getenv("HEARTH_SOAK_COUNT");
    const int rounds = soak != nullptr ? ::atoi(soak) : 2;
    const char* const replayed = ::getenv("HEARTH_SEED");
    const uint64_t seed =
        replayed != nullptr ? ::strtoull(replayed, nullptr, 10) : std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937_64 random(seed);
    char pattern[] = "/tmp/hearth-both-XXXXXX";
    const std::string root = mkdtemp(pattern);
    for (int round = 0; round < rounds && !HasFailure(); ++round) {
        Recording recording;
        Model model;
        std::vector<Moment> moments;
        // Of whoever has the bodies' disk locked.
        std::mt19937_64 cuts(random());
        // The engine still syncs when the bodies' disk is gone.
        std::mutex watching;
        bool watched = true;
        const std::string live = fmt::format("{}/live-{}", root, round);
        {
            const auto env =
                rocksdb::NewCompositeEnv(std::make_shared<RecordingFileSystem>(recording));
            RocksDbOptions options;
            options.env = env.get();
            options.memtable_bytes = 64 * 1024;
            auto kv = OpenRocksDb(live, options);
            ASSERT_TRUE(kv.ok()) << kv.error().message();
            const auto system_random = Random::System();
            auto files = std::make_unique<SimulatedFiles>();
            SimulatedFiles& disk = *files;
            // With the bodies' disk standing still; what was acknowledged is asked for first, so
            // that it is not newer than the disks.
            const auto note = [&](uint64_t one_in) {
                if (cuts() % one_in == 0) {
                    Model::Slots slots = model.Now();
                    moments.push_back({disk.Cut(cuts), recording.size(), std::move(slots)});
                }
            };
            disk.before_step = [&](const std::string&) {
                note(8);
                return Status();
            };
            auto opened =
                OpenObjectBodiesOn(BodyPlaces(std::move(files)), **kv, Key(), *system_random, {});
            ASSERT_TRUE(opened.ok());
            recording.around_sync = [&] {
                const std::lock_guard lock(watching);
                if (watched) {
                    disk.WhileStill([&] { note(4); });
                }
            };
            Owner owner(**kv, **opened);
            auto life = [&]() -> Task<void> {
                EXPECT_TRUE((co_await (*opened)->Start()).ok());
                rt::TaskGroup group;
                for (int writer = 0; writer < 3; ++writer) {
                    group.Spawn([&, writer]() -> Task<void> {
                        for (int i = 0; i < 12; ++i) {
                            std::vector<uint64_t> numbers;
                            for (uint64_t left = random() % 4; left > 0; --left) {
                                numbers.push_back(random() % 1'000'000);
                            }
                            const std::string slot = fmt::format("slot{}-{}", writer, random() % 2);
                            model.Begin(slot, numbers);
                            EXPECT_TRUE((co_await owner.Put(slot, numbers, []() -> Task<void> {
                                            co_return;
                                        })).ok());
                            model.Acknowledge(slot);
                        }
                    });
                }
                co_await group.Join();
                co_await (*opened)->Stop();
            };
            RunTask(life());
            {
                const std::lock_guard lock(watching);
                watched = false;
            }
            opened->reset();
        }
        EXPECT_GT(moments.size(), 10u);
        std::shuffle(moments.begin(), moments.end(), random);
        moments.resize(std::min<size_t>(moments.size(), 40));
        for (const Moment& moment : moments) {
            SCOPED_TRACE(fmt::format("round {}, {} operations", round, moment.engine_operations));
            Disk engine_disk;
            for (size_t i = 0; i < moment.engine_operations; ++i) {
                engine_disk.Play(recording.operations()[i]);
            }
            const std::string store = root + "/cut";
            engine_disk.CutInto(store, random);
            ExpectWhole(moment, store);
            std::filesystem::remove_all(store);
            if (HasFailure()) {
                break;
            }
        }
    }
    std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace hearth::storage
