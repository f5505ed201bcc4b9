#include "os/mounts.h"

#include "os/file.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

// <sys/mount.h> and <linux/mount.h> of glibc 2.36 define the same names, so the classic call is
// declared here.
extern "C" int mount(
    const char* source,
    const char* target,
    const char* type,
    unsigned long flags,
    const void* data);
extern "C" int umount2(const char* target, int flags);

namespace hearth::os {

namespace {

constexpr int kDetach = 2;  // MNT_DETACH

Status SetReadOnly(int directory, const char* path, unsigned flags, bool devices) {
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID;
    if (!devices) {
        attributes.attr_set |= MOUNT_ATTR_NODEV;
    }
    if (::syscall(
            SYS_mount_setattr,
            directory,
            path,
            flags | AT_RECURSIVE,
            &attributes,
            sizeof(attributes)) != 0) {
        return errors::System("mount_setattr", errno);
    }
    return {};
}

}  // namespace

Status Mount(
    const std::string& source,
    const std::string& target,
    const std::string& type,
    unsigned long flags,
    const std::string& data) {
    if (::mount(
            source.c_str(),
            target.c_str(),
            type.c_str(),
            flags,
            data.empty() ? nullptr : data.c_str()) != 0) {
        return errors::System("mount " + (type.empty() ? source : type) + " on " + target, errno);
    }
    return {};
}

Status BindReadOnly(const std::string& source, const std::string& target, bool devices) {
    HEARTH_RETURN_IF_ERROR(Mount(source, target, "", MS_BIND | MS_REC));
    return SetReadOnly(AT_FDCWD, target.c_str(), 0, devices);
}

Result<Fd> CloneTreeReadOnly(int directory, const std::string& path) {
    const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH;
    const long fd = ::syscall(SYS_open_tree, directory, path.c_str(), flags);
    if (fd < 0) {
        return errors::System("open_tree " + path, errno);
    }
    Fd tree(static_cast<int>(fd));
    HEARTH_RETURN_IF_ERROR(SetReadOnly(tree.get(), "", AT_EMPTY_PATH, false));
    return tree;
}

Result<Fd> OverlayReadOnly(const std::vector<int>& directories) {
    Fd context(static_cast<int>(::syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC)));
    if (!context.valid()) {
        return errors::System("fsopen overlay", errno);
    }
    // The topmost first. Descriptors keep the text short, whose limit is 255 bytes, and free of
    // characters that overlayfs gives a meaning to.
    std::string lower;
    for (auto it = directories.rbegin(); it != directories.rend(); ++it) {
        lower += fmt::format("{}/proc/self/fd/{}", lower.empty() ? "" : ":", *it);
    }
    const auto configure = [&](unsigned command, const char* key, const char* value) {
        return ::syscall(SYS_fsconfig, context.get(), command, key, value, 0);
    };
    if (configure(FSCONFIG_SET_STRING, "lowerdir", lower.c_str()) != 0 ||
        configure(FSCONFIG_CMD_CREATE, nullptr, nullptr) != 0) {
        return errors::System("overlay", errno);
    }
    Fd tree(static_cast<int>(::syscall(
        SYS_fsmount,
        context.get(),
        FSMOUNT_CLOEXEC,
        MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)));
    if (!tree.valid()) {
        return errors::System("fsmount overlay", errno);
    }
    return tree;
}

Status AttachTree(int tree, const std::string& target) {
    if (::syscall(SYS_move_mount, tree, "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) !=
        0) {
        return errors::System("move_mount on " + target, errno);
    }
    return {};
}

Status PivotTo(const std::string& new_root) {
    HEARTH_TRY(Fd root, Open(AT_FDCWD, new_root, O_PATH | O_DIRECTORY));
    HEARTH_TRY(Fd own, Open(AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY));
    // Entering the own mount namespace anew moves the root of a chroot to the namespace's real
    // root, without which pivot_root refuses.
    if (::setns(own.get(), CLONE_NEWNS) != 0) {
        return errors::System("setns", errno);
    }
    if (::fchdir(root.get()) != 0) {
        return errors::System("fchdir", errno);
    }
    if (::syscall(SYS_pivot_root, ".", ".") != 0) {
        return errors::System("pivot_root", errno);
    }
    if (::umount2(".", kDetach) != 0) {
        return errors::System("umount of the old root", errno);
    }
    if (::chdir("/") != 0) {
        return errors::System("chdir", errno);
    }
    return {};
}

std::string UnescapeMountPath(const std::string& text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size()) {
            out.push_back(static_cast<char>(
                (text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0')));
            i += 3;
        } else {
            out.push_back(text[i]);
        }
    }
    return out;
}

}  // namespace hearth::os
