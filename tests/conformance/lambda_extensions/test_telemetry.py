"""The Telemetry API and the Logs API: subscriptions, events and their records."""

import re

import extension_sources as sources

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"

HANDLER = """
def handler(event, context):
    print("hello from the function")
    if event.get("fail"):
        raise ValueError("so it goes")
    return "x" * 100
"""


def by_type(events):
    found = {}
    for event in events:
        assert set(event) == {"time", "type", "record"}
        assert re.fullmatch(TIME, event["time"])
        found.setdefault(event["type"], []).append(event["record"])
    return found


def test_events_of_a_first_call(deploy):
    function = deploy(HANDLER, {"ear": sources.subscriber()})
    call = function.invoke({})
    assert call.error is None, call.body
    events = by_type(function.wait_telemetry("platform.report"))
    (subscribed,) = function.wait_said("subscribed")
    assert (subscribed["status"], subscribed["answer"]) == (200, "OK")

    (init_start,) = events["platform.initStart"]
    assert init_start["initializationType"] == "on-demand" and init_start["phase"] == "init"
    assert init_start["functionName"] == function.name and init_start["functionVersion"] == "$LATEST"
    (subscription,) = events["platform.telemetrySubscription"]
    assert subscription == {"name": "ear", "state": "Subscribed", "types": ["platform", "function"]}
    (init_done,) = events["platform.initRuntimeDone"]
    assert init_done == {"initializationType": "on-demand", "phase": "init", "status": "success"}
    (extension,) = events["platform.extension"]
    assert extension == {"name": "ear", "state": "Ready", "events": ["INVOKE", "SHUTDOWN"]}
    (init_report,) = events["platform.initReport"]
    assert init_report["status"] == "success" and init_report["metrics"]["durationMs"] > 0

    (start,) = events["platform.start"]
    assert start["requestId"] == call.request_id and start["version"] == "$LATEST"
    assert start["tracing"]["type"] == "X-Amzn-Trace-Id" and start["tracing"]["value"].startswith("Root=1-")
    assert events["function"] == ["hello from the function"]
    (done,) = events["platform.runtimeDone"]
    assert done["requestId"] == call.request_id and done["status"] == "success"
    assert done["metrics"]["producedBytes"] == len(call.body) and done["metrics"]["durationMs"] > 0
    assert done["tracing"] == start["tracing"]
    assert [span["name"] for span in done["spans"]] == ["responseLatency", "responseDuration", "runtimeOverhead"]
    for span in done["spans"]:
        assert re.fullmatch(TIME, span["start"]) and span["durationMs"] >= 0
    (report,) = events["platform.report"]
    assert report["requestId"] == call.request_id and report["status"] == "success"
    metrics = report["metrics"]
    assert set(metrics) == {"durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB", "initDurationMs"}
    assert metrics["durationMs"] >= done["metrics"]["durationMs"]
    assert [span["name"] for span in report["spans"]] == ["extensionOverhead"]

    types = [event["type"] for event in function.telemetry()]
    assert types.index("platform.initStart") < types.index("platform.start")
    assert types.index("platform.start") < types.index("function") < types.index("platform.runtimeDone")
    assert types.index("platform.runtimeDone") < types.index("platform.report")
    assert "TELEMETRY\tName: ear\tState: Subscribed\tTypes: [Platform, Function]" in function.lines()


def test_a_function_error_is_in_the_events(deploy):
    function = deploy(HANDLER, {"ear": sources.subscriber(types=["platform"], schema="2025-01-29")})
    assert function.invoke({"fail": True}).error == "Unhandled"
    events = by_type(function.wait_telemetry("platform.report"))
    for kind in ("platform.runtimeDone", "platform.report"):
        assert events[kind][0]["status"] == "error"
        assert events[kind][0]["errorType"] == "ValueError"
    assert "function" not in events


def test_json_lines_are_records_except_in_the_first_schema(deploy):
    source = "import json\ndef handler(event, context):\n    print(json.dumps({'n': 1}))\n"
    for schema, record in (("2022-07-01", '{"n": 1}'), ("2022-12-13", {"n": 1})):
        function = deploy(source, {"ear": sources.subscriber(types=["function"], schema=schema)})
        function.invoke({})
        assert function.wait_telemetry("function")[0]["record"] == record


def test_lines_of_extensions(deploy):
    talker = sources.SCRIPT + (
        "print('the talker talks', flush=True)\n"
        "identifier = register(['INVOKE'])[1]['Lambda-Extension-Identifier']\n"
        "while True:\n    next_event(identifier)\n"
    )
    # Its own lines would go round in circles: only another one's are told, and one of them.
    ear = sources.subscriber(types=["extension"]).replace(
        'say("telemetry", event=received.get())',
        'event = received.get()\n        if "SAY" not in str(event):\n'
        '            say("telemetry", event=event)\n            break',
    )
    function = deploy(HANDLER, {"ear": ear, "talker": talker})
    assert function.invoke({}).error is None
    assert "the talker talks" in function.lines()
    (event,) = [one for one in function.wait_telemetry("extension")]
    assert event["record"] == "the talker talks"


