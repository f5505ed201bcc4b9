"""Each runtime end to end: Node.js and functions that bring their own bootstrap."""

import pytest

import deployed

SHELL = """#!/bin/sh
set -eu
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
exec /usr/bin/python3 -S - "$api" <<'EOS'
import sys, urllib.request
api = sys.argv[1]
while True:
    event = urllib.request.urlopen(api + "/next")
    body = event.read()
    request = urllib.request.Request(api + "/" + event.headers["Lambda-Runtime-Aws-Request-Id"] + "/response",
                                     data=b'{"got": ' + body + b"}")
    urllib.request.urlopen(request).read()
EOS
"""


@pytest.mark.parametrize("runtime", ["nodejs18.x", "nodejs20.x", "nodejs22.x"])
def test_node(deploy, runtime):
    function = deploy(
        "exports.handler = async (event) => { console.log('seen', event); return event.a + 1; };",
        runtime=runtime,
        handler="index.handler",
    )
    call = function.invoke({"a": 1})
    assert call.body == b"2", call.body
    assert f"\t{call.request_id}\tINFO\tseen {{ a: 1 }}\n" in call.log
    assert function.invoke({"a": 2}).body == b"3"


def test_node_errors(deploy):
    function = deploy(
        "exports.handler = async (event) => { if (event.exit) process.exit(event.exit); throw new TypeError('t'); };",
        runtime="nodejs20.x",
        handler="index.handler",
    )
    call = function.invoke({})
    assert (call.error, call.json()["errorType"], call.json()["errorMessage"]) == ("Unhandled", "TypeError", "t")
    call = function.invoke({"exit": 4})
    assert call.json()["errorMessage"].endswith("Error: Runtime exited with error: exit status 4")


def test_node_sdk(deploy):
    source = """
import { STSClient, GetCallerIdentityCommand } from '@aws-sdk/client-sts';
export const handler = async () => (await new STSClient({}).send(new GetCallerIdentityCommand({}))).Arn;
"""
    function = deploy({"index.mjs": source}, runtime="nodejs20.x", handler="index.handler", MemorySize=512)
    call = function.invoke({})
    if call.error and "Cannot find package" in call.json()["errorMessage"]:
        pytest.skip("this build's Node runtime has no SDK (npm was not reachable)")
    assert call.json() == f"arn:aws:sts::000000000000:assumed-role/test/{function.name}"


def test_a_script_as_bootstrap(deploy):
    function = deploy(SHELL, runtime="provided.al2023")
    assert function.invoke([1]).json() == {"got": [1]}
    assert function.invoke([2]).json() == {"got": [2]}


def test_a_program_as_bootstrap(deploy):
    function = deploy({"bootstrap": deployed.program("echo-bootstrap")}, runtime="provided.al2", handler="echo")
    assert function.invoke({"k": ["v"]}).json() == {"k": ["v"]}


def test_without_a_bootstrap(deploy):
    function = deploy({"other": "x"}, runtime="provided.al2023")
    call = function.invoke({})
    assert call.json() == {
        "errorType": "Runtime.InvalidEntrypoint",
        "errorMessage": f"RequestId: {call.request_id} Error: Couldn't find valid bootstrap(s): "
        "[/var/task/bootstrap /opt/bootstrap]",
    }


def test_a_bootstrap_that_is_no_program(deploy):
    call = deploy("no program\n", runtime="provided.al2023").invoke({})
    assert call.error == "Unhandled"
    assert call.json()["errorType"] in ("Runtime.InvalidEntrypoint", "Runtime.ExitError")
