"""Functions that want to do harm, and the neighbour that must not notice."""

import concurrent.futures
import json

import hearth_up

RAW_API = """
import os, socket
HOST, PORT = os.environ['AWS_LAMBDA_RUNTIME_API'].rsplit(':', 1)

def call(method, path, body=b'', headers=()):
    s = socket.create_connection((HOST, int(PORT)))
    head = '%s %s HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: %d\\r\\n' % (method, path, len(body))
    s.sendall((head + ''.join(h + '\\r\\n' for h in headers) + '\\r\\n').encode() + body)
    data = b''
    while b'\\r\\n\\r\\n' not in data:
        more = s.recv(65536)
        if not more:
            break
        data += more
    head, _, rest = data.partition(b'\\r\\n\\r\\n')
    length = 0
    for line in head.split(b'\\r\\n')[1:]:
        name, _, value = line.partition(b':')
        if name.lower() == b'content-length':
            length = int(value)
    while len(rest) < length:
        rest += s.recv(65536)
    s.close()
    return int(head.split()[1]) if head else 0, rest.decode()

RUNTIME = '/2018-06-01/runtime/'
"""


def test_forks_without_end(deploy, neighbour):
    function = deploy(
        """
import os, time
def handler(event, context):
    count = 0
    while True:
        try:
            if os.fork() == 0:
                while True:
                    try:
                        os.fork()
                    except OSError:
                        time.sleep(0.01)
            count += 1
        except OSError as error:
            time.sleep(600)
""",
        Timeout=3,
    )
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        bomb = pool.submit(function.invoke, {})
        for _ in range(5):
            assert neighbour.invoke({}).json() == "well"
        call = bomb.result(timeout=hearth_up.DEADLINE_S)
    assert call.error == "Unhandled"
    assert call.json()["errorType"] in ("Sandbox.Timedout", "Runtime.ExitError", "BlockingIOError")
    assert neighbour.invoke({}).json() == "well"


def test_what_it_started_ends_with_it(hearth, deploy):
    before = len(hearth.processes())
    function = deploy(
        "import subprocess\ndef handler(event, context):\n"
        "    subprocess.Popen(['/bin/sh', '-c', 'trap \"\" TERM HUP INT; setsid sleep 100000 & wait'])\n"
        "    import time; time.sleep(100)\n",
        Timeout=2,
    )
    assert function.invoke({}).json()["errorType"] == "Sandbox.Timedout"
    hearth_up.wait_for(lambda: len(hearth.processes()) <= before, "the function's processes are gone")


def test_fills_memory(deploy, neighbour):
    function = deploy(
        "def handler(event, context):\n    keep = []\n    while True:\n        keep.append(bytearray(1 << 20))\n",
        MemorySize=128,
    )
    call = function.invoke({})
    assert call.error == "Unhandled"
    assert call.json()["errorType"] in ("Runtime.ExitError", "MemoryError")
    assert neighbour.invoke({}).json() == "well"


def test_fills_tmp(deploy, neighbour):
    function = deploy(
        """
def handler(event, context):
    written = 0
    try:
        with open('/tmp/fill', 'wb') as file:
            while True:
                written += file.write(b'x' * (1 << 20))
    except OSError as error:
        return [error.errno, written >> 20]
""",
        MemorySize=256,
        EphemeralStorage={"Size": 512},
    )
    call = function.invoke({})
    error, megabytes = call.json()
    assert error == 28  # ENOSPC
    assert megabytes <= 512
    assert neighbour.invoke({}).json() == "well"


def test_floods_its_output(deploy, neighbour):
    function = deploy(
        "import os\ndef handler(event, context):\n    line = b'x' * 200 + b'\\n'\n    while True:\n        os.write(1, line * 100)\n",
        Timeout=3,
    )
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        flood = pool.submit(function.invoke, {})
        for _ in range(10):
            assert neighbour.invoke({}).json() == "well"
        assert flood.result(timeout=hearth_up.DEADLINE_S).json()["errorType"] == "Sandbox.Timedout"


def test_a_line_without_end(deploy):
    function = deploy(
        "import os\ndef handler(event, context):\n    for _ in range(100):\n        os.write(1, b'y' * 100000)\n    return 1\n"
    )
    assert function.invoke({}).json() == 1


def test_frames_that_lie(deploy):
    function = deploy(
        "import os\ndef handler(event, context):\n"
        "    os.write(1, b'\\xa5\\x5a\\x00\\x03\\xff\\xff\\xff\\xff' + b'\\0' * 8 + b'z' * 1000)\n"
        "    os.write(1, b'\\n\\xa5\\x5a\\x00\\x03\\x00\\x01\\x00\\x00' + b'\\0' * 8 + b'short')\n    return 1\n"
    )
    assert function.invoke({}).json() == 1
    assert function.invoke({}).json() == 1


