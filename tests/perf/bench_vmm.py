"""The section "vmm" of bench.py: what the microVM monitor itself costs, on any machine that has a KVM.

A tiny guest (tests/vmm/tiny) is booted, so nothing here depends on how fast this KVM runs guests. What KVM's own calls
take is the kernel's and is shown apart. Boot times, throughput and density are measured by bench/vmm-hardware alone.
"""

import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "vmm"))

import tiny_guest  # noqa: E402  (needs the path above)

RUNS = 30
MEMORY_MIB = 128


class Api:
    def __init__(self, path):
        self.path = str(path)

    def __call__(self, method, target, body=None):
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        connection.sock.connect(self.path)
        connection.request(method, target, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert answer.status in (200, 204), answer.status


def cpu_ms(pid):
    """Of all threads there are: the scheduler's own count."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e6


def await_socket(process, path):
    """Asks until somebody answers; the question itself is a small part of what is measured."""
    while True:
        assert process.poll() is None, "the monitor ended"
        try:
            return Api(path)("GET", "/version")
        except (FileNotFoundError, ConnectionRefusedError):
            continue


def cpu_until_api(directory):
    times = []
    for number in range(RUNS):
        path = directory / f"api-{number}.sock"
        process = subprocess.Popen(
            [tiny_guest.monitor_program(), "--api-sock", path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        try:
            await_socket(process, path)
            times.append(cpu_ms(process.pid))
        finally:
            process.kill()
            process.wait()
    return times


def beside_the_guest(pid):
    """KiB in memory that are not the guest's: resident, and with shared pages divided among those who share them."""
    resident = proportional = 0
    smaps = pathlib.Path(f"/proc/{pid}/smaps").read_text()
    for entry in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", smaps)[1:]:
        fields = dict(re.findall(r"^(Size|Rss|Pss): +(\d+)", entry, re.M))
        if int(fields["Size"]) < MEMORY_MIB << 10:
            resident += int(fields["Rss"])
            proportional += int(fields["Pss"])
    return resident, proportional


def first_runs(directory, kernel):
    """Own us, us in KVM's calls, number of those: from the start of the machine to its first instruction."""
    figures = []
    for number in range(RUNS):
        monitor = tiny_guest.Monitor(directory, tiny_guest.config(kernel, MEMORY_MIB), name=f"run-{number}")
        status, out, err = monitor.finish()
        log = (directory / f"run-{number}.log").read_text() + out
        found = re.search(r"First KVM_RUN after \d+ us: (\d+) us own, (\d+) us in (\d+) KVM ioctls", log)
        assert status == 0 and found, (status, log, err)
        figures.append(tuple(int(group) for group in found.groups()))
    return figures


def system_calls(directory, kernel):
    """Calls of all threads between the request to start and the first KVM_RUN; None without strace."""
    if shutil.which("strace") is None:
        return None
    path, trace = directory / "traced.sock", directory / "trace"
    process = subprocess.Popen(
        ["strace", "-f", "-s", "400", "-o", trace, tiny_guest.monitor_program(), "--api-sock", path], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await_socket(process, path)
        api = Api(path)
        api("PUT", "/boot-source", {"kernel_image_path": str(kernel)})
        api("PUT", "/machine-config", {"vcpu_count": 1, "mem_size_mib": MEMORY_MIB})
        api("PUT", "/actions", {"action_type": "InstanceStart"})
        process.wait(60)
    finally:
        process.kill()
        process.wait()
    count, counting = 0, False
    for line in trace.read_text(errors="replace").splitlines():
        if not counting:
            counting = "InstanceStart" in line
        elif "KVM_RUN" in line:
            return count
        elif not any(word in line for word in (" resumed>", "---", "+++", " futex(")):
            count += 1
    return None


def run(bench, options, directory):
    os.environ["HEARTH_BIN"] = options.build
    directory = pathlib.Path(directory) / "vmm"
    directory.mkdir()
    problem = tiny_guest.why_no_kvm()
    print(f"vmm: {'NOT MEASURED: ' + problem if problem else f'{RUNS} runs, {MEMORY_MIB} MiB, one vCPU'}")
    if problem:
        return
    hello, wait = (tiny_guest.build(name, directory) for name in ("hello", "wait"))
    times = cpu_until_api(directory)
    bench.report("vmm: CPU from start to API, median", statistics.median(times), "ms", target="8")
    bench.report("vmm: CPU from start to API, worst", max(times), "ms")
    figures = first_runs(directory, hello)
    bench.report("vmm: own, InstanceStart to KVM_RUN, median",
                 statistics.median(own for own, _, _ in figures) / 1000, "ms", target="3")
    bench.report("vmm: in KVM's calls meanwhile, median", statistics.median(kvm for _, kvm, _ in figures) / 1000, "ms")
    bench.report("vmm: KVM's calls meanwhile", statistics.median(calls for _, _, calls in figures), "")
    calls = system_calls(directory, hello)
    if calls is None:
        print("  system calls from InstanceStart to KVM_RUN: NOT COUNTED (strace)")
    else:
        bench.report("vmm: system calls, InstanceStart to KVM_RUN", calls, "")
    path = directory / "memory.sock"
    monitor = tiny_guest.Monitor(
        directory, tiny_guest.config(wait, MEMORY_MIB), "--api-sock", str(path), name="memory")
    try:
        monitor.await_line("waiting\n")
        resident, proportional = beside_the_guest(monitor.pid)
    finally:
        monitor.kill()
    bench.report("vmm: memory beside the guest, resident", resident / 1024, "MiB", target="5, aim 3")
    bench.report("vmm: memory beside the guest, proportional", proportional / 1024, "MiB")
