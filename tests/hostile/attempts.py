"""Runs inside an environment as function code would, and tries to get out. Prints one JSON object: attempt -> "refused"
or what went wrong for us. Each attempt says what an attacker would gain."""
import ctypes
import errno
import json
import os
import signal
import socket
import sys

libc = ctypes.CDLL(None, use_errno=True)
results = {}


def attempt(name):
    def wrap(function):
        try:
            answer = function()
        except OSError as error:
            answer = "refused" if error.errno else f"odd error {error}"
        except ValueError as error:  # how Python words a refused setrlimit
            answer = None if "not allowed" in str(error) else f"odd error {error}"
        results[name] = "refused" if answer is None else answer
        return function
    return wrap


def call(number, *arguments):
    """A system call; OSError when refused, else its value as an allowed attempt."""
    value = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    if value < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return f"ALLOWED: {value}"


def expect_refused(number, *arguments):
    return call(number, *arguments)


SYSCALLS = {
    "ptrace_init": (101, 16, 1, 0, 0), "ptrace_traceme": (101, 0, 0, 0, 0), "mount": (165, b"none", b"/tmp", b"tmpfs", 0, 0),
    "umount": (166, b"/proc", 2), "pivot_root": (155, b"/tmp", b"/tmp"), "chroot": (161, b"/tmp"),
    "fsopen": (430, b"tmpfs", 0), "open_tree": (428, -100, b"/", 1), "move_mount": (429, -100, b"/tmp", -100, b"/opt", 0),
    "mount_setattr": (442, -100, b"/usr", 0, 0, 0), "setns": (308, 0, 0), "unshare_user": (272, 0x10000000),
    "unshare_mount": (272, 0x00020000), "unshare_net": (272, 0x40000000), "unshare_pid": (272, 0x20000000),
    "clone_user": (56, 0x10000000 | 17, 0, 0, 0, 0), "clone3": (435, 0, 88), "add_key": (248, b"user", b"a", b"b", 1, -3),
    "keyctl": (250, 0, -3, 0, 0, 0), "request_key": (249, b"user", b"a", 0, 0), "bpf": (321, 0, 0, 0),
    "perf_event_open": (298, 0, 0, -1, -1, 0), "init_module": (175, 0, 0, b""), "finit_module": (313, 0, b"", 0),
    "delete_module": (176, b"x", 0), "kexec_load": (246, 0, 0, 0, 0), "kexec_file_load": (320, 0, 0, 0, b"", 0),
    "userfaultfd": (323, 0), "io_uring_setup": (425, 1, 0), "open_by_handle_at": (304, -100, 0, 0),
    "name_to_handle_at": (303, -100, b"/", 0, 0, 0), "reboot": (169, 0xfee1dead, 672274793, 0), "swapon": (167, b"/tmp/x", 0),
    "syslog": (103, 3, 0, 0), "acct": (163, 0), "quotactl": (179, 0, 0, 0, 0), "settimeofday": (164, 0, 0),
    "clock_settime": (227, 0, 0), "adjtimex": (159, 0), "sethostname": (170, b"x", 1), "iopl": (172, 3), "ioperm": (173, 0, 1, 1),
    "modify_ldt": (154, 0, 0, 0), "lookup_dcookie": (212, 0, 0, 0), "vhangup": (153,), "nfsservctl": (180,),
    "process_vm_readv": (310, 1, 0, 0, 0, 0, 0), "process_vm_writev": (311, 1, 0, 0, 0, 0, 0), "kcmp": (312, 1, 1, 0, 0, 0),
    "pidfd_getfd": (438, 0, 0, 0), "migrate_pages": (256, 1, 0, 0, 0), "move_pages": (279, 1, 0, 0, 0, 0, 0),
    "setuid_0": (105, 0), "setgid_0": (106, 0), "setresuid_0": (117, 0, 0, 0), "fanotify_init": (300, 0, 0),
    "personality_aslr_off": (135, 0x0040000), "mknod_device": (133, b"/tmp/device", 0o020666, 0x103),
    "kill_init": (62, 1, 9), "sched_setscheduler": (144, 0, 1, 0), "memfd_secret": (447, 0), "landlock_bad": (444, 0, 0, 9),
}
# Without root every environment has one user, root of its own namespace without capabilities: becoming it
# gains nothing, and signals to init are allowed and ignored by the kernel.
OWN_UIDS = bool(os.environ["OWN_UIDS"])
if not OWN_UIDS:
    for same in ("setuid_0", "setgid_0", "setresuid_0", "kill_init"):
        del SYSCALLS[same]
for name, (number, *arguments) in SYSCALLS.items():
    attempt(name)(lambda: expect_refused(number, *arguments))

for path in ["/proc/1/mem", "/proc/1/environ", "/proc/1/maps", "/proc/1/auxv", "/proc/kcore", "/dev/mem", "/dev/kvm",
             "/dev/vda", "/dev/fuse", "/etc/shadow", "/root/x", "/sys/kernel/uevent_helper"]:
    @attempt("read " + path)
    def _():
        with open(path, "rb") as file:
            data = file.read(16)
        return f"ALLOWED: {data!r}" if data else None

