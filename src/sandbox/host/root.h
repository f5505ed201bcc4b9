#pragma once

#include "base/result.h"
#include "os/fd.h"

#include <string>
#include <utility>
#include <vector>

// The file systems of the host and of the environments.
//
// The host leaves the machine's file system for a small tmpfs with nothing in it but: /proc, the
// data directory (read-only), the exposed directories, hearth-init, and /template: the root that
// every environment starts from. hearth-init binds its copy of /template and makes it the root.
namespace hearth::sandbox {

struct RootOptions {
    // The data directory: its path, and a descriptor that says which directory is meant (-1:
    // trust).
    std::string data_name;
    int data_fd = -1;
    // Mountable by absolute path.
    std::vector<std::string> exposed;
    // Mountable, and visible at the same path in every environment.
    std::vector<std::string> shown;
    // hearth-init's file on the machine.
    std::string init_program;
    // The name server that environments see; empty: none.
    std::string dns;
};

class HostRoot final {
  public:
    // Enters the new root; the process needs a mount namespace of its own and single-threadedness.
    static Result<HostRoot> Enter(const RootOptions& options);
    // The same lookups in the machine's own file system, for plain environments.
    static Result<HostRoot> Stay(const RootOptions& options);

    // A read-only tree for an environment. Absolute sources must lie in an exposed directory or the
    // data directory; relative ones lie in the data directory. No symbolic link is followed.
    Result<os::Fd> OpenSource(const std::string& source) const;
    // One tree of several sources, of which later ones hide what earlier ones have at the same
    // path.
    Result<os::Fd> OpenSources(const std::vector<std::string>& sources) const;
    // Whether OpenSources can lay trees of the data directory over each other here.
    bool CanOverlay() const;
    // As above, without a mount: the path as plain environments see it.
    Result<std::string> SourcePath(const std::string& source) const;

    Result<os::Fd> OpenInit() const;

  private:
    struct Exposed {
        std::string path;
        os::Fd directory;
    };

    Result<os::Fd> Find(const std::string& source) const;

    std::string data_name_;
    std::vector<Exposed> exposed_;
    std::string init_path_;
};

}  // namespace hearth::sandbox
