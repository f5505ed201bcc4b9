"""Runs commands on a machine with a working /dev/kvm that needs no hardware for it (tests/kvm-host)."""

import os
import pathlib
import shutil
import subprocess

import hearth_up

HERE = pathlib.Path(__file__).parent
PYTHON = os.path.realpath("/usr/bin/python3")
CACHE = pathlib.Path(hearth_up.ROOT) / ".cache"
NEEDED = ("qemu-system-x86_64", "busybox", "cpio")
MEMORY_MIB = 2560


def why_not():
    """None when an emulated machine can be had here, else what is missing."""
    missing = [name for name in NEEDED if shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin") is None]
    if missing:
        return f"an emulated machine needs {', '.join(missing)}"
    return None if os.uname().machine == "x86_64" else "the emulated machine is an x86-64"


def kernel_package():
    """The kernel's package file that emulated machines and guests boot; fetched once by tests/kvm-host/run."""
    files = sorted((CACHE / "kvm-host").glob("linux-image-*-cloud-*.deb"), key=lambda file: file.stat().st_mtime)
    if files:
        return files[-1]
    subprocess.run([HERE.parent / "kvm-host" / "run", "--", "true"], env=environment(), check=True)
    return kernel_package()


def environment():
    return dict(
        os.environ, KVM_HOST_CACHE=str(CACHE / "kvm-host"), PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def python_overlay(directory):
    """Python as this machine has it, without what no test needs."""
    directory = pathlib.Path(directory)
    library = f"usr/lib/{pathlib.Path(PYTHON).name}"
    (directory / "usr/bin").mkdir(parents=True)
    shutil.copy(PYTHON, directory / "usr/bin/python3")
    skip = shutil.ignore_patterns(
        "test", "tests", "__pycache__", "idlelib", "tkinter", "lib2to3", "ensurepip", "pydoc_data", "unittest",
        "distutils", "config-*", "multiprocessing", "sqlite3", "xml", "curses", "dbm", "wsgiref", "turtle.py")
    shutil.copytree(f"/{library}", directory / library, symlinks=True, ignore=skip)
    return directory


def put_programs(directory, *programs):
    """Programs of the build, without what debuggers need."""
    build = pathlib.Path(hearth_up.build_directory())
    for program in programs:
        subprocess.run(["strip", "-o", pathlib.Path(directory) / program, build / program], check=True)


def run(payload, command, out=None, overlay=None, programs=(), timeout=600, memory_mib=MEMORY_MIB):
    """The completed process; its status is the command's, 124 to 126 are the emulated machine's own."""
    arguments = [HERE.parent / "kvm-host" / "run", "-p", payload, "-m", str(memory_mib), "-t", str(timeout)]
    for name in programs:
        arguments += ["-b", name]
    if overlay is not None:
        arguments += ["-r", overlay, "-b", PYTHON]
    if out is not None:
        arguments += ["-o", out]
    return subprocess.run(
        [*arguments, "--", *command], env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, errors="replace", timeout=timeout + 180)
