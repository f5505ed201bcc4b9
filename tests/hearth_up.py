"""Starts a Hearth for a test: `hearth up` of the build under test on a fresh data directory.

    with hearth_up.Hearth() as hearth:
        hearth.client("lambda").list_functions()
        hearth.aws("sts", "get-caller-identity")

HEARTH_BIN names the build directory (default build/dev, else build/fast, else build/release);
HEARTH_UP_OPTIONS adds options to every start, such as "--threads 1". Deadlines are generous: they end
a test that hangs and judge nothing.
"""

import atexit
import configparser
import contextlib
import ctypes
import fcntl
import json
import os
import random
import re
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3
import botocore.config

TESTS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(TESTS)
DEADLINE_S = 120
REGION = "us-east-1"
AWS = "/usr/bin/aws"
PR_SET_PDEATHSIG = 1


def build_directory():
    named = os.environ.get("HEARTH_BIN")
    if named:
        return os.path.abspath(named)
    for preset in ("dev", "fast", "release"):
        candidate = os.path.join(ROOT, "build", preset)
        if os.path.exists(os.path.join(candidate, "hearth")):
            return candidate
    raise RuntimeError("nothing is built: run ./dev build, or set HEARTH_BIN")


def wait_for(condition, what, deadline_s=DEADLINE_S, interval_s=0.02):
    """Waits until `condition()` is true and returns its value."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline_s} s in vain for: {what}")
        time.sleep(interval_s)


def process_name(pid):
    """The program's name, or None when it has ended (a zombie has ended, too)."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            text = stat.read()
    except OSError:
        return None
    state = text.rsplit(")", 1)[1].split()[0]
    return None if state in "ZX" else text[text.index("(") + 1 : text.rindex(")")]


def is_helper(pid):
    """True for the one-shot helpers of the keeper, which are the host's program in another role."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as command:
            return {b"--egress-setup", b"--egress-remove"} & set(command.read().split(b"\0")) != set()
    except OSError:
        return True


def children(pid):
    """Pids of the living children of a process."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as listed:
            found = [int(child) for child in listed.read().split()]
    except OSError:
        return []
    return [child for child in found if process_name(child) is not None]


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def _end_with_test():
    # A killed test run leaves no cloud behind: SIGTERM lets the keeper put everything away.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


# Ports below the ephemeral range, so that no outgoing connection takes one between the choice and the
# bind; a lock file keeps tests that run at the same time apart.
_port_locks = []


def free_port():
    with open("/proc/sys/net/ipv4/ip_local_port_range") as limits:
        ephemeral = int(limits.read().split()[0])
    directory = os.path.join(tempfile.gettempdir(), "hearth-test-ports")
    os.makedirs(directory, exist_ok=True)
    for _ in range(1000):
        port = random.SystemRandom().randrange(10_000, max(10_001, min(ephemeral, 32_000)))
        lock = open(os.path.join(directory, str(port)), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                lock.close()
                continue
        _port_locks.append(lock)
        return port
    raise RuntimeError("no free port found")


def wait_for_port(port):
    def answers():
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 5).close()
            return True
        return False

    wait_for(answers, f"a listener on port {port}")


