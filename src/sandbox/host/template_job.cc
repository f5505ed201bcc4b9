#include "sandbox/host/template_job.h"

#include "os/channel.h"
#include "os/file.h"
#include "sandbox/protocol/init_protocol.h"
#include "sandbox/snapshot/identity.h"
#include "sandbox/snapshot/template.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>

namespace hearth::sandbox {

namespace {

// Returns only with an error.
Error Become(const TemplateJob& job, int control, int image, int filter, int ready) {
    char byte = 0;
    if (::read(ready, &byte, 1) != 1) {
        return errors::Internal("hearth-init ended while attaching mounts");
    }
    auto described = snapshot::ReadImage(image);
    if (!described.ok()) {
        return std::move(described).error();
    }
    auto root = os::Open(AT_FDCWD, fmt::format("/proc/{}/root", job.init), O_PATH | O_DIRECTORY);
    if (!root.ok()) {
        return std::move(root).error();
    }
    if (Status fits = snapshot::CheckIdentity(*described, root->get()); !fits.ok()) {
        return std::move(fits).error();
    }
    snapshot::TemplateOptions options;
    options.image_fd = image;
    options.root_fd = root->get();
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
    os::Fd socket(control);
    return snapshot::BecomeTemplate(*described, options, socket);
}

}  // namespace

void RunTemplate(
    const TemplateJob& job, int control, int report, int image, int filter, int ready) {
    ::prctl(PR_SET_NAME, "hearth-template", 0, 0, 0);
    const Error error = Become(job, control, image, filter, ready);
    const bool unusable =
        error.kind() == Error::Kind::kUnavailable || error.kind() == Error::Kind::kInvalid;
    (void)os::SendPacket(
        report, (unusable ? kTemplateUnusable : kTemplateError) + error.message(), {})
        .ok();
    ::_exit(0);
}

}  // namespace hearth::sandbox
