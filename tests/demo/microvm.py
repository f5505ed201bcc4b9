#!/usr/bin/python3
"""Boots Linux in a virtual machine of Hearth's own monitor and runs a command in it, whatever KVM this machine has.

With hardware virtualisation it does so at once. Where there is none, or only one that emulates each instruction, it
does so in an emulated machine that has one (tests/kvm-host): real, but slow.

usage: microvm.py BUILD_DIR [--emulated] [-- COMMAND ...]
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "vmm")]
COMMAND = ["sh", "-c", "uname -a; echo; head -3 /proc/meminfo; echo; cat /proc/1/comm /proc/uptime; echo; echo 'hello from a microVM'"]
# A million turns of a loop take a processor a millisecond, and a KVM that emulates them some seconds.
SLOW_S = 0.25


def say(text):
    print(f"\033[1m==>\033[0m {text}" if sys.stdout.isatty() else f"==> {text}", flush=True)


def why_not_here():
    """None where a guest of this machine's KVM runs at a processor's speed. Tried, not guessed from flags."""
    import tiny_guest

    problem = tiny_guest.why_no_kvm()
    if problem:
        return f"there is no KVM here ({problem})"
    with tempfile.TemporaryDirectory() as directory:
        monitor = tiny_guest.Monitor(directory, tiny_guest.config(tiny_guest.build("loop", directory)))
        try:
            monitor.await_line("begin\n")
            began = time.monotonic()
            monitor.await_line("end\n")
            seconds = time.monotonic() - began
        finally:
            monitor.kill()
    if seconds > SLOW_S:
        return f"this machine's KVM emulates each instruction (a loop of a million took {seconds:.1f} s)"
    return None


def build_image(build, directory):
    import emulated_host

    kernel = emulated_host.kernel_package()
    subprocess.run(
        [build / "hearth", "images", "build", "--directory", directory, "--kernel", kernel],
        env=dict(os.environ, XDG_CACHE_HOME=str(emulated_host.CACHE)), check=True)


def run_here(build, images, command):
    return subprocess.run(
        [build / "hearth", "microvm", "run", "--image", images / "minimal", "--", *command]).returncode


def run_emulated(images, command):
    import emulated_host

    with tempfile.TemporaryDirectory() as payload:
        emulated_host.put_programs(payload, "hearth", "hearth-vmm", "hearth-guest-init")
        subprocess.run(["cp", "-r", images / "minimal", payload], check=True)
        return subprocess.run(
            [TESTS / "kvm-host" / "run", "-p", payload, "-m", "1500", "-t", "600", "--", "./hearth", "microvm", "run",
             "--boot-timeout", "300", "--image", "./minimal", "--", *command],
            env=emulated_host.environment(), stdin=subprocess.DEVNULL).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--emulated", action="store_true", help="in an emulated machine, whatever there is")
    parser.add_argument("command", nargs="*", metavar="COMMAND", default=COMMAND)
    options = parser.parse_args()
    os.environ["HEARTH_BIN"] = str(options.build.resolve())
    import emulated_host

    reason = "asked for" if options.emulated else why_not_here()
    if reason is not None:
        problem = emulated_host.why_not()
        if problem is not None:
            print(f"microvm.py: {reason}, and {problem}", file=sys.stderr)
            return 1
    with tempfile.TemporaryDirectory() as directory:
        images = pathlib.Path(directory)
        say("Building an image: Debian's kernel, busybox, and Hearth's init")
        build_image(options.build, images)
        began = time.monotonic()
        if reason is None:
            say("Booting it with this machine's KVM")
            status = run_here(options.build, images, options.command)
        else:
            say(f"Booting it in an emulated machine, because {reason}; that takes half a minute")
            status = run_emulated(images, options.command)
    say(f"The command's status is {status}; all in all {time.monotonic() - began:.1f} s")
    return status


sys.exit(main())
