"""Tier C: Debian's unmodified kernel under the monitor, in one emulated machine with a real KVM.

Times in there mean nothing; counts do. What runs there is inside_linux.py; each of its checks is a test here.
"""

import json
import os
import pathlib
import shutil
import subprocess

import emulated_host
import hearth_up
import pytest

HERE = pathlib.Path(__file__).parent
DEADLINE_S = 600
EXITS_MAX = 343

pytestmark = pytest.mark.skipif(
    emulated_host.why_not() is not None, reason=f"SKIPPED: LINUX GUESTS NOT TESTED: {emulated_host.why_not()}")


def build_image(directory, name, *options):
    hearth = pathlib.Path(hearth_up.build_directory()) / "hearth"
    environment = dict(os.environ, XDG_CACHE_HOME=str(emulated_host.CACHE), PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")
    return subprocess.run(
        [hearth, "images", "build", name, "--directory", directory, "--kernel", emulated_host.kernel_package(),
         *options],
        env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    payload = tmp_path_factory.mktemp("payload")
    emulated_host.put_programs(payload, "hearth", "hearth-vmm", "hearth-guest-init")
    for file in ("guest_exec.py", "inside_linux.py"):
        shutil.copy(HERE / file, payload)
    try:
        kernel = emulated_host.kernel_package()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"SKIPPED: LINUX GUESTS NOT TESTED: no kernel package could be fetched: {error}")
    built = build_image(payload / "images", "minimal")
    assert built.returncode == 0, built.stderr
    with_root = build_image(payload / "images", "root", "--package", "bash")
    out = tmp_path_factory.mktemp("out")
    done = emulated_host.run(
        payload, ["/usr/bin/python3", "-B", "./inside_linux.py"], out=out,
        overlay=emulated_host.python_overlay(tmp_path_factory.mktemp("overlay")), programs=("ip",), timeout=DEADLINE_S)
    print(done.stdout[-6000:], done.stderr[-3000:])
    if done.returncode == 125:
        pytest.skip("SKIPPED: LINUX GUESTS NOT TESTED: " + done.stderr.strip())
    assert done.returncode == 0
    found = json.loads((out / "results.json").read_text())
    found["kernel"] = kernel.name
    found["with_root"] = with_root
    print(found.get("console", ""))
    return found


def value(results, name):
    assert name in results, f"{name} did not run"
    assert results[name]["ok"], results[name]["value"]
    return results[name]["value"]


def test_exits_until_init(results):
    exits = value(results, "exits")
    print(f"{exits['exits']} exits until init with {results['kernel']}")
    assert exits["exits"] <= EXITS_MAX, exits


@pytest.mark.parametrize(
    "name",
    ["boot", "smp", "disk_read_only", "disk_writable", "net", "mmds", "vsock", "entropy", "balloon", "pause", "end",
     "microvm_run"],
)
def test_linux(results, name):
    value(results, name)


def test_what_the_monitor_takes(results):
    monitor = value(results, "monitor")
    print(monitor)
    # Main, API and two vCPUs.
    assert monitor["threads"] == 4
    assert monitor["seccomp"] == 2


def test_read_only_root(results):
    if results["with_root"].returncode != 0:
        pytest.skip("SKIPPED: NO IMAGE WITH A ROOT FILE SYSTEM WAS TESTED: " + results["with_root"].stderr[-500:])
    value(results, "read_only_root")
