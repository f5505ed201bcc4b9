"""A Hearth of its own for a test: starts `hearth up`, talks to it, stops or kills it.

In a pytest test, take the fixture `hearth` (one cloud for a test module, default options; a module may
set HEARTH_UP_OPTIONS = ("--auth", "enforce") to start it differently), or start one by hand:

    with Hearth("--test-clock") as hearth:
        hearth.client("sts").get_caller_identity()      # boto3, credentials of the root key
        hearth.aws("sts", "get-caller-identity")        # Debian's command line; returns parsed JSON
        hearth.run("status")                            # the program hearth; returns CompletedProcess
        hearth.kill("cloud")                            # kill -9 of keeper, cloud or host
        hearth.stop()                                   # SIGTERM; the data stays until the block ends
        hearth.start()

The programs come from the directory HEARTH_BIN (default: the newest of build/{dev,fast,release}).
Nothing here sleeps to be in step with something: every wait is for a condition, with a deadline so
generous that only a hang reaches it.
"""

import configparser
import contextlib
import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3
import botocore.config
import pytest

__all__ = ["pytest_addoption", "hearth", "new_name"]

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEADLINE_S = 120
REGION = "us-east-1"
PR_SET_PDEATHSIG = 1


def bin_directory():
    """Where the programs under test are."""
    if "HEARTH_BIN" in os.environ:
        return os.path.abspath(os.environ["HEARTH_BIN"])
    built = [os.path.join(ROOT, "build", preset, "hearth") for preset in ("dev", "fast", "release")]
    built = [program for program in built if os.path.exists(program)]
    if not built:
        raise RuntimeError("no program to test: run ./dev build, or set HEARTH_BIN")
    return os.path.dirname(max(built, key=os.path.getmtime))


def wait_for(condition, what, deadline_s=DEADLINE_S):
    """Polls until condition() is true and returns its value; fails the test otherwise."""
    deadline = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {deadline_s} s in vain for {what}")
        time.sleep(0.01)


def free_port():
    """A port below the range that outgoing connections take theirs from, so that nobody takes it
    between this check and its use, nor while a killed Hearth is being started again."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as limits:
        top = min(int(limits.read().split()[0]), 32768)
    bottom = max(1024, top - 12000)
    while True:
        port = random.SystemRandom().randrange(bottom, top)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def new_name(prefix="test"):
    """A resource name nobody has used."""
    return f"{prefix}-{os.urandom(6).hex()}"


def process_name(pid):
    """The program's name, or None when it has ended (a zombie has ended too)."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            name, _, rest = stat.read().partition("(")[2].rpartition(")")
    except OSError:
        return None
    return None if rest.split()[0] in "ZX" else name


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
        found += [child] + descendants(child)
    return found


