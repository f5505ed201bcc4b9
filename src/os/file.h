#pragma once

#include "base/result.h"
#include "os/fd.h"

#include <fcntl.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Small files, directories and pipes: system calls that answer with a Result. Paths are relative to
// a directory descriptor (AT_FDCWD for the working directory). Descriptors are close-on-exec.
namespace hearth::os {

// Opens /dev/null on those of 0, 1, 2 that are closed, so that no later descriptor becomes one of
// them. The first call of every main().
void EnsureStdio();

// Raises the soft limit of open files to the hard one.
void RaiseOpenFilesLimit();

Result<Fd> Open(int directory, const std::string& path, int flags, unsigned mode = 0);

// As Open, but never outside `directory` and through no symbolic link. `path` is relative.
Result<Fd> OpenBeneath(int directory, const std::string& path, int flags);

// For the small files of /proc and of control groups: at most `bytes_max` bytes.
Result<std::string> ReadFile(int directory, const std::string& path, size_t bytes_max = 1 << 20);

// One write; the file must exist unless `flags` say otherwise.
Status WriteFile(int directory, const std::string& path, std::string_view text, int flags = 0);

// One read of an open file from its start, without moving its offset.
Result<std::string> ReadAt(int fd, size_t bytes_max = 64 << 10);

Status MakeDirectory(int directory, const std::string& path, unsigned mode = 0755);

// Read end, write end.
Result<std::pair<Fd, Fd>> Pipe(int flags = 0);

// Names in a directory, without "." and "..".
Result<std::vector<std::string>> ListDirectory(int directory, const std::string& path);

Result<Fd> Duplicate(int fd);

// An anonymous file with these bytes, sealed against change.
Result<Fd> SealedMemory(const std::string& name, std::string_view bytes);

}  // namespace hearth::os