SANITIZER_REPORT = re.compile(r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|\.(cc|h):\d+:\d+: runtime error: ")


class Hearth:
    """A running `hearth up`. Usable as a context manager; what is left at exit is killed."""

    def __init__(
        self, build=None, options=(), data=None, tls=False, environment=None, port=None, ready=True
    ):
        self.build = build or build_directory()
        self.program = os.path.join(self.build, "hearth")
        self.tls = tls
        self.options = [*options, *shlex.split(os.environ.get("HEARTH_UP_OPTIONS", ""))]
        self.owns_data = data is None
        self.data = data or os.path.join(tempfile.mkdtemp(prefix="hearth-test-"), "data")
        self.port = port or free_port()
        self.environment = dict(os.environ, **(environment or {}))
        self.process = None
        atexit.register(self._end)
        self.start(ready)

    # Life

    def start(self, ready=True):
        self.log_path = self.data.rstrip("/") + ".log"
        log = open(self.log_path, "ab")
        started = time.monotonic()
        self.process = subprocess.Popen(
            [self.program, "up", "--port", str(self.port), "--data", self.data, *self.options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=self.environment,
            cwd="/",
            preexec_fn=_end_with_test,
            start_new_session=True,
        )
        log.close()
        if ready:
            self.wait_ready()
            self.ready_ms = (time.monotonic() - started) * 1000
        return self

    def wait_ready(self):
        def healthy():
            if self.process.poll() is not None:
                raise AssertionError(
                    f"hearth up ended with {self.process.returncode}; its log:\n{self.log()}"
                )
            with contextlib.suppress(OSError, ValueError):
                return self.get("/_hearth/health", timeout=DEADLINE_S).status == 200
            return False

        try:
            wait_for(healthy, "hearth up to be ready", interval_s=0.001)
        except AssertionError as error:
            if self.process.poll() is None:
                raise AssertionError(f"{error}; its log:\n{self.log()}") from None
            raise

    def stop(self, keep_data=False, deadline_s=DEADLINE_S):
        """SIGTERM, then the exit status; removes the data directory unless it is kept."""
        status = None
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(deadline_s)
            except subprocess.TimeoutExpired:
                log = self.log()
                self.kill()
                raise AssertionError(
                    f"hearth did not stop within {deadline_s} s of SIGTERM; its log:\n{log}"
                ) from None
        if self.process is not None:
            status = self.process.returncode
        if not keep_data:
            self._remove_data()
        return status

    def kill(self, who="keeper"):
        """kill -9 of the keeper (the rest has to end by itself), the cloud or the host; returns its pid."""
        if who != "keeper":
            pid = wait_for(lambda: self.pids().get(who), f"a running {who}")
            os.kill(pid, signal.SIGKILL)
            return pid
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        return self.process.pid if self.process else None

    def pids(self):
        """{"keeper": pid, "cloud": pid, "host": pid}, as far as they run."""
        found = {}
        if self.process is not None and self.process.poll() is None:
            found["keeper"] = self.process.pid
            for child in children(self.process.pid):
                name = process_name(child)
                if name and name.startswith("hearth-") and not is_helper(child):
                    found[name[len("hearth-") :]] = child
        return found

    def _end(self):
        self.kill()
        self._remove_data()

    def _remove_data(self):
        if self.owns_data and self.data:
            shutil.rmtree(os.path.dirname(self.data), ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            sys.stderr.write(f"--- log of hearth up ---\n{self.log()[-8000:]}\n")
        self.stop(keep_data=True)
        found = SANITIZER_REPORT.search(self.log())
        self._remove_data()
        # The keeper starts what a sanitizer ended again, so that no call need fail for it.
        if found and kind is None:
            raise AssertionError(f"a sanitizer found:\n{found.string[found.start() :][:8000]}")

    # What is there

    @property
    def pid(self):
        return self.process.pid

    @property
    def endpoint(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def log(self):
        try:
            with open(self.log_path, errors="replace") as log:
                return log.read()
        except OSError:
            return ""

    def root_key(self):
        """(access key id, secret) of the account 000000000000."""
        parsed = configparser.ConfigParser()
        path = os.path.join(self.data, "credentials")
        wait_for(lambda: os.path.exists(path), "the credentials file")
        parsed.read(path)
        section = parsed[parsed.sections()[0]]
        return section["aws_access_key_id"], section["aws_secret_access_key"]

    def ca_certificate(self):
        """Path of a file with the certificate of `--tls self`."""
        path = self.data.rstrip("/") + ".ca.pem"
        if not os.path.exists(path):
            shown = self.hearth("ca")
            with open(path, "w") as file:
                file.write(shown.stdout)
        return path

    # Clients

    def get(self, path, method="GET", body=None, headers=None, timeout=DEADLINE_S):
        context = ssl._create_unverified_context() if self.tls else None
        request = urllib.request.Request(
            self.endpoint + path, data=body, method=method, headers=headers or {}
        )
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        return opener.open(request, timeout=timeout)

    def client(self, service, key=None, secret=None, token=None, region=REGION, pool=16, retries=0):
        """A boto3 client; with the root key unless another is given."""
        if key is None:
            key, secret = self.root_key()
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            verify=self.ca_certificate() if self.tls else None,
            config=botocore.config.Config(
                retries={"max_attempts": retries},
                max_pool_connections=pool,
                connect_timeout=DEADLINE_S,
                read_timeout=DEADLINE_S,
            ),
        )

    def aws_environment(self, key=None, secret=None, token=None):
        """Environment variables for clients in other processes."""
        if key is None:
            key, secret = self.root_key()
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("AWS_")
        }
        environment.update(
            AWS_ACCESS_KEY_ID=key,
            AWS_SECRET_ACCESS_KEY=secret,
            AWS_DEFAULT_REGION=REGION,
            AWS_REGION=REGION,
            AWS_ENDPOINT_URL=self.endpoint,
            AWS_PAGER="",
            AWS_EC2_METADATA_DISABLED="true",
            AWS_MAX_ATTEMPTS="1",
            AWS_CONFIG_FILE="/nonexistent",
            AWS_SHARED_CREDENTIALS_FILE="/nonexistent",
        )
        if token:
            environment["AWS_SESSION_TOKEN"] = token
        return environment

    def aws_raw(self, *arguments, **keys):
        """Runs Debian's aws; returns the finished process."""
        return subprocess.run(
            [AWS, "--endpoint-url", self.endpoint, "--output", "json", *arguments],
            env=self.aws_environment(**keys),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=5 * DEADLINE_S,
        )

    def aws(self, *arguments, **keys):
        """Runs Debian's aws, which must succeed; returns its output as parsed JSON."""
        done = self.aws_raw(*arguments, **keys)
        assert done.returncode == 0, f"aws {' '.join(arguments)}:\n{done.stderr}\n{done.stdout}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def hearth(self, *arguments, check=True):
        """Runs a command of `hearth` against this cloud; returns the finished process."""
        done = subprocess.run(
            [self.program, arguments[0], "--data", self.data, *arguments[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=5 * DEADLINE_S,
        )
        if check:
            assert done.returncode == 0, f"hearth {' '.join(arguments)}:\n{done.stderr}"
        return done

    def processes(self):
        """{name: [pid, ...]} of the programs that belong to this Hearth, without functions."""
        children = {}
        names = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError):
                    with open(f"/proc/{entry}/stat") as stat:
                        text = stat.read()
                    names[int(entry)] = text[text.index("(") + 1 : text.rindex(")")]
                    parent = int(text.rsplit(")", 1)[1].split()[1])
                    children.setdefault(parent, []).append(int(entry))
        found, queue = {}, [self.pid]
        while queue:
            pid = queue.pop()
            found.setdefault(names.get(pid, ""), []).append(pid)
            queue += children.get(pid, [])
        return found
