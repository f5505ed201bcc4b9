#pragma once

#include "base/result.h"
#include "os/fd.h"

#include <string>
#include <vector>

// Mounts: the classic calls by path, and trees that are attached nowhere yet, by descriptor.
namespace hearth::os {

Status Mount(
    const std::string& source,
    const std::string& target,
    const std::string& type,
    unsigned long flags,
    const std::string& data = "");

// Binds `source` (with what is mounted below it) on `target`, which exists, read-only, nosuid and,
// unless `devices`, nodev.
Status BindReadOnly(const std::string& source, const std::string& target, bool devices = false);

// A copy of the tree at `directory`/`path` that is attached nowhere: read-only, nosuid, nodev. An
// empty path means the descriptor itself.
Result<Fd> CloneTreeReadOnly(int directory, const std::string& path);

// Several directories laid over each other, attached nowhere: read-only, nosuid, nodev. Of two
// files with one name the later directory's is seen; directories of one name are merged. The
// directories are meant by their descriptors and must not change while the mount is in use. Needs
// /proc, and overlayfs: since Linux 5.11 also without root.
Result<Fd> OverlayReadOnly(const std::vector<int>& directories);

// Puts a tree of CloneTreeReadOnly or OverlayReadOnly somewhere.
Status AttachTree(int tree, const std::string& target);

// Makes the new root the root of this process and drops the old one. Works inside a chroot.
Status PivotTo(const std::string& new_root);

// The last octal escapes of /proc/*/mountinfo undone.
std::string UnescapeMountPath(const std::string& text);

}  // namespace hearth::os