for path in ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/net/ipv4/ip_forward",
             "/proc/sysrq-trigger", *(["/proc/1/oom_score_adj"] if OWN_UIDS else []), "/proc/self/uid_map", "/proc/self/setgroups",
             "/sys/fs/cgroup/cgroup.procs", "/etc/passwd", "/etc/resolv.conf", "/usr/x", "/x", "/var/task/x", "/opt/x",
             "/var/runtime/x", "/dev/x", "/home/sbx_user1051/x", "/run/x", "/var/x", "/proc/x", "/sys/x", "/bin/x",
             "/usr/bin/python3", "/var/task/script.py", "/proc/timer_list", "/proc/kmsg"]:
    @attempt("write " + path)
    def _():
        fd = os.open(path, os.O_WRONLY | os.O_CREAT)
        try:
            os.write(fd, b"1")
        finally:
            os.close(fd)
        # A hidden file is /dev/null: written, and nothing happens.
        return None if os.stat(path).st_rdev == os.makedev(1, 3) else "ALLOWED"

# The numbers of init's descriptors, not what they are, show to its own user.
for path in ["/proc/1/root", "/proc/1/cwd", "/proc/1/ns/mnt"] + (["/proc/1/fd"] if OWN_UIDS else ["/proc/1/fd/3"]):
    @attempt("follow " + path)
    def _():
        return f"ALLOWED: {os.listdir(path) if path.count('/') < 4 else os.readlink(path)}"

for name, family, kind, protocol in [
        ("raw", socket.AF_INET, socket.SOCK_RAW, 1), ("raw6", socket.AF_INET6, socket.SOCK_RAW, 58),
        ("packet", 17, socket.SOCK_RAW, 3), ("vsock", 40, socket.SOCK_STREAM, 0), ("alg", 38, socket.SOCK_SEQPACKET, 0),
        ("audit", 16, socket.SOCK_RAW, 9), ("netfilter", 16, socket.SOCK_RAW, 12), ("uevent", 16, socket.SOCK_RAW, 15),
        ("xdp", 44, socket.SOCK_RAW, 0), ("bluetooth", 31, socket.SOCK_RAW, 1), ("can", 29, socket.SOCK_RAW, 1),
        ("tipc", 30, socket.SOCK_STREAM, 0), ("rds", 21, socket.SOCK_SEQPACKET, 0)]:
    @attempt("socket " + name)
    def _():
        with socket.socket(family, kind, protocol):
            return "ALLOWED"

# What listens on the machine's own loopback, or anywhere outside, must be out of reach.
for target in json.loads(os.environ["TARGETS"]):
    @attempt(f"connect {target[0]}:{target[1]}")
    def _():
        with socket.create_connection(tuple(target), timeout=3):
            return "ALLOWED"

@attempt("abstract socket of the machine")
def _():
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(b"\0" + os.environ["ABSTRACT"].encode())
        return "ALLOWED"

@attempt("machine's files by name")
def _():
    return next((f"ALLOWED: {path} exists" for path in json.loads(os.environ["SECRETS"]) if os.path.lexists(path)), None)

@attempt("kill everybody")
def _():
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        os.kill(-1, signal.SIGUSR1)
    except ProcessLookupError:
        pass
    os.kill(1, 0)
    return "ALLOWED: signal to init" if OWN_UIDS else None

@attempt("other processes")
def _():
    pids = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    return None if pids == [1, os.getpid()] else f"ALLOWED: sees {pids}"

@attempt("descriptors")
def _():
    fds = sorted(int(name) for name in os.listdir("/proc/self/fd"))
    return None if fds[:3] == [0, 1, 2] and len(fds) == 4 else f"ALLOWED: {[(fd, os.readlink(f'/proc/self/fd/{fd}')) for fd in fds]}"

@attempt("environment variables")
def _():
    known = {"PATH", "OWN_UIDS", "TARGETS", "ABSTRACT", "SECRETS", "AWS_LAMBDA_RUNTIME_API", "AWS_ENDPOINT_URL", "LC_CTYPE"}
    more = set(os.environ) - known
    return f"ALLOWED: {more}" if more else None

status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
for name, wanted in [("CapInh", "0" * 16), ("CapPrm", "0" * 16), ("CapEff", "0" * 16), ("CapBnd", "0" * 16), ("CapAmb", "0" * 16),
                     ("NoNewPrivs", "1"), ("Seccomp", "2"), ("Groups", "")]:
    value = status[name].strip()
    results["status " + name] = "refused" if value == wanted else f"ALLOWED: {value}"

@attempt("setuid program")
def _():
    # no_new_privs and nosuid: a setuid binary runs as ourselves.
    pid = os.fork()
    if pid == 0:
        sys.stdout = sys.stderr = None
        os.execv("/bin/su", ["su", "-c", "true"])
    _, code = os.waitpid(pid, 0)
    return "ALLOWED" if code == 0 else None

@attempt("32-bit system calls")
def _():
    # int 0x80 in an executable page: another table of system calls past the filter.
    import mmap
    pid = os.fork()
    if pid == 0:
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        # mov eax, 20 (getpid); int 0x80; ret
        page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        value = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
        os._exit(0 if value > 0 else 1)
    _, code = os.waitpid(pid, 0)
    return "ALLOWED" if code == 0 else None

@attempt("raise limits")
def _():
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard * 2))
    return "ALLOWED"

# The kernel names the source of the mount at /var/task; nothing else of the machine shows.
@attempt("mounts tell nothing")
def _():
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        text = file.read()
    return next((f"ALLOWED: {secret} in mountinfo" for secret in json.loads(os.environ["SECRETS"])[1:] if secret in text), None)

@attempt("hard link out of a read-only mount")
def _():
    os.link("/usr/bin/su", "/tmp/su")
    return "ALLOWED"

@attempt("landlock: rename into the root")
def _():
    open("/tmp/a", "w").close()
    os.rename("/tmp/a", "/a")
    return "ALLOWED"

print(json.dumps(results))