def test_ignores_every_signal_and_never_answers(deploy):
    function = deploy(
        """
import signal, time
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
def handler(event, context):
    while True:
        time.sleep(1)
""",
        Timeout=1,
    )
    assert function.invoke({}).json()["errorType"] == "Sandbox.Timedout"


def test_never_asks_for_an_event(deploy):
    function = deploy("#!/bin/sh\nexec sleep 100000\n", runtime="provided.al2023", Timeout=1)
    call = function.invoke({})
    assert call.json()["errorType"] == "Sandbox.Timedout"
    assert "Phase: invoke\tStatus: timeout" in call.log


def test_answers_for_itself_twice_and_with_wrong_ids(deploy):
    function = deploy(
        RAW_API
        + """
def handler(event, context):
    mine = RUNTIME + 'invocation/' + context.aws_request_id
    seen = [
        call('POST', RUNTIME + 'invocation/00000000-0000-0000-0000-000000000000/response', b'"forged"'),
        call('GET', RUNTIME + 'invocation/next'),
        call('POST', RUNTIME + 'init/error', b'{}'),
        call('POST', RUNTIME + 'nothing', b'{}'),
        call('GET', mine + '/response'),
        call('DELETE', '/'),
    ]
    print(repr(seen))
    seen.append(call('POST', mine + '/response', repr(seen).encode()))
    seen.append(call('POST', mine + '/response', b'"second"'))
    seen.append(call('POST', mine + '/error', b'{}'))
    print('after', repr(seen[-3:]))
    return 'third'
""")
    call = function.invoke({})
    assert call.error is None, call.body
    forged, early, init, unknown, get, root = eval(call.body)  # noqa: S307 (our own repr)
    assert forged[0] == 400
    assert json.loads(forged[1]) == {"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"}
    assert early[0] == 403
    assert json.loads(early[1])["errorType"] == "InvalidStateTransition"
    assert json.loads(early[1])["errorMessage"] == (
        "State transition from Running to Ready failed for runtime. Error: State transition is not allowed"
    )
    assert init[0] == 403
    assert unknown[0] == 404
    assert get[0] == 405
    assert root[0] == 404
    # The next call is a call of its own, whatever the first one sent late.
    second = function.invoke({})
    assert second.error is None
    assert second.body.startswith(b"[(400")


def test_garbage_on_the_runtime_api(deploy, neighbour):
    function = deploy(
        RAW_API
        + """
def handler(event, context):
    for garbage in (b'\\0' * 100000, b'GET / HTTP/9.9\\r\\n\\r\\n', b'POST / HTTP/1.1\\r\\nContent-Length: -1\\r\\n\\r\\n',
                    b'POST / HTTP/1.1\\r\\nContent-Length: 99999999999999999999\\r\\n\\r\\n',
                    b'POST / HTTP/1.1\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\nzz\\r\\n',
                    b'POST / HTTP/1.1\\r\\nTransfer-Encoding: chunked\\r\\nContent-Length: 4\\r\\n\\r\\n0\\r\\n\\r\\n'):
        s = socket.create_connection((HOST, int(PORT)))
        try:
            s.sendall(garbage)
            while s.recv(1000):
                pass
        except ConnectionError:
            pass
        s.close()
    held = [socket.create_connection((HOST, int(PORT))) for _ in range(100)]
    return 'still here'
""")
    assert function.invoke({}).json() == "still here"
    assert neighbour.invoke({}).json() == "well"
    assert function.invoke({}).json() == "still here"


def test_cannot_see_or_touch_others(deploy):
    function = deploy(
        """
import os
def handler(event, context):
    visible = [p for p in os.listdir('/proc') if p.isdigit()]
    refused = []
    for action in (lambda: os.mount if hasattr(os, 'mount') else None, lambda: os.chroot('/tmp'),
                   lambda: os.setuid(0), lambda: os.mknod('/tmp/d', 0o60600, 0x0800),
                   lambda: os.unshare(0x10000000) if hasattr(os, 'unshare') else os.setuid(0)):
        try:
            action()
        except OSError:
            refused.append(1)
    return [len(visible), os.getuid() != 0, len(refused), os.path.exists('/root/.ssh'), os.listdir('/home') and os.listdir('/root')]
""")
    processes, unprivileged, refused, ssh, home = function.invoke({}).json()
    assert processes <= 3
    assert unprivileged
    assert refused >= 3
    assert not ssh
    assert home == []
