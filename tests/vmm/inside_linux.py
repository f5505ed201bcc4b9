"""Runs in the emulated machine: Linux guests under the monitor. Leaves results.json in /out.

usage: inside_linux.py        in the payload: hearth, hearth-vmm, images/minimal, images/root (may be missing)
"""

import hashlib
import http.client
import http.server
import json
import os
import pathlib
import re
import select
import socket
import subprocess
import threading
import time
import traceback

import guest_exec

BOOT_ARGUMENTS = (
    "console=ttyS0 quiet loglevel=4 reboot=k panic=-1 pci=off nokaslr mitigations=off cryptomgr.notests "
    "random.trust_cpu=on tsc=reliable")
BOOT_TIMER = "0xc0000000"
BOOT_S = 100
results = {}


def check(name):
    """Runs the function; what it returns, or how it failed, is the result of that name."""

    def decorate(function):
        began = time.monotonic()
        try:
            results[name] = {"ok": True, "value": function()}
        except Exception:
            results[name] = {"ok": False, "value": traceback.format_exc()}
        results[name]["seconds"] = round(time.monotonic() - began, 1)
        print(name, results[name], flush=True)
        return function

    return decorate


def boot_source(*more):
    return {
        "kernel_image_path": "images/minimal/kernel",
        "initrd_path": "images/minimal/initrd",
        "boot_args": " ".join([BOOT_ARGUMENTS, *more]),
    }


@check("exits")
def exits():
    """A quiet boot with one vCPU, a serial port and nothing else, until the first instruction of init."""
    pathlib.Path("exits.json").write_text(json.dumps({
        "boot-source": boot_source(f"hearth.boot_timer={BOOT_TIMER}", "--", "true"),
        "drives": [],
        "machine-config": {"vcpu_count": 1, "mem_size_mib": 128},
    }))
    done = subprocess.run(
        ["./hearth-vmm", "--no-api", "--boot-timer", "--config-file", "exits.json"], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, errors="replace", timeout=BOOT_S)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    assert "hearth-guest-init: exit 0" in done.stdout, done.stdout
    count = re.search(r"Guest-boot-exits = (\d+)", done.stdout)
    assert count, done.stdout
    return {"exits": int(count.group(1)), "log": done.stdout[-1500:]}


