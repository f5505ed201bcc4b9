"""The monitor's API over its socket: what clients of Firecracker send and what they hear. Natively, on any /dev/kvm for what
needs a machine."""

import json
import os
import pathlib
import shutil
import socket
import subprocess

import pytest

import hearth_up
import tiny_guest
from api_client import ApiClient

AFTER_START = "The requested operation is not supported after starting the microVM."
BEFORE_START = "The requested operation is not supported before starting the microVM."


class Api:
    """A monitor without a machine yet."""

    def __init__(self, directory, *options, program="hearth-vmm", environment=None):
        self.directory = pathlib.Path(directory)
        self.socket = self.directory / "api.sock"
        self.process = subprocess.Popen(
            [pathlib.Path(hearth_up.build_directory()) / program, "--api-sock", self.socket, *options],
            cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})}, start_new_session=True,
        )
        self.await_ready()
        self.client = ApiClient(self.socket)

    def await_ready(self):
        # The socket listens before the program says anything; connecting is how to know.
        while self.process.poll() is None:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                try:
                    probe.connect(str(self.socket))
                    return
                except OSError:
                    # Neither a file nor a listener yet; the process is alive, so it is coming.
                    os.sched_yield()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()
        self.process.kill()
        self.process.communicate()

    def finish(self):
        out, err = self.process.communicate(timeout=tiny_guest.DEADLINE_S)
        return self.process.returncode, out.decode(errors="replace"), err.decode(errors="replace")


@pytest.fixture
def api(tmp_path):
    with Api(tmp_path, "--id", "vm-1") as running:
        yield running.client


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    directory = tmp_path_factory.mktemp("kernels")
    return {name: tiny_guest.build(name, directory) for name in ("wait", "hello")}


needs_kvm = pytest.mark.skipif(tiny_guest.why_no_kvm() is not None, reason=f"NO KVM: {tiny_guest.why_no_kvm()}")


def start(client, kernel, **machine):
    client.put("/boot-source", {"kernel_image_path": str(kernel), "boot_args": ""})
    client.put("/machine-config", {"vcpu_count": 1, "mem_size_mib": 8, **machine})
    client.put("/actions", {"action_type": "InstanceStart"})


def test_instance_before_its_start(api):
    assert api.get("/") == {
        "id": "vm-1", "state": "Not started", "vmm_version": api.get("/")["vmm_version"], "app_name": "hearth-vmm"}
    assert api.get("/version")["firecracker_version"].startswith("1.17.0")
    assert api.get("/machine-config") == {
        "vcpu_count": 1, "mem_size_mib": 128, "smt": False, "track_dirty_pages": False, "huge_pages": "None"}


def test_many_requests_on_one_connection(api):
    for _ in range(20):
        api.get("/")
        assert api.fault("GET", "/nowhere") == "Invalid request method and/or path: GET nowhere."


def test_resources_are_set_updated_and_shown(api, tmp_path):
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(4096))
    drive = {"drive_id": "root", "path_on_host": str(disk), "is_root_device": True, "is_read_only": False}
    api.put("/drives/root", drive)
    api.put("/drives/root", {**drive, "rate_limiter": {"ops": {"size": 5, "refill_time": 100}}})
    api.put("/drives/data", {**drive, "drive_id": "data", "is_root_device": False, "io_engine": "Async"})
    assert api.fault("PUT", "/drives/data", {**drive, "drive_id": "data"}) == (
        "Drive config error: A root block device already exists!")
    api.put("/network-interfaces/eth0", {"iface_id": "eth0", "host_dev_name": "tap0", "guest_mac": "06:00:00:00:00:01"})
    assert api.fault("PUT", "/network-interfaces/eth1", {
        "iface_id": "eth1", "host_dev_name": "tap1", "guest_mac": "06:00:00:00:00:01"}) == (
        "Network config error: The MAC address is already in use: 06:00:00:00:00:01")
    api.put("/mmds/config", {"version": "V2", "network_interfaces": ["eth0"], "ipv4_address": "169.254.169.250"})
    api.put("/vsock", {"guest_cid": 3, "uds_path": "v.sock"})
    api.put("/balloon", {"amount_mib": 16, "deflate_on_oom": True})
    api.put("/entropy", {})
    api.patch("/machine-config", {"vcpu_count": 2})
    config = api.get("/vm/config")
    assert [drive["drive_id"] for drive in config["drives"]] == ["root", "data"]
    assert config["drives"][0]["rate_limiter"]["ops"] == {"size": 5, "one_time_burst": None, "refill_time": 100}
    assert config["drives"][1]["io_engine"] == "Async"
    assert config["mmds-config"] == {
        "version": "V2", "network_interfaces": ["eth0"], "ipv4_address": "169.254.169.250", "imds_compat": False}
    assert config["vsock"] == {"guest_cid": 3, "uds_path": "v.sock"}
    assert config["balloon"]["amount_mib"] == 16
    assert config["machine-config"]["vcpu_count"] == 2
    assert api.get("/balloon")["deflate_on_oom"] is True


