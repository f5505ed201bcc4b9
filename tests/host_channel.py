"""Drives hearth-host directly, as the cloud does: src/sandbox/protocol/protocol.h in Python.

For tests of isolation that need no cloud: `with Host() as host: host.run([...])`.
"""
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

BIN = os.environ.get("HEARTH_BIN", os.path.join(os.path.dirname(__file__), "..", "build", "dev"))

HOST_HELLO, CLOUD_HELLO, WELCOME, CREATE, CREATED, DESTROY, DESTROYED = range(1, 8)
START = b"\xff"


def _text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<I", len(data)) + data


def _texts(values):
    return struct.pack("<I", len(values)) + b"".join(_text(value) for value in values)


class Refused(Exception):
    pass


class Environment:
    def __init__(self, host, number, fds):
        self.host, self.number = host, number
        self.control = socket.socket(fileno=fds[0])
        self.stdout, self.stderr, self.api, self.door, self.tmp = fds[1:6]
        self.rest = fds[6:]
        self.control.settimeout(120)

    def start(self):
        self.control.send(START)

    def wait(self):
        """(wait status, error number, step) of the first process; None when all was killed."""
        try:
            report = self.control.recv(100)
        except ConnectionResetError:  # killed before it had read what we sent
            report = b""
        if not report:
            return None
        _, _, status, error = struct.unpack("<IIii", report[:16])
        return status, error, report[16:].split(b"\0")[0].decode()

    def output(self, fd):
        chunks = []
        while chunk := os.read(fd, 65536):
            chunks.append(chunk)
        return b"".join(chunks).decode(errors="replace")

    def destroy(self):
        self.host.send(bytes([DESTROY]) + struct.pack("<Q", self.number))
        self.host.expect(DESTROYED, self.number)
        self.close()

    def close(self):
        self.control.close()
        for fd in [self.stdout, self.stderr, self.api, self.door, self.tmp] + self.rest:
            os.close(fd)


class Host:
    def __init__(self, *options, pool=2, uid=61166, binary=None, wrap=()):
        self.data = tempfile.mkdtemp(prefix="hearth-host-test-")
        os.mkdir(os.path.join(self.data, "code"))
        os.chmod(os.path.join(self.data, "code"), 0o755)
        self.cloud, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.cloud.settimeout(120)
        self.options = options
        self.pool, self.uid, self.wrap = pool, uid, list(wrap)
        self.binary = binary or os.path.join(BIN, "hearth-host")
        self.next = 0
        self.process = None
        self.facts = None

    def __enter__(self):
        self.launch()
        self.hello()
        return self

    def __exit__(self, *_):
        self.stop()
        self.cloud.close()
        self.far.close()
        shutil.rmtree(self.data, ignore_errors=True)

    def launch(self):
        self.process = subprocess.Popen(
            self.wrap + [self.binary, "--channel-fd", str(self.far.fileno()), "--data-name", self.data,
                         "--pool", str(self.pool), "--uid", str(self.uid), "--gid", str(self.uid), *self.options],
            pass_fds=[self.far.fileno()])

    def hello(self):
        nonce = 0x1234567890
        self.send(bytes([CLOUD_HELLO]) + struct.pack("<Q", nonce))
        body, _ = self.expect(WELCOME, nonce)
        backend_size = struct.unpack_from("<I", body)[0]
        layout_at = 4 + backend_size
        layout_size = struct.unpack_from("<I", body, layout_at)[0]
        names = ["rootless", "memory", "pids", "cpu", "freezer", "own_uids", "egress", "overlay", "snapshots"]
        flags = body[layout_at + 4 + layout_size:]
        self.facts = {"backend": body[4:layout_at].decode(),
                      "cgroup": body[layout_at + 4:layout_at + 4 + layout_size].decode(),
                      **{name: bool(flag) for name, flag in zip(names, flags)}}

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(60)
        return self.process.returncode if self.process else None

    def send(self, packet):
        self.cloud.send(packet)

    def expect(self, kind, number):
        """The packet of this kind and number; others (of earlier environments) are dropped."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            packet, fds, _, _ = socket.recv_fds(self.cloud, 1 << 17, 32)
            if not packet:
                raise AssertionError("the host has ended")
            if packet[0] == kind and struct.unpack_from("<Q", packet, 1)[0] == number:
                return packet[9:], fds
            for fd in fds:
                os.close(fd)
        raise AssertionError("no answer from the host")

    def create_packet(self, argv, env=(), cwd="/tmp", mounts=(("code", "/var/task"),), memory_mb=256, tmp_mb=64,
                      pids=200, files=1024, egress=False, name="test"):
        self.next += 1
        return self.next, (
            bytes([CREATE]) + struct.pack("<Q", self.next) + _text(name) + _texts(list(argv)) +
            _texts(["PATH=/usr/bin:/bin", *env]) + _text(cwd) + struct.pack("<I", len(mounts)) +
            b"".join(_text(source) + _text(target) for source, target in mounts) +
            _text("AWS_LAMBDA_RUNTIME_API") + _text("AWS_ENDPOINT_URL") +
            # No companions; no template, none to start from, and nothing ahead of a call.
            _texts([]) + _texts([]) +
            struct.pack("<qqiiq??QI?", memory_mb, tmp_mb, pids, files, 0, egress, False, 0, 0, False))

    def create(self, argv, **options):
        number, packet = self.create_packet(argv, **options)
        self.send(packet)
        body, fds = self.expect(CREATED, number)
        size = struct.unpack_from("<I", body)[0]
        if size:
            raise Refused(body[4:4 + size].decode())
        return Environment(self, number, fds)

    def run(self, argv, **options):
        """Runs a program to its end: (report, stdout, stderr)."""
        environment = self.create(argv, **options)
        environment.start()
        report = environment.wait()
        # Everything in it dies with the first process, so both streams end.
        output, error = environment.output(environment.stdout), environment.output(environment.stderr)
        environment.destroy()
        return report, output, error

    def python(self, script, **options):
        with open(os.path.join(self.data, "code", "script.py"), "w", encoding="utf-8") as file:
            file.write(script)
        os.chmod(os.path.join(self.data, "code", "script.py"), 0o644)
        return self.run(["/usr/bin/python3", "-S", "-B", "/var/task/script.py"], **options)


needs_root = os.geteuid() != 0


class RootlessHost(Host):
    """A host that an ordinary user starts: programs and data where that user can reach them."""
    UID = 4321

    def __init__(self, *options, **keywords):
        self.programs = tempfile.mkdtemp(prefix="hearth-programs-")
        os.chmod(self.programs, 0o755)
        for name in ("hearth-host", "hearth-init"):
            shutil.copy(os.path.join(BIN, name), self.programs)
        uid = str(self.UID)
        wrap = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups"] if os.geteuid() == 0 else []
        super().__init__(*options, binary=os.path.join(self.programs, "hearth-host"), wrap=wrap, **keywords)
        if os.geteuid() == 0:
            for path in (self.data, os.path.join(self.data, "code")):
                os.chown(path, self.UID, self.UID)

    def __exit__(self, *arguments):
        super().__exit__(*arguments)
        shutil.rmtree(self.programs, ignore_errors=True)


def user_namespaces_work():
    """Whether an ordinary user of this machine may make user namespaces."""
    uid = str(RootlessHost.UID)
    wrap = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups"] if os.geteuid() == 0 else []
    return subprocess.run(wrap + ["unshare", "-Urn", "true"], capture_output=True, check=False).returncode == 0
