"""External extensions: start, registration, events, and the shutdown phase."""

import re

import deployed
import extension_sources as sources

HANDLER = """
import os
def handler(event, context):
    return {"pid": os.getpid(), "trace": os.environ.get("_X_AMZN_TRACE_ID")}
"""
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def test_lifecycle_of_an_extension(deploy):
    function = deploy(HANDLER, {"loyal": sources.LOYAL}, Environment={"Variables": {"COLOR": "blue"}})
    call = function.invoke({"a": 1})
    assert call.error is None, call.body
    # The runtime is pid 2 with extensions, too, though they start before it.
    assert call.json()["pid"] == 2

    (registered,) = function.wait_said("registered")
    assert registered["status"] == 200
    assert registered["answer"] == {
        "accountId": "000000000000",
        "functionName": function.name,
        "functionVersion": "$LATEST",
        "handler": "app.handler",
    }
    assert registered["cwd"] == "/"
    environment = registered["environment"]
    assert environment["COLOR"] == "blue" and environment["AWS_LAMBDA_FUNCTION_NAME"] == function.name
    assert environment["AWS_ACCESS_KEY_ID"]
    for name in ("_HANDLER", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_GROUP_NAME"):
        assert name not in environment

    (event,) = function.wait_said("event")
    assert event["status"] == 200 and re.fullmatch(UUID, event["event_id"])
    body = event["event"]
    assert set(body) == {"eventType", "deadlineMs", "requestId", "invokedFunctionArn", "tracing"}
    assert body["eventType"] == "INVOKE" and body["requestId"] == call.request_id
    assert body["invokedFunctionArn"].endswith(f":function:{function.name}")
    assert body["tracing"]["type"] == "X-Amzn-Trace-Id"
    assert body["tracing"]["value"] == call.json()["trace"]

    lines = function.lines()
    assert "EXTENSION\tName: loyal\tState: Ready\tEvents: [INVOKE, SHUTDOWN]" in lines

    assert function.invoke({}).error is None
    assert len(function.wait_said("event", count=2)) == 2

    function.delete()
    shutdown = function.wait_said("event", count=3)[2]["event"]
    assert set(shutdown) == {"eventType", "deadlineMs", "shutdownReason"}
    assert shutdown["eventType"] == "SHUTDOWN" and shutdown["shutdownReason"] == "spindown"


def test_trace_header_of_the_caller_reaches_runtime_and_extension(hearth, deploy):
    function = deploy(HANDLER, {"loyal": sources.LOYAL})
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    function.client.meta.events.register(
        "before-sign.lambda.Invoke", lambda request, **_: request.headers.__setitem__("X-Amzn-Trace-Id", trace)
    )
    try:
        assert function.invoke({}).json()["trace"] == trace
    finally:
        function.client.meta.events.unregister("before-sign.lambda.Invoke")
    (event,) = function.wait_said("event")
    assert event["event"]["tracing"]["value"] == trace


def test_an_extension_in_another_language(deploy):
    function = deploy(HANDLER, {"counter": deployed.program("counter-extension")})
    for _ in range(3):
        assert function.invoke({}).error is None
    function.delete()
    function.wait_line("calls in this environment: 3")


def test_of_two_layers_the_later_extension_counts(client, unique, deploy):
    arns = []
    for text in ("first", "second"):
        source = sources.LOYAL.replace('say("registered"', f'say("{text}"')
        layer = client.publish_layer_version(
            LayerName=unique("extensions"),
            Content={"ZipFile": deployed.zipped({"extensions/loyal": source, f"extensions/folder-{text}/x": ""})},
        )
        arns.append(layer["LayerVersionArn"])
    function = deploy(HANDLER, Layers=arns)
    assert function.invoke({}).error is None
    assert function.wait_said("second") and not function.said("first")
