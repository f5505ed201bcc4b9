"""Environments and snapshots on Debian's kernel, with pure cgroup v2, in an emulated machine.

The tests are the sandbox's own (src/sandbox/host_sandbox_test.cc); what they need is put into the
machine's memory. Times in there mean nothing.
"""

import os
import pathlib
import re
import shutil
import subprocess

import hearth_up
import pytest

HERE = pathlib.Path(__file__).parent
DEADLINE_S = 900
PYTHON = os.path.realpath("/usr/bin/python3")
NEEDED = ("qemu-system-x86_64", "busybox", "cpio")

missing = [name for name in NEEDED if shutil.which(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(missing), reason=f"SKIPPED: an emulated machine needs {', '.join(missing)}"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="SKIPPED: the emulated machine is an x86-64"),
]


def stripped(source, target):
    subprocess.run(["strip", "-o", target, source], check=True)


@pytest.fixture(scope="module")
def payload(tmp_path_factory):
    build = pathlib.Path(hearth_up.build_directory())
    directory = tmp_path_factory.mktemp("payload")
    for program in ("hearth-host", "hearth-init", "src/sandbox/sandbox_test"):
        stripped(build / program, directory / pathlib.Path(program).name)
    shutil.copy(HERE / "inside", directory)
    return directory


@pytest.fixture(scope="module")
def overlay(tmp_path_factory):
    """Python as the machine has it, without what no test needs."""
    directory = tmp_path_factory.mktemp("overlay")
    library = f"usr/lib/{pathlib.Path(PYTHON).name}"
    (directory / "usr/bin").mkdir(parents=True)
    (directory / "lib64").mkdir()
    shutil.copy(PYTHON, directory / "usr/bin/python3")
    skip = shutil.ignore_patterns("test", "tests", "__pycache__", "idlelib", "tkinter", "lib2to3", "ensurepip")
    shutil.copytree(f"/{library}", directory / library, symlinks=True, ignore=skip)
    return directory


def run_inside(payload, overlay, command):
    environment = dict(
        os.environ,
        KVM_HOST_CACHE=os.path.join(hearth_up.ROOT, ".cache", "kvm-host"),
        PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin",
    )
    result = subprocess.run(
        [HERE / "run", "-p", payload, "-r", overlay, "-b", PYTHON, "-m", "3072", "-t", str(DEADLINE_S), "--",
         "./inside", command],
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        timeout=DEADLINE_S + 120,
    )
    if result.returncode == 125:
        pytest.skip("SKIPPED: no emulated machine: " + result.stderr.strip())
    return result


def test_environments_and_snapshots_on_debians_kernel(payload, overlay):
    result = run_inside(
        payload, overlay,
        "uname -r; ./hearth-host --probe; ./sandbox_test --gtest_filter='*HostSandboxTest*/namespaces'",
    )
    print(result.stdout[-6000:], result.stderr[-2000:])
    assert result.returncode == 0
    assert re.search(r"^6\.1\.", result.stdout, re.M)
    assert "root + v2" in result.stdout
    assert "[  PASSED  ]" in result.stdout
    ran = re.findall(r"\[       OK \] \S*HostSandboxTest\.(\w+)/namespaces", result.stdout)
    assert "ASavedRuntimeGoesOnInOthers" in ran and len(ran) > 15
    assert "SKIPPED" not in result.stdout
