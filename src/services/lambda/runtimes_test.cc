#include "services/lambda/runtimes.h"

#include "rt/loops.h"

#include <gtest/gtest.h>

namespace hearth::lambda {
namespace {

TEST(Runtimes, IdsAreTakenApart) {
    EXPECT_EQ(ParseRuntimeId("python3.12").language, "python");
    EXPECT_EQ(ParseRuntimeId("python3.12").minor, 12);
    EXPECT_EQ(ParseRuntimeId("nodejs20.x").language, "nodejs");
    EXPECT_EQ(ParseRuntimeId("nodejs20.x").major, 20);
    EXPECT_EQ(ParseRuntimeId("provided.al2023").language, "provided");
    for (const char* unknown : {"", "python3.", "python3.x", "python2.7", "nodejs.x", "provided"}) {
        EXPECT_EQ(ParseRuntimeId(unknown).language, "") << unknown;
    }
}

TEST(Runtimes, NearestIsExactThenNewerThenOlder) {
    const std::vector<Interpreter> found = {{"a", 3, 9}, {"b", 3, 11}, {"c", 3, 13}};
    EXPECT_EQ(Nearest(found, 3, 11)->path, "b");
    EXPECT_EQ(Nearest(found, 3, 12)->path, "c");
    EXPECT_EQ(Nearest(found, 3, 10)->path, "b");
    EXPECT_EQ(Nearest(found, 3, 14)->path, "c");
    EXPECT_EQ(Nearest({}, 3, 14), nullptr);
}

TEST(Runtimes, AGivenPathWinsAndExactRefusesAnythingElse) {
    rt::BlockingPool pool({});
    RuntimeCatalog given(
        {.library_directory = "/lib",
         .paths = {{"python3.99", "/usr/bin/python3"}, {"python3.98", "/nothing/there"}},
         .exact = true,
         .search_directories = {"/usr/bin"}},
        pool);
    const auto plan = rt::RunTask(given.Plan("python3.99"));
    ASSERT_TRUE(plan.ok());
    EXPECT_TRUE(plan->argv.at(0).starts_with("/usr/bin/python3"));
    EXPECT_EQ(plan->mounts.at(0).source, "/lib/runtimes/python");
    EXPECT_FALSE(rt::RunTask(given.Plan("python3.98")).ok());
    EXPECT_FALSE(rt::RunTask(given.Plan("python3.97")).ok());
    EXPECT_FALSE(rt::RunTask(given.Plan("ruby3.3")).ok());
    EXPECT_TRUE(rt::RunTask(given.Plan("provided.al2"))->argv.empty());
}

TEST(Runtimes, AnotherMinorVersionIsNamed) {
    rt::BlockingPool pool({});
    RuntimeCatalog catalog(
        {.library_directory = "/lib", .paths = {}, .search_directories = {"/usr/bin"}}, pool);
    const auto plan = rt::RunTask(catalog.Plan("python3.99"));
    ASSERT_TRUE(plan.ok());
    EXPECT_TRUE(plan->substitution.starts_with("python3.99 runs on python3."))
        << plan->substitution;
}

}  // namespace
}  // namespace hearth::lambda
