#include "sandbox/snapshot/dumper.h"
#include "sandbox/snapshot/testing/round_trip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

// Threads that waited in a system call when they were frozen wait in it again in every clone, and
// return from it as if nothing had happened; so do those of the original when it goes on.
namespace hearth::snapshot {
namespace {

using testing::StartsWith;
using testing_support::Original;
using testing_support::Pool;
using testing_support::Restore;
using testing_support::TakePicture;

std::string TargetProgram() {
    std::string self(4096, '\0');
    const ssize_t got = ::readlink("/proc/self/exe", self.data(), self.size());
    self.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    return self.substr(0, self.rfind('/')) + "/testing/snapshot_target";
}

void RoundTrip(std::vector<std::string> kinds, char command) {
    testing_support::Picture picture;
    {
        const Pool pool(CLONE_NEWNS);
        kinds.insert(kinds.begin(), TargetProgram());
        const Original original(pool, std::move(kinds));
        ASSERT_EQ(original.talk().ReadLine(), "ready");
        picture = TakePicture(original);
    }
    ASSERT_EQ(picture.error, "");
    TemplateOptions options;
    options.image_fd = picture.file.get();
    const os::Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    options.root_fd = root.get();
    const auto made = Template::Start(*picture.image, options);
    ASSERT_TRUE(made.ok()) << made.error().message();
    for (int i = 0; i < 3; ++i) {
        const Pool pool(CLONE_NEWNS);
        const auto restored = Restore(**made, pool);
        ASSERT_EQ(restored.error, "");
        EXPECT_THAT(restored.talk.Ask(command), StartsWith("ok 1 "));
    }
}

TEST(Restart, EveryKindOfWaitGoesOnInClones) {
    RoundTrip({"sleepers"}, 's');
}

// It stands still until it is read, and nothing tells how far its next time is.
TEST(Restart, ATimerThatHasFiredFiresInClones) {
    RoundTrip({"files", "fired"}, 'c');
}

TEST(Restart, AnOriginalThatGoesOnWaitsOn) {
    const Pool pool(CLONE_NEWNS);
    const Original original(pool, {TargetProgram(), "sleepers"});
    ASSERT_EQ(original.talk().ReadLine(), "ready");
    for (int i = 0; i < 5; ++i) {
        const os::Fd file(::memfd_create("image", MFD_CLOEXEC));
        const pid_t helper = ::fork();
        if (helper == 0) {
            DumpRequest request;
            request.pid = original.pid();
            request.image_fd = file.get();
            request.stand_ins = {{.inode = original.inode(), .id = 0}};
            request.kill = false;
            ::_exit(Dump(request).ok() ? 0 : 1);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(helper, &status, 0), helper);
        EXPECT_EQ(status, 0);
    }
    EXPECT_THAT(original.talk().Ask('s'), StartsWith("ok 1 "));
}

}  // namespace
}  // namespace hearth::snapshot
