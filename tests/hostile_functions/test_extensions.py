"""Extensions that break the rules, and the neighbour that must not notice; more of them: conformance/lambda_extensions."""

import concurrent.futures
import json
import os
import sys

import pytest

import deployed
import hearth_up

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from raw_runtime import program  # noqa: E402

WELL = "def handler(event, context):\n    return 'well'\n"
EXTENSION = '''
API = "/2020-01-01/extension/"

def register(api, name, events=("INVOKE", "SHUTDOWN")):
    body = json.dumps({"events": list(events)}).encode()
    return api.call("POST", API + "register", body, ("Lambda-Extension-Name: " + name,))

def identified(method, path, id, body=b"", more=()):
    return Connection().call(method, path, body, ("Lambda-Extension-Identifier: " + id, *more))

def next_of(id):
    return identified("GET", API + "event/next", id)

def kind(answer):
    return [answer[0], json.loads(answer[2])["errorType"] if answer[0] >= 400 else None]
'''


@pytest.fixture
def extended(client, deploy, unique):
    """extended({"name": "..."}) deploys a function with these external extensions."""

    def make(extensions, source=WELL, **configuration):
        layer = client.publish_layer_version(
            LayerName=unique("extensions"),
            Content={
                "ZipFile": deployed.zipped(
                    {f"extensions/{name}": program(EXTENSION + text) for name, text in extensions.items()}
                )
            },
        )
        return deploy(source, Layers=[layer["LayerVersionArn"]], **configuration)

    return make


def test_never_registers(extended, neighbour):
    """Init waits for it: ten seconds, and then as long as the call may last."""
    function = extended({"bad": "time.sleep(100000)"}, Timeout=1)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        call = pool.submit(function.invoke, {})
        for _ in range(5):
            assert neighbour.invoke({}).json() == "well"
        answer = call.result(timeout=hearth_up.DEADLINE_S)
    assert answer.error == "Unhandled"
    assert answer.json()["errorType"] == "Sandbox.Timedout"


def test_breaks_every_rule_of_the_api(hearth, extended):
    """Registers twice, under other names, for other events; asks with no, a wrong and a stranger's identifier."""
    function = extended(
        {
            "bad": """
api = Connection()
seen, held = {}, []
seen["unnamed"] = kind(Connection().call("POST", API + "register", b'{"events": []}'))
seen["no_json"] = kind(Connection().call("POST", API + "register", b"events", ("Lambda-Extension-Name: bad",)))
seen["other_event"] = kind(register(Connection(), "bad", ["INVOKE", "LUNCH"]))
seen["no_identifier"] = kind(Connection().call("GET", API + "event/next"))
seen["no_uuid"] = kind(next_of("me"))
seen["stranger"] = kind(next_of("01234567-0123-0123-0123-0123456789ab"))
seen["early_error"] = kind(Connection().call("POST", API + "exit/error", b"{}"))
seen["huge"] = kind(Connection().call("POST", API + "register", b'"' + b"x" * 3000000 + b'"', ("Lambda-Extension-Name: bad",)))
answer = register(api, "bad")
id = answer[1]["lambda-extension-identifier"]
seen["registered"] = kind(answer)
seen["again"] = kind(register(api, "bad"))
seen["internal_with_shutdown"] = kind(register(Connection(), "inner"))
for i in range(12):
    inner = register(Connection(), "inner%d" % i, ["INVOKE"])
    seen["internal_%d" % i] = kind(inner)
    if inner[0] == 200:
        held.append(Connection())
        held[-1].head("GET", API + "event/next", ("Lambda-Extension-Identifier: " + inner[1]["lambda-extension-identifier"],))
seen["other_method"] = Connection().call("DELETE", API + "event/next")[0]
seen["other_path"] = Connection().call("GET", "/2020-01-01/extension/nothing")[0]
print("SEEN", json.dumps(seen), flush=True)
open("/tmp/seen", "w").close()
next_of(id)
while True:
    next_of(id)
"""
        },
        # The runtime's first event ends registration: it waits until the extension has tried all.
        source="import os, time\nwhile not os.path.exists('/tmp/seen'):\n    time.sleep(0.01)\n" + WELL,
        Timeout=1,
    )
    # Its internal "extensions" never are done with an event, so the call times out.
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        call = pool.submit(function.invoke, {})
        line = hearth_up.wait_for(lambda: logged(hearth, function, "SEEN"), "what it saw")[0]
        call.result(timeout=hearth_up.DEADLINE_S)
    seen = json.loads(line[line.index("{") :])
    assert seen["registered"] == [200, None]
    for rule, error in {
        "unnamed": "Extension.InvalidExtensionName",
        "no_json": "InvalidRequestFormat",
        "other_event": "Extension.InvalidEventType",
        "no_identifier": "Extension.MissingExtensionIdentifier",
        "no_uuid": "Extension.InvalidExtensionIdentifier",
        "stranger": "Extension.UnknownExtensionIdentifier",
        "again": "Extension.InvalidExtensionState",
        "internal_with_shutdown": "Extension.InvalidEventType",
        "internal_11": "Extension.TooManyExtensions",
    }.items():
        assert seen[rule] == [403, error], (rule, seen[rule])
    for rule in ("early_error", "huge", "other_method", "other_path"):
        status = seen[rule] if isinstance(seen[rule], int) else seen[rule][0]
        assert 400 <= status < 500, (rule, seen[rule])