class Api:
    def __init__(self, path):
        self.path = path

    def __call__(self, method, target, body=None):
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        connection.sock.connect(self.path)
        connection.request(method, target, None if body is None else json.dumps(body),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        assert answer.status in (200, 204), (method, target, answer.status, text)
        return json.loads(text) if text else None


DISK = os.urandom(16 << 20)
MODEL = {"latest": {"meta-data": {"instance-id": "i-hearth", "tags": {"a": "b"}}}}


class Guest:
    """One machine with everything, driven through the API."""

    def __init__(self):
        pathlib.Path("read_only.img").write_bytes(DISK)
        pathlib.Path("writable.img").write_bytes(bytes(8 << 20))
        for words in ("tuntap add dev tap0 mode tap", "addr add 172.16.0.1/24 dev tap0", "link set tap0 up"):
            subprocess.run(["/bin/ip", *words.split()], check=True)
        self.ready = socket.socket(socket.AF_UNIX)
        self.ready.bind("v.sock_1025")
        self.ready.listen()
        self.ready.settimeout(BOOT_S)
        self.console = open("console", "wb")
        self.process = subprocess.Popen(
            ["./hearth-vmm", "--api-sock", "api.sock"], stdin=subprocess.DEVNULL, stdout=self.console,
            stderr=self.console)
        self.api = Api("api.sock")
        self.await_api()
        api = self.api
        api("PUT", "/boot-source", boot_source())
        api("PUT", "/machine-config", {"vcpu_count": 2, "mem_size_mib": 192})
        api("PUT", "/drives/ro", {
            "drive_id": "ro", "path_on_host": "read_only.img", "is_root_device": False, "is_read_only": True})
        api("PUT", "/drives/rw", {
            "drive_id": "rw", "path_on_host": "writable.img", "is_root_device": False, "is_read_only": False,
            "cache_type": "Writeback"})
        api("PUT", "/network-interfaces/eth0", {
            "iface_id": "eth0", "host_dev_name": "tap0", "guest_mac": "06:00:AC:10:00:02"})
        api("PUT", "/vsock", {"guest_cid": 3, "uds_path": "v.sock"})
        api("PUT", "/entropy", {})
        api("PUT", "/balloon", {"amount_mib": 0, "deflate_on_oom": True, "stats_polling_interval_s": 1})
        api("PUT", "/mmds/config", {"network_interfaces": ["eth0"], "version": "V2"})
        api("PUT", "/mmds", MODEL)
        pathlib.Path("metrics").touch()
        api("PUT", "/metrics", {"metrics_path": "metrics"})
        api("PUT", "/actions", {"action_type": "InstanceStart"})
        self.ready.accept()[0].close()

    def await_api(self):
        deadline = time.monotonic() + 30
        while True:
            try:
                return self.api("GET", "/version")
            except (FileNotFoundError, ConnectionRefusedError):
                assert self.process.poll() is None, "the monitor ended"
                assert time.monotonic() < deadline, "no API socket"
                time.sleep(0.05)

    def run(self, script, data=None, expected=0):
        connection = guest_exec.connect("v.sock")
        connection.sendall(guest_exec.request(["sh", "-c", script], stdin=data is not None))
        if data is not None:
            def feed():
                for begin in range(0, len(data), 32768):
                    connection.sendall(guest_exec.frame(guest_exec.STDIN, data[begin:begin + 32768]))
                connection.sendall(guest_exec.frame(guest_exec.STDIN))
            threading.Thread(target=feed, daemon=True).start()
        status, out, err = guest_exec.finish(connection)
        connection.close()
        assert status == expected, (script, status, out, err)
        return out


def md5(data):
    return hashlib.md5(data).hexdigest()


guest = None


@check("boot")
def boot():
    global guest
    guest = Guest()
    return guest.api("GET", "/")


def serve_file(data):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("172.16.0.1", 8000), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


if guest is not None:
    @check("smp")
    def smp():
        assert guest.run("nproc") == b"2\n"
        guest.run("for cpu in 0 1; do taskset $((1 << cpu)) sh -c 'i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); done' & done; wait")
        return guest.run("cat /proc/interrupts").decode()

    @check("disk_read_only")
    def disk_read_only():
        assert guest.run("md5sum </dev/vda").split()[0].decode() == md5(DISK)
        assert guest.run("cat /sys/block/vda/ro") == b"1\n"
        guest.run("dd if=/dev/zero of=/dev/vda bs=512 count=1 conv=fsync 2>/dev/null", expected=1)
        assert pathlib.Path("read_only.img").read_bytes() == DISK

    @check("disk_writable")
    def disk_writable():
        data = os.urandom(2 << 20)
        guest.run("cat >/dev/vdb; sync", data)
        assert pathlib.Path("writable.img").read_bytes()[:len(data)] == data
        guest.run("echo 3 >/proc/sys/vm/drop_caches")
        assert guest.run("head -c 2097152 /dev/vdb | md5sum").split()[0].decode() == md5(data)

    @check("net")
    def net():
        guest.run("ip addr add 172.16.0.2/24 dev eth0 && ip link set eth0 up")
        assert b"3 packets received" in guest.run("ping -c 3 -W 10 172.16.0.1")
        data = os.urandom(4 << 20)
        serve_file(data)
        assert guest.run("wget -q -O - http://172.16.0.1:8000/ | md5sum").split()[0].decode() == md5(data)
        return guest.run("cat /sys/class/net/eth0/address").decode()

    @check("mmds")
    def mmds():
        guest.run("ip route add 169.254.169.254 dev eth0")

        def ask(request):
            text = request + "Host: 169.254.169.254\\r\\nConnection: close\\r\\n\\r\\n"
            return guest.run(f"printf '{text}' | nc -w 10 169.254.169.254 80").decode()

        assert " 401 " in ask("GET /latest/meta-data/instance-id HTTP/1.1\\r\\n").splitlines()[0]
        answer = ask("PUT /latest/api/token HTTP/1.1\\r\\nX-metadata-token-ttl-seconds: 60\\r\\n")
        assert " 200 " in answer.splitlines()[0], answer
        token = answer.split("\r\n\r\n", 1)[1]
        answer = ask(f"GET /latest/meta-data/instance-id HTTP/1.1\\r\\nX-metadata-token: {token}\\r\\n")
        assert " 200 " in answer.splitlines()[0] and "i-hearth" in answer, answer
        guest.api("PATCH", "/mmds", {"latest": {"meta-data": {"instance-id": "i-other"}}})
        answer = ask(f"GET /latest/meta-data/instance-id HTTP/1.1\\r\\nX-metadata-token: {token}\\r\\n")
        assert "i-other" in answer, answer

    @check("vsock")
    def vsock():
        data = os.urandom(4 << 20)
        assert guest.run("md5sum", data).split()[0].decode() == md5(data)
        out = guest.run("head -c 4194304 /dev/urandom | tee /tmp/sent")
        assert guest.run("md5sum </tmp/sent").split()[0].decode() == md5(out)
        # Many at once, each with its own bytes.
        outcomes = [None] * 20

        def one(number):
            outcomes[number] = guest.run(f"echo {number}; cat", str(number).encode() * 1000)

        threads = [threading.Thread(target=one, args=(number,)) for number in range(len(outcomes))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number, outcome in enumerate(outcomes):
            assert outcome == f"{number}\n".encode() + str(number).encode() * 1000
        # Nobody listens there.
        try:
            guest_exec.connect("v.sock", port=99)
        except ConnectionError:
            pass
        else:
            raise AssertionError("a connection to a port where nobody listens")
        # A host that hangs up ends what it started, children included.
        connection = guest_exec.connect("v.sock")
        connection.sendall(guest_exec.request(["sh", "-c", "setsid sleep 1234 & echo up; sleep 1234"]))
        assert guest_exec.read_frame(connection) == (guest_exec.STDOUT, b"up\n")
        connection.close()
        guest.run("for i in 1 2 3 4 5 6 7 8 9 10; do pgrep -f 'sleep 1234' >/dev/null || exit 0; sleep 1; done; exit 1")

    @check("entropy")
    def entropy():
        assert guest.run("cat /sys/class/misc/hw_random/rng_current").startswith(b"virtio_rng")
        first, second = (guest.run("head -c 64 /dev/hwrng") for _ in range(2))
        assert len(first) == len(second) == 64 and first != second

    @check("balloon")
    def balloon():
        def available():
            return int(re.search(rb"MemAvailable: +(\d+)", guest.run("cat /proc/meminfo")).group(1))

        before = available()
        guest.api("PATCH", "/balloon", {"amount_mib": 32})
        deadline = time.monotonic() + 30
        while available() > before - (28 << 10):
            assert time.monotonic() < deadline, (before, available())
            time.sleep(0.2)
        statistics = guest.api("GET", "/balloon/statistics")
        assert statistics["target_mib"] == 32, statistics
        guest.api("PATCH", "/balloon", {"amount_mib": 0})
        deadline = time.monotonic() + 30
        while available() < before - (8 << 10):
            assert time.monotonic() < deadline, (before, available())
            time.sleep(0.2)
        return statistics

    @check("pause")
    def pause():
        connection = guest_exec.connect("v.sock")
        connection.sendall(guest_exec.request(["cat"], stdin=True))
        guest.api("PATCH", "/vm", {"state": "Paused"})
        assert guest.api("GET", "/")["state"] == "Paused"
        connection.sendall(guest_exec.frame(guest_exec.STDIN, b"hello"))
        assert not select.select([connection], [], [], 1)[0], "a paused machine answers"
        guest.api("PATCH", "/vm", {"state": "Resumed"})
        assert guest_exec.read_frame(connection) == (guest_exec.STDOUT, b"hello")
        connection.sendall(guest_exec.frame(guest_exec.STDIN))
        assert guest_exec.finish(connection)[0] == 0

    @check("monitor")
    def monitor():
        """What the monitor itself takes, after all that."""
        status = pathlib.Path(f"/proc/{guest.process.pid}/status").read_text()
        smaps = pathlib.Path(f"/proc/{guest.process.pid}/smaps").read_text()
        guest_kib = others_kib = 0
        for entry in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", smaps):
            size, rss = (re.search(rf"^{name}: +(\d+)", entry, re.M) for name in ("Size", "Rss"))
            if size and rss:
                # The guest's memory is the one mapping that is as large as it.
                if int(size.group(1)) >= 128 << 10:
                    guest_kib += int(rss.group(1))
                else:
                    others_kib += int(rss.group(1))
        guest.api("PUT", "/actions", {"action_type": "FlushMetrics"})
        flushed = json.loads(pathlib.Path("metrics").read_text().splitlines()[-1])
        return {
            "threads": int(re.search(r"Threads:\s+(\d+)", status).group(1)),
            "seccomp": int(re.search(r"Seccomp:\s+(\d+)", status).group(1)),
            "guest_kib": guest_kib, "others_kib": others_kib, "vcpu": flushed.get("vcpu")}

    @check("end")
    def end():
        connection = guest_exec.connect("v.sock")
        connection.sendall(b'{"action": "reboot"}\n')
        assert guest_exec.finish(connection)[0] == 0
        assert guest.process.wait(60) == 0
        leftover = [name for name in ("api.sock", "v.sock") if os.path.exists(name)]
        return {"left": leftover}

    results["console"] = pathlib.Path("console").read_text(errors="replace")[-6000:]
    if guest.process.poll() is None:
        guest.process.kill()


def microvm_run(*words, **options):
    return subprocess.run(["./hearth", "microvm", "run", *words], capture_output=True, timeout=BOOT_S, **options)


@check("microvm_run")
def microvm_run_minimal():
    done = microvm_run(
        "--image", "./images/minimal", "-i", "--env", "A=b", "--cwd", "/etc", "--", "sh", "-c",
        "cat; echo $A $PWD; echo wrong >&2; exit 7", input=b"from outside\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"from outside\nb /etc\n", b"wrong\n"), done
    assert not list(pathlib.Path("/tmp").glob("hearth-vm.*")), "files are left in /tmp"


if os.path.exists("images/root"):
    @check("read_only_root")
    def read_only_root():
        done = microvm_run(
            "--image", "./images/root", "--", "bash", "-c",
            "set -e; . /etc/os-release; echo $ID; findmnt_root=$(grep ' / ' /proc/mounts); echo $findmnt_root; "
            "echo new >/etc/new; cat /etc/new; ls /usr/bin/env")
        assert done.returncode == 0, done
        assert done.stdout.startswith(b"debian\n") and b"overlay" in done.stdout and b"new\n" in done.stdout, done
        # One changed bit, and it is not booted.
        with open("images/root/root.erofs", "r+b") as file:
            file.seek(100_000)
            byte = file.read(1)[0]
            file.seek(100_000)
            file.write(bytes([byte ^ 1]))
        done = microvm_run("--image", "./images/root", "--", "true")
        assert done.returncode == 125 and b"is not what was built" in done.stderr, done

pathlib.Path("/out/results.json").write_text(json.dumps(results))