def test_logs_api(deploy):
    function = deploy(
        HANDLER, {"ear": sources.subscriber(schema="2021-03-18", path="/2020-08-15/logs")}
    )
    call = function.invoke({})
    events = by_type(function.wait_telemetry("platform.report"))
    assert events["platform.logsSubscription"] == [
        {"name": "ear", "state": "Subscribed", "types": ["platform", "function"]}
    ]
    assert events["platform.start"] == [{"requestId": call.request_id, "version": "$LATEST"}]
    assert events["platform.runtimeDone"] == [{"requestId": call.request_id, "status": "success"}]
    assert events["platform.end"] == [{"requestId": call.request_id}]
    (report,) = events["platform.report"]
    assert set(report) == {"requestId", "metrics"}
    assert events["function"] == ["hello from the function"]
    assert not [kind for kind in events if kind.startswith("platform.init")]
    assert "LOGS\tName: ear\tState: Subscribed\tTypes: [Platform, Function]" in function.lines()


def test_tcp_subscriber_gets_lines_of_json(deploy):
    ear = (
        sources.SCRIPT
        + """
import socket, threading
listener = socket.create_server(("sandbox.localdomain", 7070))
identifier = register(["INVOKE"])[1]["Lambda-Extension-Identifier"]
status, headers, answer = call("PUT", "/2022-07-01/telemetry", {
    "schemaVersion": "2022-12-13", "types": ["platform", "function"],
    "buffering": {"timeoutMs": 25}, "destination": {"protocol": "TCP", "port": 7070}},
    {"Lambda-Extension-Identifier": identifier})
say("subscribed", status=status, answer=answer)
def tell():
    for line in listener.accept()[0].makefile():
        say("telemetry", event=json.loads(line))
threading.Thread(target=tell, daemon=True).start()
while True:
    next_event(identifier)
"""
    )
    function = deploy(HANDLER, {"ear": ear})
    function.invoke({})
    function.invoke({})
    events = by_type(function.wait_telemetry("platform.report"))
    assert events["function"][0] == "hello from the function"


GOOD = {
    "schemaVersion": "2022-12-13",
    "types": ["platform"],
    "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080"},
}


def changed(**members):
    return {**GOOD, **members}


REFUSED = [
    ("{", "failed to parse JSON"),
    ([], "the request should be a JSON object"),
    (changed(types=[]), "types should not be empty"),
    (changed(types=["all"]), "types should be platform, function or extension"),
    (changed(schemaVersion="2021-01-01"), "schemaVersion is not supported"),
    (changed(destination={"protocol": "HTTP", "URI": "http://sandbox.localdomain"}), "URI port is not provided"),
    (changed(destination={"protocol": "HTTP", "URI": "http://localhost:80"}), "URI host should be sandbox.localdomain"),
    (changed(destination={"protocol": "HTTP", "URI": "http://sandbox:9001"}), "port 9001 is reserved"),
    (changed(destination={"protocol": "HTTP", "URI": "https://sandbox:1"}), "URI should be of the form"),
    (changed(destination={"protocol": "UDP"}), "protocol should be HTTP or TCP"),
    (changed(destination={"protocol": "TCP"}), "port is not provided"),
    (changed(buffering={"maxItems": 999}), "maxItems should be between 1000 and 10000"),
    (changed(buffering={"maxBytes": 1}), "maxBytes should be between 262144 and 1048576"),
    (changed(buffering={"timeoutMs": 24}), "timeoutMs should be between 25 and 30000"),
    ({}, "schemaVersion is not provided; types should not be empty; destination is not provided"),
]


def test_malformed_subscriptions_are_refused_with_what_is_wrong(deploy):
    bodies = [body for body, _ in REFUSED]
    extension = (
        sources.SCRIPT
        + f"""
identifier = register(["INVOKE"])[1]["Lambda-Extension-Identifier"]
named = {{"Lambda-Extension-Identifier": identifier}}
say("answers", answers=[call("PUT", "/2022-07-01/telemetry", body, named)[::2] for body in {bodies!r}])
good = {GOOD!r}
say("twice", answers=[call("PUT", path, body, named)[::2] for path, body in (
    ("/2022-07-01/telemetry", good), ("/2022-07-01/telemetry", good),
    ("/2020-08-15/logs", dict(good, schemaVersion="2020-08-15")))])
say("unknown", answer=call("PUT", "/2022-07-01/telemetry", good,
    {{"Lambda-Extension-Identifier": "00000000-0000-4000-8000-000000000000"}})[::2])
say("logs", answer=call("PUT", "/2020-08-15/logs", {{}}, named)[::2])
next_event(identifier)
say("closed", answer=call("PUT", "/2022-07-01/telemetry", good, named)[::2])
next_event(identifier)
"""
    )
    function = deploy(HANDLER, {"probe": extension})
    assert function.invoke({}).error is None
    (answers,) = function.wait_said("answers")
    for (body, message), (status, answer) in zip(REFUSED, answers["answers"]):
        assert status == 400, (body, answer)
        assert answer["errorType"] == "ValidationError", body
        assert message in answer["errorMessage"], (body, answer)
    (twice,) = function.wait_said("twice")
    assert [status for status, _ in twice["answers"]] == [200, 200, 400]
    (unknown,) = function.wait_said("unknown")
    assert unknown["answer"][0] == 403
    assert unknown["answer"][1]["errorType"] == "Extension.UnknownExtensionIdentifier"
    (logs,) = function.wait_said("logs")
    assert logs["answer"][1]["errorType"] == "Logs.ValidationError"
    (closed,) = function.wait_said("closed")
    assert closed["answer"][0] == 403 and closed["answer"][1]["errorType"] == "Telemetry.SubscriptionClosed"
