#pragma once

#include "base/result.h"
#include "os/fd.h"
#include "sandbox/snapshot/image.h"

#include <string>
#include <string_view>

// What an image was made on, compared with what is there now. Code that was compiled or chosen for
// one CPU, a vdso of another kernel or a library that was replaced would crash or misbehave in a
// clone, so any difference makes the image useless: the caller starts cold and makes a new one.
namespace hearth::snapshot {

// This machine, looked at once per process: its children know it already.
Result<MachineIdentity> CurrentMachine();

// The bytes of our own vdso; empty without one.
std::string_view OwnVdso();

// Opens `path` (absolute) as a process whose root is `root_fd` would, symbolic links included, but
// never outside of it, and describes it. Regular files only.
//   errors    System (no such file, ...); Malformed (no regular file)
struct OpenedFile {
    os::Fd fd;  // for reading
    MappedFile file;
};

Result<OpenedFile> OpenInRoot(int root_fd, const std::string& path);

// Opens a file of an image and compares it.
//   errors    Unavailable: it is not there any more or has changed; the message says which.
Result<os::Fd> OpenMappedFile(int root_fd, const MappedFile& file);

// Compares the machine alone: BecomeTemplate opens the files, and compares them.
//   errors    Unavailable: with what differs.
Status CheckMachine(const Image& image);

// Compares the machine, and every file with what stands at its path in `root_fd`.
//   errors    Unavailable: with what differs.
Status CheckIdentity(const Image& image, int root_fd);

}  // namespace hearth::snapshot