def test_what_needs_a_machine_says_so(api):
    for method, path, body in [
        ("PUT", "/actions", {"action_type": "FlushMetrics"}),
        ("PUT", "/actions", {"action_type": "SendCtrlAltDel"}),
        ("PATCH", "/vm", {"state": "Paused"}),
        ("PATCH", "/drives/a", {"drive_id": "a", "path_on_host": "b"}),
        ("PATCH", "/balloon", {"amount_mib": 1}),
        ("GET", "/balloon/statistics", None),
    ]:
        assert api.fault(method, path, body) == BEFORE_START
    assert api.fault("PUT", "/actions", {"action_type": "InstanceStart"}) == (
        "Start microvm error: Cannot start microvm without kernel configuration.")


def test_what_is_not_supported_says_so(api):
    for method, path, body in [
        ("PUT", "/cpu-config", {}),
        ("PUT", "/pmem/a", {"id": "a", "path_on_host": "b"}),
        ("PUT", "/hotplug/memory", {"total_size_mib": 128}),
        ("GET", "/hotplug/memory", None),
        ("PUT", "/snapshot/create", {"snapshot_path": "a", "mem_file_path": "b"}),
        ("PUT", "/snapshot/load", {"snapshot_path": "a", "mem_file_path": "b"}),
        ("PATCH", "/balloon/hinting/start", {}),
        ("PUT", "/machine-config", {"vcpu_count": 1, "mem_size_mib": 1, "cpu_template": "T2"}),
    ]:
        assert api.fault(method, path, body).startswith("The requested operation is not supported: ")


def test_huge_pages_are_a_choice(api):
    machine = {"vcpu_count": 1, "mem_size_mib": 8}
    for pages in ("2M", "Transparent", "None"):
        api.put("/machine-config", {**machine, "huge_pages": pages})
        assert api.get("/machine-config")["huge_pages"] == pages
    api.patch("/machine-config", {"huge_pages": "2M"})
    assert api.get("/machine-config")["huge_pages"] == "2M"
    assert api.fault("PATCH", "/machine-config", {"mem_size_mib": 7}) == (
        "Machine config error: The memory size (MiB) is either 0, or not a multiple of the configured page size.")


def test_deprecated_fields_are_marked(api):
    api.request("PUT", "/machine-config", body=json.dumps({"vcpu_count": 1, "mem_size_mib": 8, "cpu_template": "None"}))
    response = api.getresponse()
    response.read()
    assert (response.status, response.headers["Deprecation"]) == (204, "true")


def test_metadata_of_the_host(api):
    assert api.get("/mmds") == {}
    assert api.fault("PATCH", "/mmds", {"a": 1}) == "MMDS error: The MMDS data store is not initialized."
    api.put("/mmds", {"latest": {"meta-data": {"ami-id": "a", "b": 1}}})
    api.patch("/mmds", {"latest": {"meta-data": {"b": None, "c": [2]}}})
    assert api.get("/mmds") == {"latest": {"meta-data": {"ami-id": "a", "c": [2]}}}


