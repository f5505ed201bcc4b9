#pragma once

#include "base/result.h"
#include "os/fd.h"

#include <string>

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

// Puts a tree of CloneTreeReadOnly somewhere.
Status AttachTree(int tree, const std::string& target);

// Makes the new root the root of this process and drops the old one. Works inside a chroot.
Status PivotTo(const std::string& new_root);

// The last octal escapes of /proc/*/mountinfo undone.
std::string UnescapeMountPath(const std::string& text);

}  // namespace hearth::os