def logged(hearth, function, words):
    logs = hearth.client("logs")
    try:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{function.name}", filterPattern=f'"{words}"')
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [event["message"] for event in events["events"]]


def test_floods_of_telemetry(extended, neighbour):
    """Of every line to a subscriber that does not read: what it cannot take is dropped, the function runs on."""
    function = extended(
        {
            "bad": """
id = register(Connection(), "bad")[1]["lambda-extension-identifier"]
server = socket.socket()
server.bind(("0.0.0.0", 4243))
server.listen(1)
body = json.dumps({"schemaVersion": "2022-12-13", "types": ["platform", "function", "extension"],
                   "buffering": {"maxItems": 1000, "maxBytes": 262144, "timeoutMs": 25},
                   "destination": {"protocol": "TCP", "port": 4243}}).encode()
print("subscribed", identified("PUT", "/2022-07-01/telemetry", id, body)[0], flush=True)
while json.loads(next_of(id)[2])["eventType"] != "SHUTDOWN":
    for _ in range(1000):
        os.write(1, b"x" * 1000 + b"\\n")
"""
        },
        source="import os\ndef handler(event, context):\n"
        "    for _ in range(2000):\n        os.write(1, b'y' * 1000 + b'\\n')\n    return 'well'\n",
        MemorySize=256,
    )
    for _ in range(3):
        assert function.invoke({}).json() == "well"
        assert neighbour.invoke({}).json() == "well"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[" * 100000,
        json.dumps({"schemaVersion": "2022-12-13", "types": ["lunch"]}).encode(),
        json.dumps(
            {
                "schemaVersion": "2022-12-13",
                "types": ["function"],
                "destination": {"protocol": "HTTP", "URI": "http://169.254.169.254/"},
            }
        ).encode(),
        json.dumps(
            {
                "schemaVersion": "2022-12-13",
                "types": ["function"],
                "destination": {"protocol": "HTTP", "URI": "http://127.0.0.1:4566/"},
            }
        ).encode(),
        json.dumps(
            {
                "schemaVersion": "2022-12-13",
                "types": ["function"],
                "buffering": {"maxItems": -1, "maxBytes": 2**62, "timeoutMs": 0},
                "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:4243"},
            }
        ).encode(),
    ],
    ids=["empty", "nothing", "deep", "other_type", "metadata_service", "the_machine", "buffers"],
)
def test_subscriptions_that_are_refused(hearth, extended, body):
    function = extended(
        {
            "bad": f"""
id = register(Connection(), "bad")[1]["lambda-extension-identifier"]
print("SUBSCRIBED", identified("PUT", "/2022-07-01/telemetry", id, {body!r}, ("Content-Type: application/json",))[0], flush=True)
while json.loads(next_of(id)[2])["eventType"] != "SHUTDOWN":
    pass
"""
        }
    )
    assert function.invoke({}).json() == "well"
    (line,) = hearth_up.wait_for(lambda: logged(hearth, function, "SUBSCRIBED"), "the answer")
    assert 400 <= int(line.split()[-1]) < 500, line
