#include "sandbox/host/template_job.h"

#include "os/channel.h"
#include "os/file.h"
#include "sandbox/protocol/init_protocol.h"
#include "sandbox/snapshot/identity.h"
#include "sandbox/snapshot/template.h"
#include "sandbox/snapshot/working_set.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>

namespace hearth::sandbox {

namespace {

Result<std::string> ReadAll(int file) {
    std::string text(snapshot::kWorkingSetBytesMax + 1, '\0');
    const ssize_t bytes = ::pread(file, text.data(), text.size(), 0);
    if (bytes < 0) {
        return errors::System("reading which memory calls use", errno);
    }
    text.resize(static_cast<size_t>(bytes));
    return text;
}

Status Learn(int control, int image, int memory_use, int runtime) {
    HEARTH_TRY(const snapshot::Image described, snapshot::ReadImage(image));
    const os::Fd pidfd(runtime);
    HEARTH_TRY(
        const std::vector<snapshot::WorkingSetRange> ranges,
        snapshot::ReadWorkingSet(described, snapshot::PidOf(pidfd)));
    // Its number may have been another's if it has ended since.
    pollfd ended{runtime, POLLIN, 0};
    if (::poll(&ended, 1, 0) != 0) {
        return errors::Unavailable("the clone has ended");
    }
    const std::string text = snapshot::EncodeWorkingSet(ranges, described);
    if (::ftruncate(memory_use, 0) != 0 ||
        ::pwrite(memory_use, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
        return errors::System("writing which memory calls use", errno);
    }
    HEARTH_TRY(
        const size_t messages,
        snapshot::TemplateControl(os::Fd(control)).RequestWorkingSet(ranges));
    (void)messages;
    return {};
}

// Returns only with an error.
Error Become(
    const TemplateJob& job, int control, int image, int filter, int ready, int memory_use) {
    auto described = snapshot::ReadImage(image);
    if (!described.ok()) {
        return std::move(described).error();
    }
    if (Status fits = snapshot::CheckMachine(*described); !fits.ok()) {
        return std::move(fits).error();
    }
    snapshot::TemplateOptions options;
    options.image_fd = image;
    // Where the environment's map has one user only, clones stay that one, but lose capabilities
    // all the same.
    options.uid = kRuntimeUid;
    options.gid = kRuntimeGid;
    options.filter.resize(64 << 10);
    const ssize_t bytes = ::pread(filter, options.filter.data(), options.filter.size(), 0);
    if (bytes <= 0) {
        return errors::System("reading the filter", errno);
    }
    options.filter.resize(static_cast<size_t>(bytes));
    if (auto text = ReadAll(memory_use); text.ok()) {
        // Nothing yet, of another image, or damaged: clones find their memory by themselves.
        if (auto ranges = snapshot::DecodeWorkingSet(*text, *described); ranges.ok()) {
            options.working_set = *std::move(ranges);
        }
    }
    // All of that while hearth-init attaches the mounts; what follows needs them.
    char byte = 0;
    if (::read(ready, &byte, 1) != 1) {
        return errors::Internal("hearth-init ended while attaching mounts");
    }
    auto root = os::Open(AT_FDCWD, fmt::format("/proc/{}/root", job.init), O_PATH | O_DIRECTORY);
    if (!root.ok()) {
        return std::move(root).error();
    }
    options.root_fd = root->get();
    os::Fd socket(control);
    return snapshot::BecomeTemplate(*described, options, socket);
}

}  // namespace

void RunTemplate(
    const TemplateJob& job,
    int control,
    int report,
    int image,
    int filter,
    int ready,
    int memory_use) {
    ::prctl(PR_SET_NAME, "hearth-template", 0, 0, 0);
    const Error error = Become(job, control, image, filter, ready, memory_use);
    const bool unusable =
        error.kind() == Error::Kind::kUnavailable || error.kind() == Error::Kind::kInvalid;
    (void)os::SendPacket(
        report, (unusable ? kTemplateUnusable : kTemplateError) + error.message(), {})
        .ok();
    ::_exit(0);
}

void RunLearn(int control, int image, int memory_use, int runtime) {
    ::prctl(PR_SET_NAME, "hearth-learn", 0, 0, 0);
    // What cannot be learned of this one may be learned of another one later.
    (void)Learn(control, image, memory_use, runtime).ok();
    ::_exit(0);
}

}  // namespace hearth::sandbox
