#include "services/lambda/snapshot_templates.h"

#include "rt/task_group.h"
#include "testing/run_task.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace hearth::lambda {
namespace {

// Makes templates that count themselves, or fails as told.
class FakeSandbox final : public sandbox::Sandbox {
  public:
    struct Counted final : sandbox::Template {
        explicit Counted(int& count) : alive(count) { ++alive; }

        ~Counted() override { --alive; }

        int& alive;
    };

    Task<Result<std::unique_ptr<sandbox::Environment>>> Create(sandbox::EnvironmentSpec) override {
        co_return errors::Unavailable("none here");
    }

    Task<Result<std::unique_ptr<sandbox::Template>>> MakeTemplate(
        sandbox::EnvironmentSpec, sandbox::SavedImage saved) override {
        ++made;
        EXPECT_TRUE(saved.image.valid());
        co_await gate.Wait();
        if (fail) {
            co_return errors::Unavailable("no");
        }
        co_return std::unique_ptr<sandbox::Template>(std::make_unique<Counted>(alive));
    }

    bool StacksMounts() const override { return true; }

    const std::string& backend() const override {
        static const std::string name = "fake";
        return name;
    }

    int made = 0;
    int alive = 0;
    bool fail = false;
    rt::Event gate;
};

class SnapshotTemplatesTest : public ::testing::Test {
  protected:
    void SetUp() override {
        directory_ = std::filesystem::temp_directory_path() /
                     ("hearth-templates-" + std::to_string(::getpid()));
        std::filesystem::create_directories(directory_);
        sandbox_.gate.Set();
    }

    void TearDown() override { std::filesystem::remove_all(directory_); }

    std::string Image(const std::string& name, size_t bytes) {
        const std::string path = directory_ / name;
        std::ofstream(path) << std::string(bytes, 'x');
        return path;
    }

    static sandbox::EnvironmentSpec Spec() { return {}; }

    std::filesystem::path directory_;
    FakeSandbox sandbox_;
};

TEST_F(SnapshotTemplatesTest, OneTemplateServesAllWhoAsk) {
    hearth::testing::RunTask([this]() -> Task<void> {
        SnapshotTemplates templates(sandbox_, 1000);
        const std::string image = Image("a", 100);
        sandbox_.gate.Reset();
        rt::TaskGroup group;
        int answered = 0;
        for (int i = 0; i < 5; ++i) {
            group.Spawn([&]() -> Task<void> {
                const auto made = co_await templates.Get(image, Spec);
                EXPECT_TRUE(made.ok());
                ++answered;
            });
        }
        sandbox_.gate.Set();
        co_await group.Join();
        EXPECT_EQ(answered, 5);
        EXPECT_EQ(sandbox_.made, 1);
        EXPECT_EQ(templates.bytes(), 100U);
    }());
    EXPECT_EQ(sandbox_.alive, 0);
}

TEST_F(SnapshotTemplatesTest, TheOneUnusedForLongestGoesFirst) {
    hearth::testing::RunTask([this]() -> Task<void> {
        SnapshotTemplates templates(sandbox_, 250);
        const std::string a = Image("a", 100);
        const std::string b = Image("b", 100);
        const std::string c = Image("c", 100);
        EXPECT_TRUE((co_await templates.Get(a, Spec)).ok());
        EXPECT_TRUE((co_await templates.Get(b, Spec)).ok());
        EXPECT_TRUE((co_await templates.Get(a, Spec)).ok());
        EXPECT_TRUE((co_await templates.Get(c, Spec)).ok());
        EXPECT_EQ(templates.count(), 2U);
        EXPECT_EQ(sandbox_.alive, 2);
        EXPECT_TRUE((co_await templates.Get(a, Spec)).ok());
        EXPECT_EQ(sandbox_.made, 3) << "a was still there";
        EXPECT_TRUE((co_await templates.Get(b, Spec)).ok());
        EXPECT_EQ(sandbox_.made, 4) << "b had to go";
    }());
}

TEST_F(SnapshotTemplatesTest, AFailureIsNobodyElses) {
    hearth::testing::RunTask([this]() -> Task<void> {
        SnapshotTemplates templates(sandbox_, 250);
        const auto gone = co_await templates.Get((directory_ / "gone").string(), Spec);
        EXPECT_FALSE(gone.ok());
        EXPECT_EQ(gone.error().kind(), Error::Kind::kConflict);
        const std::string a = Image("a", 100);
        sandbox_.fail = true;
        EXPECT_FALSE((co_await templates.Get(a, Spec)).ok());
        sandbox_.fail = false;
        EXPECT_TRUE((co_await templates.Get(a, Spec)).ok());
    }());
}

TEST_F(SnapshotTemplatesTest, ADroppedOneIsMadeAgain) {
    hearth::testing::RunTask([this]() -> Task<void> {
        SnapshotTemplates templates(sandbox_, 250);
        const std::string a = Image("a", 100);
        const auto first = co_await templates.Get(a, Spec);
        templates.Drop(a, *first);
        EXPECT_EQ(templates.bytes(), 0U);
        const auto second = co_await templates.Get(a, Spec);
        EXPECT_NE(*first, *second);
        // A second one that found the first dead must not take the new one down.
        templates.Drop(a, *first);
        EXPECT_EQ(templates.count(), 1U);
        templates.Forget(a);
        EXPECT_EQ(templates.count(), 0U);
        EXPECT_EQ(templates.bytes(), 0U);
    }());
}

}  // namespace
}  // namespace hearth::lambda
