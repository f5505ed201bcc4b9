"""Extensions that misbehave: they harm their own environment, and the caller gets AWS's error."""

import json

import pytest

import extension_sources as sources
import hearth_up

HANDLER = """
import os
def handler(event, context):
    return os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
"""

REGISTERED = sources.SCRIPT + (
    'identifier = register(["INVOKE", "SHUTDOWN"])[1]["Lambda-Extension-Identifier"]\n'
)


def error_of(call):
    assert call.error == "Unhandled", call.body
    body = call.json()
    return body["errorType"], body["errorMessage"].removeprefix(f"RequestId: {call.request_id} Error: ")


@pytest.mark.parametrize(
    "extension, error",
    [
        (sources.SCRIPT + "sys.exit(7)\n", ("Extension.Crash", "exit status 7")),
        (REGISTERED + "sys.exit(0)\n", ("Extension.Crash", "exit code 0")),
        (REGISTERED + "os.kill(os.getpid(), 9)\n", ("Extension.Crash", "signal: killed")),
        (
            REGISTERED
            + 'say("answers", answers=[call("POST", "/2020-01-01/extension/init/error", {}, headers)[::2] for headers in ('
            '{"Lambda-Extension-Identifier": identifier},'
            '{"Lambda-Extension-Identifier": identifier, "Lambda-Extension-Function-Error-Type": "Mine"})])\n'
            "sys.exit(1)\n",
            ("Extension.InitError", "exit status 1"),
        ),
        (
            REGISTERED
            + 'call("POST", "/2020-01-01/extension/exit/error", {}, '
            '{"Lambda-Extension-Identifier": identifier, "Lambda-Extension-Function-Error-Type": "Mine"})\n'
            "sys.exit(1)\n",
            ("Extension.ExitError", "exit status 1"),
        ),
    ],
    ids=["before registering", "with code 0", "by a signal", "after an init error", "after an exit error"],
)
def test_ends_in_init(deploy, extension, error):
    function = deploy(HANDLER, {"bad": extension})
    call = function.invoke({})
    assert error_of(call) == error
    assert f"Error Type: {error[0]}" in call.log


def test_what_cannot_be_started(deploy):
    function = deploy(HANDLER, {"bad": "no program at all"})
    kind, message = error_of(function.invoke({}))
    assert kind == "Extension.LaunchError" and "/opt/extensions/bad" in message
    assert function.wait_line("EXTENSION\tName: bad\tState: LaunchError\tEvents: []\tError Type: UnknownError")


def test_eleven_are_too_many(deploy):
    function = deploy(HANDLER, {f"loyal-{number:02}": sources.LOYAL for number in range(11)})
    kind, _ = error_of(function.invoke({}))
    assert kind == "Extension.LaunchError"
    assert function.wait_line("Error Type: TooManyExtensions")


def test_registers_twice_and_asks_twice(deploy):
    function = deploy(
        HANDLER,
        {
            "twice": sources.SCRIPT
            + """
import threading
identifier = register(["INVOKE"])[1]["Lambda-Extension-Identifier"]
say("second", answer=register(["INVOKE"])[::2])

# Whoever asks while the other one waits is refused; the one who waits goes on.
def ask():
    while True:
        status, _, answer = next_event(identifier)
        if status != 200:
            say("asked", answer=answer)
            return

asking = threading.Thread(target=ask)
asking.start()
ask()
asking.join()
"""
        },
    )
    assert function.invoke({}).error is None
    (second,) = function.wait_said("second")
    assert second["answer"][0] == 403
    assert second["answer"][1] == {
        "errorType": "Extension.InvalidExtensionState",
        "errorMessage": "State transition from Registered to Registered failed for extension twice. "
        "Error: State transition is not allowed",
    }
    asked = function.wait_said("asked")[0]
    assert asked["answer"]["errorType"] == "Extension.InvalidExtensionState"
    assert asked["answer"]["errorMessage"].startswith("State transition from Ready to Ready failed")


def test_dies_in_a_call(deploy):
    function = deploy(
        "import time\ndef handler(event, context):\n    time.sleep(60)\n",
        {"bad": REGISTERED + "next_event(identifier)\nsys.exit(3)\n"},
    )
    assert error_of(function.invoke({})) == ("Extension.Crash", "exit status 3")


def test_dies_while_nobody_calls(deploy):
    function = deploy(
        HANDLER,
        {
            "bad": REGISTERED
            + "import threading, time\nnext_event(identifier)\n"
            + "threading.Timer(0.05, lambda: os._exit(1)).start()\nnext_event(identifier)\n"
        },
    )
    first = function.invoke({})
    assert first.error is None
    # Another environment serves whoever comes after its end, or its end is that call's error.
    second = function.invoke({})
    assert second.error is None or error_of(second)[0] == "Extension.Crash"