def test_payloads_have_a_limit(tmp_path):
    with Api(tmp_path, "--http-api-max-payload-size", "100", "--mmds-size-limit", "20") as running:
        assert running.client.ask("PUT", "/mmds", {"a": "x" * 20}) == (
            413, "MMDS limit exceeded error: The MMDS patch request doesn't fit.")
        running.client.request("PUT", "/mmds", body="x" * 101)
        response = running.client.getresponse()
        assert response.status == 413
        assert "size 101 is larger than the limit of 100" in json.loads(response.read())["error"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_curl_speaks_it(tmp_path):
    with Api(tmp_path) as running:
        large = json.dumps({"a": "x" * 2000})  # curl asks for "100 Continue" before this much
        done = subprocess.run(
            ["curl", "-s", "-S", "-i", "--unix-socket", running.socket, "-X", "PUT", "http://localhost/mmds",
             "-H", "Expect: 100-continue", "-d", large],
            capture_output=True, check=True)
        assert done.stdout.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n")


def test_a_socket_that_is_there_is_an_error(tmp_path):
    (tmp_path / "api.sock").touch()
    done = subprocess.run(
        [tiny_guest.monitor_program(), "--api-sock", tmp_path / "api.sock"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=tiny_guest.DEADLINE_S)
    assert done.returncode == 1
    assert "Address already in use" in done.stderr


def test_the_command_line_is_checked():
    for arguments, wanted in [
        (["--nonsense"], "Found argument 'nonsense' which wasn't expected"),
        (["--no-api"], "Argument 'config-file' required, but not found."),
        (["--enable-pci"], "--enable-pci is not supported by hearth-vmm."),
        (["--id", "a/b"], "Invalid instance ID"),
    ]:
        done = subprocess.run(
            [tiny_guest.monitor_program(), *arguments], capture_output=True, text=True, timeout=tiny_guest.DEADLINE_S)
        assert done.returncode == 153
        assert wanted in done.stderr
    done = subprocess.run([tiny_guest.monitor_program(), "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("hearth-vmm ")


@needs_kvm
def test_a_machine_through_its_life(tmp_path, kernels):
    with Api(tmp_path, "--metrics-path", tmp_path / "metrics", "--log-path", tmp_path / "log") as running:
        client = running.client
        start(client, kernels["wait"], vcpu_count=2)
        assert client.get("/")["state"] == "Running"
        for method, path, body in [
            ("PUT", "/actions", {"action_type": "InstanceStart"}),
            ("PUT", "/boot-source", {"kernel_image_path": str(kernels["wait"])}),
            ("PUT", "/machine-config", {"vcpu_count": 1, "mem_size_mib": 8}),
            ("PATCH", "/machine-config", {"vcpu_count": 1}),
            ("PUT", "/vsock", {"guest_cid": 3, "uds_path": "v"}),
            ("PUT", "/logger", {"level": "Info"}),
            ("PUT", "/metrics", {"metrics_path": "m"}),
        ]:
            assert client.fault(method, path, body) == AFTER_START
        for _ in range(3):
            client.patch("/vm", {"state": "Paused"})
            assert client.get("/")["state"] == "Paused"
            client.patch("/vm", {"state": "Resumed"})
        client.put("/actions", {"action_type": "FlushMetrics"})
        lines = [json.loads(line) for line in (tmp_path / "metrics").read_text().splitlines()]
        assert len(lines) == 2  # at the start, and now
        assert lines[0]["put_api_requests"]["actions_count"] == 1
        assert lines[1]["latencies_us"]["vmm_pause_vm"] > 0
        assert "The microVM was started." in (tmp_path / "log").read_text()


@needs_kvm
def test_every_thread_has_its_filter(tmp_path, kernels):
    with Api(tmp_path) as running:
        start(running.client, kernels["wait"])
        running.client.get("/")
        modes = {}
        for thread in pathlib.Path(f"/proc/{running.process.pid}/task").iterdir():
            fields = dict(line.split(":\t", 1) for line in (thread / "status").read_text().splitlines() if ":\t" in line)
            modes[fields["Name"]] = fields["Seccomp"]
        assert {"hearth-vmm", "fc_api", "fc_vcpu 0"} <= set(modes)
        assert set(modes.values()) == {"2"}


@needs_kvm
def test_no_seccomp_is_no_filter(tmp_path, kernels):
    with Api(tmp_path, "--no-seccomp") as running:
        start(running.client, kernels["wait"])
        assert "Seccomp:\t0\n" in pathlib.Path(f"/proc/{running.process.pid}/status").read_text()


@needs_kvm
@pytest.mark.parametrize("thread", ["api", "vmm", "vcpu"])
def test_a_forbidden_call_ends_the_monitor(tmp_path, kernels, thread):
    """In a build that makes one forbidden call per thread: each filter is there before guest code runs or HTTP is spoken."""
    if not (pathlib.Path(hearth_up.build_directory()) / "hearth-vmm-forbidden").exists():
        pytest.fail("hearth-vmm-forbidden is not built")
    (tmp_path / "config.json").write_text(json.dumps(tiny_guest.config(kernels["hello"])))
    done = subprocess.run(
        [pathlib.Path(hearth_up.build_directory()) / "hearth-vmm-forbidden", "--api-sock", tmp_path / "api.sock",
         "--config-file", tmp_path / "config.json"],
        env={**os.environ, "HEARTH_VMM_FORBIDDEN_CALL": thread}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=tiny_guest.DEADLINE_S)
    assert done.returncode == 148
    assert "a system call is not allowed here: 110" in done.stderr  # getppid
    if thread != "api":
        assert "hello from a tiny guest" not in done.stdout


@needs_kvm
def test_a_configuration_file_and_the_api_together(tmp_path, kernels):
    configuration = tiny_guest.config(kernels["wait"], vsock={"guest_cid": 3, "uds_path": str(tmp_path / "v.sock")})
    (tmp_path / "config.json").write_text(json.dumps(configuration))
    (tmp_path / "metadata.json").write_text('{"a": "b"}')
    with Api(tmp_path, "--config-file", "config.json", "--metadata", "metadata.json") as running:
        assert running.client.get("/")["state"] == "Running"
        assert running.client.get("/mmds") == {"a": "b"}
        assert running.client.get("/vm/config")["vsock"]["guest_cid"] == 3


def test_a_bad_configuration_file_is_told(tmp_path):
    for text, wanted in [("{", "Invalid JSON"), ('{"cpu-config": "f"}', "not supported"), ("{}", "without kernel")]:
        (tmp_path / "config.json").write_text(text)
        done = subprocess.run(
            [tiny_guest.monitor_program(), "--no-api", "--config-file", tmp_path / "config.json"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=tiny_guest.DEADLINE_S)
        assert done.returncode == 152
        assert wanted in done.stderr


@needs_kvm
def test_the_guest_ends_the_monitor(tmp_path, kernels):
    with Api(tmp_path) as running:
        start(running.client, kernels["hello"])
        code, out, err = running.finish()
        assert code == 0, err
        assert "hello from a tiny guest" in out