def _die_with_test():
    # A killed test run must leave no cloud behind; SIGTERM lets the keeper put everything away.
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Hearth:
    """One data directory and the `hearth up` on it; used as a context manager."""

    def __init__(self, *options, data=None, environment=None, start=True, bin=None):
        self.options = list(options)
        self.bin = bin or bin_directory()
        self.environment = dict(os.environ, **(environment or {}))
        self.directory = tempfile.mkdtemp(prefix="hearth-test-")
        self.data = data or os.path.join(self.directory, "data")
        self.port = free_port()
        self.log_path = os.path.join(self.directory, "log")
        self.process = None
        self.tls = any(o in ("--tls", "--tls-cert") for o in options) and "off" not in options
        if start:
            try:
                self.start()
            except BaseException:
                self.close()
                raise

    # Starting and stopping

    @property
    def endpoint(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def command(self):
        return [
            os.path.join(self.bin, "hearth"), "up",
            "--port", str(self.port), "--data", self.data, *self.options,
        ]

    def start(self, wait=True):
        """Starts `hearth up`; returns the seconds until it was ready."""
        started = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.log_offset = log.tell()
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd="/",
                preexec_fn=_die_with_test,
            )
        if wait:
            self.wait_ready()
        return time.monotonic() - started

    def wait_ready(self):
        deadline = time.monotonic() + DEADLINE_S
        while b"Hearth is ready" not in self._log_since_start():
            ended = self.process.poll()
            if ended is not None or time.monotonic() > deadline:
                what = f"ended with {ended}" if ended is not None else "did not get ready"
                raise AssertionError(f"{' '.join(self.command())} {what}; its log:\n{self.log()}")
            time.sleep(0.002)

    def stop(self):
        """Stops with SIGTERM; returns the exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"hearth up did not stop; its log:\n{self.log()}") from None
        self.process = None
        return status

    def pids(self):
        """{"keeper": pid, "cloud": pid, "host": pid}, as far as they run."""
        found = {}
        if self.process is not None and self.process.poll() is None:
            found["keeper"] = self.process.pid
            for child in children(self.process.pid):
                name = process_name(child)
                if name and name.startswith("hearth-"):
                    found[name[len("hearth-"):]] = child
        return found

    def kill(self, who):
        """kill -9 of "keeper", "cloud" or "host", as soon as it runs; returns its pid."""
        pid = wait_for(lambda: self.pids().get(who), f"a running {who}")
        os.kill(pid, signal.SIGKILL)
        if who == "keeper":
            self.process.wait(DEADLINE_S)
            self.process = None
        return pid

    def close(self):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print(f"---- log of hearth up ----\n{self.log()}", file=sys.stderr)
        self.close()

    # Looking

    def _log_since_start(self):
        with open(self.log_path, "rb") as log:
            log.seek(self.log_offset)
            return log.read()

    def log(self):
        with contextlib.suppress(OSError), open(self.log_path, "rb") as log:
            return log.read()[-20000:].decode(errors="replace")
        return ""

    def get(self, path, timeout_s=DEADLINE_S):
        """Body of a GET of an endpoint of Hearth itself, such as /_hearth/health."""
        with urllib.request.urlopen(self.endpoint + path, timeout=timeout_s) as answer:
            return answer.read().decode()

    # Using

    def credentials(self):
        """(access key id, secret access key) of the root key."""
        parser = configparser.ConfigParser()
        parser.read(os.path.join(self.data, "credentials"))
        section = parser[parser.sections()[0]]
        return section["aws_access_key_id"], section["aws_secret_access_key"]

    def client(self, service, access_key=None, secret_key=None, session_token=None, region=REGION, **config):
        """A boto3 client; without keys it uses the root key. No retries, long timeouts."""
        if access_key is None:
            access_key, secret_key = self.credentials()
        settings = {
            "retries": {"max_attempts": 0},
            "read_timeout": 900,
            "connect_timeout": DEADLINE_S,
            "max_pool_connections": 64,
            **config,
        }
        return boto3.session.Session().client(
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key or "secret",
            aws_session_token=session_token,
            verify=os.path.join(self.data, "ca.pem") if self.tls else None,
            config=botocore.config.Config(**settings),
        )

    def client_environment(self):
        """Environment variables for a client program; nothing of the user's own AWS setup is left."""
        kept = {k: v for k, v in self.environment.items() if not k.startswith("AWS_")}
        access_key, secret_key = self.credentials()
        return {
            **kept,
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
            "AWS_MAX_ATTEMPTS": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            **({"AWS_CA_BUNDLE": os.path.join(self.data, "ca.pem")} if self.tls else {}),
        }

    def aws_raw(self, *arguments):
        """Debian's aws command line; returns the CompletedProcess."""
        return subprocess.run(
            ["/usr/bin/aws", "--endpoint-url", self.endpoint, "--output", "json", *arguments],
            env=self.client_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10 * DEADLINE_S,
        )

    def aws(self, *arguments):
        """Debian's aws command line; returns its parsed JSON (None for no output)."""
        done = self.aws_raw(*arguments)
        assert done.returncode == 0, f"aws {' '.join(arguments)}: {done.stderr}{done.stdout}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def run(self, *arguments, **options):
        """Runs `hearth ARGUMENTS...` against this cloud; returns the CompletedProcess."""
        return subprocess.run(
            [os.path.join(self.bin, "hearth"), *arguments],
            env=dict(self.environment, HEARTH_DATA=self.data),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10 * DEADLINE_S,
            **options,
        )


class GivenEndpoint:
    """Somebody else's endpoint (--endpoint URL, or --aws for the real one), for conformance tests."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.data = None

    def client(self, service, region=REGION, **config):
        return boto3.session.Session().client(
            service, endpoint_url=self.endpoint, region_name=region, config=botocore.config.Config(**config)
        )


def pytest_addoption(parser):
    parser.addoption("--endpoint", help="test the cloud at this URL instead of starting one")
    parser.addoption("--aws", action="store_true", help="test the real AWS (costs money)")


@pytest.fixture(scope="module")
def hearth(request):
    """The cloud under test, one per module."""
    if request.config.getoption("--aws"):
        yield GivenEndpoint(None)
        return
    if request.config.getoption("--endpoint"):
        yield GivenEndpoint(request.config.getoption("--endpoint"))
        return
    failed_before = request.session.testsfailed
    started = Hearth(*getattr(request.module, "HEARTH_UP_OPTIONS", ()))
    try:
        yield started
    finally:
        if request.session.testsfailed > failed_before:
            print(f"---- log of hearth up ----\n{started.log()}", file=sys.stderr)
        started.close()
