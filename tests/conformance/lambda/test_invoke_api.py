"""Invoke as an API: which version runs, what is checked before, what the answer's members say.

How functions run (errors, time-outs, logs) is the matter of tests/conformance/lambda_invoke.
"""

import base64
import json

from functions import arn, code, refused

import pytest

VERSION = """
import os
def handler(event, context):
    return {
        "version": context.function_version,
        "arn": context.invoked_function_arn,
        "variable": os.environ.get("NUMBER"),
    }
"""


def invoke(client, name, **call):
    answer = client.invoke(FunctionName=name, **call)
    assert "FunctionError" not in answer, answer["Payload"].read()
    assert answer["StatusCode"] == 200
    return json.loads(answer["Payload"].read()), answer


@pytest.fixture
def function(client, create):
    name = create(
        Code=code(VERSION), Environment={"Variables": {"NUMBER": "one"}}, Publish=True
    )["FunctionName"]
    client.update_function_configuration(
        FunctionName=name, Environment={"Variables": {"NUMBER": "two"}}
    )
    assert client.publish_version(FunctionName=name)["Version"] == "2"
    client.update_function_configuration(
        FunctionName=name, Environment={"Variables": {"NUMBER": "latest"}}
    )
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    return name


def test_the_version_that_was_asked_for(client, function):
    for qualifier, version, variable in (
        (None, "$LATEST", "latest"),
        ("$LATEST", "$LATEST", "latest"),
        ("1", "1", "one"),
        ("2", "2", "two"),
        ("live", "1", "one"),
    ):
        call = {"Qualifier": qualifier} if qualifier else {}
        payload, answer = invoke(client, function, **call)
        assert payload == {
            "version": version,
            "variable": variable,
            "arn": arn(function, qualifier),
        }
        assert answer["ExecutedVersion"] == version
    assert invoke(client, arn(function, "live"))[0]["version"] == "1"


def test_an_alias_that_moves(client, function):
    assert invoke(client, function, Qualifier="live")[0]["version"] == "1"
    client.update_alias(FunctionName=function, Name="live", FunctionVersion="2")
    assert invoke(client, function, Qualifier="live")[0]["version"] == "2"


def test_weights_share_the_calls(client, function):
    client.update_alias(
        FunctionName=function,
        Name="live",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}},
    )
    # The chance that 60 fair draws are all the same is 2 in 10^18.
    seen = {invoke(client, function, Qualifier="live")[0]["version"] for _ in range(60)}
    assert seen == {"1", "2"}


def test_a_change_is_live_on_the_next_call(client, create):
    name = create(Code=code(VERSION), Environment={"Variables": {"NUMBER": "0"}})["FunctionName"]
    for number in map(str, range(1, 6)):
        invoke(client, name)
        client.update_function_configuration(
            FunctionName=name, Environment={"Variables": {"NUMBER": number}}
        )
        assert invoke(client, name)[0]["variable"] == number
    for number in range(3):
        client.update_function_code(
            FunctionName=name,
            ZipFile=code(f"def handler(event, context): return {number}\n")["ZipFile"],
        )
        assert invoke(client, name)[0] == number


def test_deleted_functions_do_not_run(client, create):
    name = create()["FunctionName"]
    invoke(client, name)
    client.delete_function(FunctionName=name)
    with refused("ResourceNotFoundException", f"Function not found: {arn(name)}", 404):
        client.invoke(FunctionName=name)
    create(name, Code=code("def handler(event, context): return 'new'\n"))
    assert invoke(client, name)[0] == "new"


@pytest.mark.parametrize("payload", ["null", "1", '"text"', "[]", '{"a":[1,{"b":null}]}', ' {"a": 1} '])
def test_payloads(client, create, payload):
    name = create()["FunctionName"]
    assert invoke(client, name, Payload=payload)[0] == json.loads(payload)


def test_no_payload_is_an_empty_object(client, create):
    assert invoke(client, create()["FunctionName"])[0] == {}


@pytest.mark.parametrize("payload", ["{", "hello", "{'a': 1}", '{"a": 1,}', "\x00", '{"a":1}{"b":2}', b'"\xff"'])
def test_payloads_that_are_no_json(client, create, payload):
    name = create()["FunctionName"]
    with refused(
        "InvalidRequestContentException",
        contains="Could not parse request body into json: Could not parse payload into json: ",
        status=400,
    ):
        client.invoke(FunctionName=name, Payload=payload)


def test_payloads_that_are_too_large(client, create):
    name = create(Code=code("def handler(event, context): return len(event)\n"))["FunctionName"]
    fits = json.dumps("x" * (6_291_456 - 2))
    assert invoke(client, name, Payload=fits)[0] == 6_291_454
    with refused(
        "RequestEntityTooLargeException",
        "Request must be smaller than 6291456 bytes for the InvokeFunction operation",
        413,
    ):
        client.invoke(FunctionName=name, Payload=fits + " ")


def test_dry_run(client, create):
    name = create(Code=code("raise Exception('never runs')\n"))["FunctionName"]
    answer = client.invoke(FunctionName=name, InvocationType="DryRun")
    assert answer["StatusCode"] == 204
    assert answer["Payload"].read() == b""
    with refused("ResourceNotFoundException", f"Function not found: {arn('nothing')}", 404):
        client.invoke(FunctionName="nothing", InvocationType="DryRun")


def test_events_are_accepted(client, create):
    name = create()["FunctionName"]
    answer = client.invoke(FunctionName=name, InvocationType="Event")
    assert answer["StatusCode"] == 202
    assert answer["Payload"].read() == b""


def test_client_context(client, create):
    name = create(
        Code=code("def handler(event, context): return context.client_context.custom\n")
    )["FunctionName"]
    context = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
    assert invoke(client, name, ClientContext=context)[0] == {"k": "v"}
    for wrong in ("no base64!", base64.b64encode(b"no json").decode(), base64.b64encode(b"[]").decode()):
        with refused(
            "InvalidRequestContentException",
            "Client context must be a valid Base64-encoded JSON object.",
            400,
        ):
            client.invoke(FunctionName=name, ClientContext=wrong)


def test_the_tail_of_the_log(client, create):
    name = create(Code=code("def handler(event, context): print('from inside')\n"))["FunctionName"]
    _, answer = invoke(client, name, LogType="Tail")
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert "from inside\n" in tail
    assert f"END RequestId: {answer['ResponseMetadata']['RequestId']}" in tail
    assert "LogResult" not in client.invoke(FunctionName=name, LogType="None")


@pytest.mark.parametrize("qualifier", ["7", "nobody"])
def test_versions_that_are_not_there(client, create, qualifier):
    name = create()["FunctionName"]
    with refused("ResourceNotFoundException", f"Function not found: {arn(name, qualifier)}", 404):
        client.invoke(FunctionName=name, Qualifier=qualifier)