def test_never_acknowledges_a_call(deploy):
    """The answer is the caller's at once; the environment ends when the call's time is up."""
    function = deploy(
        HANDLER,
        {"slow": REGISTERED + "import time\nnext_event(identifier)\ntime.sleep(100)\n"},
        Timeout=2,
    )
    first = function.invoke({}, LogType="None")
    assert first.error is None, first.body
    second = function.invoke({}, LogType="None")
    assert second.error is None
    assert second.json() != first.json(), "an environment that was busy got a second call"
    assert function.wait_line("Task timed out after 2.00 seconds")


def test_does_not_end_at_shutdown(deploy):
    stubborn = REGISTERED + (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "while True:\n    event = next_event(identifier)[2]\n    say('event', kind=event['eventType'])\n"
        "    if event['eventType'] == 'SHUTDOWN':\n        time.sleep(100)\n"
    )
    function = deploy(HANDLER, {"stubborn": stubborn})
    assert function.invoke({}).error is None
    function.delete()
    assert function.wait_said("event", kind="SHUTDOWN")


def test_a_subscriber_that_never_reads_is_left_behind(deploy):
    deaf = (
        sources.SCRIPT
        + """
import socket
listener = socket.create_server(("sandbox.localdomain", 8080))
identifier = register(["INVOKE"])[1]["Lambda-Extension-Identifier"]
call("PUT", "/2022-07-01/telemetry", {
    "schemaVersion": "2022-12-13", "types": ["platform", "function"],
    "buffering": {"timeoutMs": 25}, "destination": {"protocol": "HTTP", "URI": "http://sandbox:8080"}},
    {"Lambda-Extension-Identifier": identifier})
while True:
    next_event(identifier)
"""
    )
    function = deploy(
        "def handler(event, context):\n    for i in range(20000):\n        print('x' * 500)\n    return 'flooded'\n",
        {"deaf": deaf},
    )
    for _ in range(3):
        call = function.invoke({}, LogType="None")
        assert call.error is None and call.json() == "flooded"


def test_lost_events_are_told(deploy):
    """A subscriber that comes back after a pause hears how much it has missed."""
    slow = sources.subscriber(types=["platform", "function"]).replace(
        "def do_POST(self):",
        "def do_POST(self):\n        while not os.path.exists('/tmp/go'): __import__('time').sleep(0.01)",
    ).replace(
        'say("telemetry", event=received.get())',
        'event = received.get()\n        if event["type"] != "function": say("telemetry", event=event)',
    )
    function = deploy(
        "def handler(event, context):\n    for i in range(5000):\n        print('x' * 500)\n"
        "    open('/tmp/go', 'w').close()\n",
        {"slow": slow},
    )
    assert function.invoke({}).error is None
    assert function.invoke({}).error is None
    events = function.wait_telemetry("platform.logsDropped")
    dropped = next(event["record"] for event in events if event["type"] == "platform.logsDropped")
    assert dropped["droppedRecords"] > 0 and dropped["droppedBytes"] >= 500 * dropped["droppedRecords"] // 2
    assert dropped["reason"].startswith("Consumer seems to have fallen behind")


def test_garbage_on_the_api(deploy):
    wild = (
        sources.SCRIPT
        + """
import socket
host, port = API.split(":")
for bytes_ in (b"\\0" * 100, b"POST /2020-01-01/extension/register HTTP/1.1\\r\\nContent-Length: 99999999999999999999\\r\\n\\r\\n",
               b"GET /2020-01-01/extension/event/next HTTP/1.1\\r\\nLambda-Extension-Identifier: " + b"a" * 70000):
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(bytes_)
identifier = register(["INVOKE"])[1]["Lambda-Extension-Identifier"]
# Connections that end while they wait for an event.
for _ in range(3):
    with socket.create_connection((host, int(port))) as connection:
        head = f"GET /2020-01-01/extension/event/next HTTP/1.1\\r\\nLambda-Extension-Identifier: {identifier}\\r\\n\\r\\n"
        connection.sendall(head.encode())
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1000): pass
while True:
    next_event(identifier)
"""
    )
    function = deploy(HANDLER, {"wild": wild})
    for _ in range(3):
        assert function.invoke({}).error is None


def test_many_environments_shut_down_together(hearth, deploy):
    """hearth's stop waits once for all of them, not for one after the other."""
    stubborn = REGISTERED + (
        "import time\nwhile True:\n    if next_event(identifier)[2]['eventType'] == 'SHUTDOWN':\n        time.sleep(100)\n"
    )
    functions = [deploy(HANDLER, {"stubborn": stubborn}) for _ in range(6)]
    for function in functions:
        assert function.invoke({}).error is None
    for function in functions:
        function.delete()
    names = {function.name for function in functions}

    def gone():
        slots = json.loads(hearth.get("/_hearth/slots").read())
        return not any(one["function"] in names for one in slots["functions"])

    hearth_up.wait_for(gone, "the end of all environments")
