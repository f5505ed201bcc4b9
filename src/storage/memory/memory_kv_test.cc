#include "storage/memory/memory_kv.h"

#include "rt/loops.h"

#include <gtest/gtest.h>

namespace hearth::storage {
namespace {

// "ok", "conflict" or "unknown" for each of 200 increments, and what is stored after each.
std::vector<std::string> Outcomes(const MemoryKvOptions& options) {
    const auto kv = MakeMemoryKv(options);
    std::vector<std::string> outcomes;
    for (int i = 0; i < 200; ++i) {
        const Kv::Body body = [](Transaction& t) -> Task<Status> {
            HEARTH_CO_TRY(const auto value, co_await t.Get("n"));
            t.Put("n", std::to_string(value ? std::stoi(*value) + 1 : 1));
            co_return Status();
        };
        const Status status = rt::RunTask(kv->Transact(body));
        const auto stored = rt::RunTask(kv->Get("n"));
        outcomes.push_back(fmt::format(
            "{} {}", status.ok() ? "ok" : status.error().code(), stored->value_or("none")));
    }
    return outcomes;
}

TEST(MemoryKv, TheSameSeedMeetsTheSameFaults) {
    const MemoryKvOptions options{.seed = 5, .conflict_per_mille = 300, .unknown_per_mille = 200};
    EXPECT_EQ(Outcomes(options), Outcomes(options));
    MemoryKvOptions other = options;
    other.seed = 6;
    EXPECT_NE(Outcomes(options), Outcomes(other));
}

// An Unknown answer says nothing about the write: tests must meet both cases.
TEST(MemoryKv, UnknownAnswersAreAppliedOrNot) {
    int applied = 0;
    int lost = 0;
    int before = 0;
    for (const std::string& outcome : Outcomes({.seed = 5, .unknown_per_mille = 500})) {
        const size_t space = outcome.find(' ');
        const std::string text = outcome.substr(space + 1);
        const int stored = text == "none" ? 0 : std::stoi(text);
        if (outcome.starts_with("Unknown")) {
            (stored == before + 1 ? applied : lost) += 1;
        } else {
            EXPECT_EQ(stored, before + 1);
        }
        before = stored;
    }
    EXPECT_GT(applied, 10);
    EXPECT_GT(lost, 10);
}

TEST(MemoryKv, InjectedConflictsAreRetriedUntilTheyEnd) {
    for (const std::string& outcome : Outcomes({.seed = 5, .conflict_per_mille = 500})) {
        EXPECT_TRUE(outcome.starts_with("ok")) << outcome;
    }
    for (const std::string& outcome : Outcomes({.seed = 5, .conflict_per_mille = 1'000})) {
        EXPECT_EQ(outcome, "Conflict none");
    }
}

}  // namespace
}  // namespace hearth::storage
