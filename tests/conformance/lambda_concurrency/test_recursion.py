"""Functions that call themselves: the configuration, and how a loop ends."""

import json
import urllib.error
import urllib.request

import pytest

import hearth_up

# Calls the next function of the list, one step less; says how deep it got and what ended it.
LOOP = """
import json
import boto3
import botocore.exceptions
client = boto3.client("lambda")

def handler(event, context):
    if event["steps"] == 0:
        return {"depth": 0, "end": "steps"}
    names = event["names"][1:] + event["names"][:1]
    request = dict(event, names=names, steps=event["steps"] - 1)
    try:
        answer = client.invoke(FunctionName=names[0], Payload=json.dumps(request).encode())
    except botocore.exceptions.ClientError as error:
        return {"depth": 0, "end": error.response["Error"]["Code"]}
    inner = json.loads(answer["Payload"].read())
    return dict(inner, depth=inner["depth"] + 1)
"""

# The same without an SDK, which takes its time to load.
QUICK_LOOP = """
import json
import os
import urllib.error
import urllib.request

def handler(event, context):
    names = event["names"][1:] + event["names"][:1]
    request = urllib.request.Request(
        os.environ["AWS_ENDPOINT_URL"] + "/2015-03-31/functions/" + names[0] + "/invocations",
        data=json.dumps(dict(event, names=names)).encode(),
        headers={"X-Amzn-Trace-Id": os.environ["_X_AMZN_TRACE_ID"]},
    )
    try:
        inner = json.loads(urllib.request.urlopen(request).read())
    except urllib.error.HTTPError as error:
        return {"depth": 0, "end": error.headers["x-amzn-ErrorType"]}
    return dict(inner, depth=inner["depth"] + 1)
"""


@pytest.fixture
def configure(hearth):
    """configure(name, "Allow") puts; configure(name) gets: Debian's botocore knows neither."""

    def call(name, recursive_loop=None):
        request = urllib.request.Request(
            f"{hearth.endpoint}/2024-08-31/functions/{name}/recursion-config",
            method="PUT" if recursive_loop else "GET",
            data=json.dumps({"RecursiveLoop": recursive_loop}).encode() if recursive_loop else None,
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=hearth_up.DEADLINE_S) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    return call


def run(function, names, steps):
    return function.invoke({"names": names, "steps": steps}).json()


def test_the_configuration_is_kept(configure, deploy, hearth):
    name = deploy().name
    assert configure(name) == (200, {"RecursiveLoop": "Terminate"})
    assert configure(name, "Allow") == (200, {"RecursiveLoop": "Allow"})
    hearth.stop(keep_data=True)
    hearth.start()
    assert configure(name) == (200, {"RecursiveLoop": "Allow"})
    assert configure(name, "Terminate") == (200, {"RecursiveLoop": "Terminate"})
    assert configure(name) == (200, {"RecursiveLoop": "Terminate"})
    status, answer = configure(name, "Perhaps")
    assert status == 400, answer
    assert configure("absent")[0] == 404
    assert configure("absent", "Allow")[0] == 404


def test_a_function_that_calls_itself_runs_sixteen_times(configure, deploy):
    function = deploy(LOOP, Timeout=300)
    assert run(function, [function.name], 20) == {"depth": 15, "end": "RecursiveInvocationException"}
    # Few enough are no loop.
    assert run(function, [function.name], 10) == {"depth": 10, "end": "steps"}
    configure(function.name, "Allow")
    assert run(function, [function.name], 18) == {"depth": 18, "end": "steps"}


def test_a_loop_through_two_functions(deploy):
    one, other = deploy(QUICK_LOOP, Timeout=300), deploy(QUICK_LOOP, Timeout=300)
    # Both run sixteen times; the first one would have run once more.
    assert one.invoke({"names": [one.name, other.name]}).json() == {
        "depth": 31,
        "end": "RecursiveInvocationException",
    }
