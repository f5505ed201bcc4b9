"""What no image can hold is no error: the version starts cold, and says why."""

import pytest

from conftest import log_lines
from test_restore import LEAVE

HANDLER = """
import os
def handler(event, context):
    return [os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], "AWS_ACCESS_KEY_ID" in os.environ]
"""
REFUSED = {
    "a child process": ("import subprocess\nchild = subprocess.Popen(['sleep', '1000'])", "child process"),
    "shared memory": ("import mmap\nshared = mmap.mmap(-1, 4096)", "shared"),
    "memory with a name": ("import os\nfd = os.memfd_create('x')", "memfd"),
    "a pipe in /tmp": ("import os\nos.mkfifo('/tmp/pipe')", "/tmp/pipe is no regular file"),
    "two names in /tmp": (
        "import os\nopen('/tmp/a', 'w').close()\nos.link('/tmp/a', '/tmp/b')", "has several names",
    ),
    "a mapped file of /tmp": (
        "import mmap\nopen('/tmp/a', 'w').write('x' * 4096)\n"
        "f = open('/tmp/a')\nmapped = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)\nf.close()", "mapped a file of /tmp",
    ),
    "a lock": ("import fcntl\nf = open('/tmp/lock', 'w')\nfcntl.flock(f, fcntl.LOCK_EX)", "lock"),
    "a deleted file": ("import os\nf = open('/tmp/x', 'w+')\nos.unlink('/tmp/x')", "deleted"),
}


def assert_off(hearth, version, why):
    shown = version.configuration()
    assert shown["State"] == "Active", shown
    assert shown["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
    said = [line for line in log_lines(hearth, version.name) if line.startswith("SnapStart: ")]
    assert len(said) == 1
    reason = said[0].removeprefix("SnapStart: this version starts without a snapshot: ")
    assert reason != said[0] and why in reason
    listed = hearth.hearth("functions").stdout
    row = [line for line in listed.splitlines() if line.startswith(f"{version.name}:{version.number} ")]
    assert len(row) == 1 and row[0].rstrip().endswith(reason.strip())
    call = version.invoke()
    assert call.json() == ["on-demand", True]
    assert "Init Duration" in call.log and "Restore Duration" not in call.log


@pytest.mark.parametrize("what", REFUSED)
def test_refused(hearth, publish, what):
    source, why = REFUSED[what]
    assert_off(hearth, publish(source + HANDLER), why)


def test_external_extensions(hearth, client, publish, unique):
    extension = """#!/usr/bin/python3
import json, os, urllib.request
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2020-01-01/extension/"
request = urllib.request.Request(api + "register", json.dumps({"events": ["INVOKE"]}).encode(),
                                 {"Lambda-Extension-Name": "watcher"})
name = urllib.request.urlopen(request).headers["Lambda-Extension-Identifier"]
while True:
    urllib.request.urlopen(urllib.request.Request(
        api + "event/next", headers={"Lambda-Extension-Identifier": name})).read()
"""
    import deployed

    layer = client.publish_layer_version(
        LayerName=unique("layer"), Content={"ZipFile": deployed.zipped({"extensions/watcher": extension})}
    )
    version = publish(HANDLER, Layers=[layer["LayerVersionArn"]])
    assert_off(hearth, version, "external extensions")


def test_what_is_fine(publish):
    """Threads, connections to elsewhere, open files, pipes and pairs of its own."""
    version = publish(LEAVE + """
import os, select, socket, threading, queue
questions, answers = queue.Queue(), queue.Queue()
def work():
    while True:
        answers.put(questions.get() * 2)
threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()
read, write = os.pipe()
one, other = socket.socketpair()
poll = select.epoll()
poll.register(read, select.EPOLLIN)
code = open("/var/task/app.py")
first = code.readline()
away = socket.create_connection(("127.0.0.1", int(os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")[1])))
def handler(event, context):
    leave(event)
    questions.put(21)
    os.write(write, b"x")
    one.send(b"y")
    away.settimeout(5)
    try:
        gone = away.recv(1) == b""
    except OSError:
        gone = True
    return [answers.get(), len(poll.poll(5)), os.read(read, 9).decode(), other.recv(9).decode(),
            bool(code.readline()), gone]
""")
    assert version.configuration()["SnapStart"]["OptimizationStatus"] == "On"
    for _ in range(3):
        assert version.clone().json() == [42, 1, "x", "y", True, True]
