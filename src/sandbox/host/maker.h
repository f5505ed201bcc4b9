#pragma once

#include "base/result.h"
#include "os/fd.h"
#include "sandbox/host/dump_job.h"
#include "sandbox/host/template_job.h"

#include <sys/types.h>

#include <span>
#include <string_view>

// The only part of the host that makes processes.
//
// System call filters are inherited for ever, so a host that may neither open inet sockets nor
// start programs could have no children that do. It therefore forks this helper before it locks
// itself up: it waits for requests of the host alone, makes a process in new namespaces with the
// *host* as its parent, and the process becomes hearth-init when the host lets it go.
namespace hearth::sandbox {

class Maker final {
  public:
    // `program` is hearth-init, open for execution.
    static Result<Maker> Start(os::Fd program);

    Maker(Maker&&) = default;
    Maker& operator=(Maker&&) = default;

    // Makes a process that waits for one byte on `channel` (its end of it) and then becomes
    // hearth-init. It is our child. `namespaces` false: a plain process.
    Result<pid_t> Make(const os::Fd& channel, bool namespaces);

    // Starts a process that saves a runtime into `image` and tells on `channel`. It is our child,
    // without namespaces of its own and without any other descriptor.
    Result<pid_t> Dump(const DumpJob& job, const os::Fd& channel, const os::Fd& image);

    // Starts a process that becomes a template (RunTemplate). It is our child, too.
    struct TemplateFds {
        const os::Fd& control;
        const os::Fd& report;
        const os::Fd& image;
        const os::Fd& filter;
        const os::Fd& ready;
        // May be invalid.
        const os::Fd& memory_use;
    };

    // Starts a process that finds out which memory a clone's calls used (RunLearn). It is our
    // child.
    struct LearnFds {
        const os::Fd& control;
        const os::Fd& image;
        const os::Fd& memory_use;
        const os::Fd& runtime;
    };

    Result<pid_t> Learn(const LearnFds& fds);

    Result<pid_t> MakeTemplate(const TemplateJob& job, const TemplateFds& fds);

    pid_t pid() const { return pid_; }

  private:
    Result<pid_t> Ask(std::string_view request, std::span<const int> fds);

    Maker(os::Fd socket, pid_t pid) : socket_(std::move(socket)), pid_(pid) {}

    os::Fd socket_;
    pid_t pid_;
};

}  // namespace hearth::sandbox
