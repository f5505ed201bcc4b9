"""What a caller of Invoke gets, and what the log says: answers, errors, limits, time and memory."""

import concurrent.futures
import json
import re

import pytest

import deployed

ECHO = "def handler(event, context):\n    return event\n"


def test_answer_and_log_of_a_cold_and_a_warm_call(deploy):
    function = deploy("n = 0\ndef handler(event, context):\n    global n\n    n += 1\n    print('n is', n)\n    return n\n")
    first = function.invoke({})
    assert (first.status, first.error, first.version, first.body) == (200, None, "$LATEST", b"1")
    lines = first.log.split("\n")
    assert lines[0] == f"START RequestId: {first.request_id} Version: $LATEST"
    assert lines[1] == "n is 1"
    assert lines[2] == f"END RequestId: {first.request_id}"
    assert re.fullmatch(
        r"REPORT RequestId: " + first.request_id + r"\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\t"
        r"Memory Size: 128 MB\tMax Memory Used: \d+ MB\tInit Duration: [\d.]+ ms",
        lines[3],
    )
    second = function.invoke({})
    assert second.body == b"2"
    assert "Init Duration" not in second.log


def test_without_a_payload_the_event_is_empty(deploy):
    assert deploy(ECHO).invoke().json() == {}


def test_the_environment_of_a_function(deploy):
    function = deploy(
        "import os\ndef handler(event, context):\n    return dict(os.environ)\n",
        Environment={"Variables": {"MINE": "1", "TZ": "Europe/Berlin"}},
        MemorySize=256,
    )
    seen = function.invoke({}).json()
    assert seen["MINE"] == "1"
    assert seen["TZ"] == "Europe/Berlin"
    assert seen["AWS_LAMBDA_FUNCTION_NAME"] == function.name
    assert seen["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST"
    assert seen["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert seen["AWS_LAMBDA_LOG_GROUP_NAME"] == f"/aws/lambda/{function.name}"
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", seen["AWS_LAMBDA_LOG_STREAM_NAME"])
    assert seen["AWS_REGION"] == seen["AWS_DEFAULT_REGION"] == "us-east-1"
    assert seen["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.12"
    assert seen["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand"
    assert seen["LAMBDA_TASK_ROOT"] == "/var/task"
    assert seen["LAMBDA_RUNTIME_DIR"] == "/var/runtime"
    assert seen["_HANDLER"] == "app.handler"
    assert seen["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert re.match(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=", seen["_X_AMZN_TRACE_ID"])


def test_a_function_calls_hearth_as_its_role(deploy):
    function = deploy(
        "import boto3\ndef handler(event, context):\n    return boto3.client('sts').get_caller_identity()['Arn']\n"
    )
    call = function.invoke({})
    assert call.json() == f"arn:aws:sts::000000000000:assumed-role/test/{function.name}", call.log


def test_an_error_of_the_handler(deploy):
    function = deploy("def handler(event, context):\n    raise LookupError('no')\n")
    call = function.invoke({})
    assert (call.status, call.error) == (200, "Unhandled")
    error = call.json()
    assert (error["errorType"], error["errorMessage"], error["requestId"]) == ("LookupError", "no", call.request_id)
    assert "[ERROR] LookupError: no" in call.log
    assert "\tStatus: error\tError Type: LookupError" in call.log


def test_an_import_error_is_told_each_time(deploy):
    function = deploy("import does_not_exist\n")
    for _ in range(2):
        call = function.invoke({})
        assert call.error == "Unhandled"
        assert call.json()["errorType"] == "Runtime.ImportModuleError"
        assert call.json()["errorMessage"] == "Unable to import module 'app': No module named 'does_not_exist'"
        assert "Phase: invoke\tStatus: error\tError Type: Runtime.ImportModuleError" in call.log


def test_exit(deploy):
    function = deploy("import os\ndef handler(event, context):\n    os._exit(event)\n")
    call = function.invoke(3)
    assert call.json() == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {call.request_id} Error: Runtime exited with error: exit status 3",
    }
    assert f"RequestId: {call.request_id} Error: Runtime exited with error: exit status 3\nRuntime.ExitError" in call.log
    call = function.invoke(0)
    assert call.json()["errorMessage"].endswith("Error: Runtime exited without providing a reason")


def test_time_out_and_the_next_call(deploy):
    function = deploy(
        "import time\ndef handler(event, context):\n    print('before')\n    time.sleep(event)\n    return 'done'\n",
        Timeout=1,
    )
    call = function.invoke(300)
    assert call.error == "Unhandled"
    assert call.json() == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {call.request_id} Error: Task timed out after 1.00 seconds",
    }
    assert "before" in call.log
    assert re.search(r"^\S+Z " + call.request_id + r" Task timed out after 1.00 seconds$", call.log, re.M)
    assert "\tStatus: timeout" in call.log
    assert function.invoke(0).json() == "done"


def test_too_much_memory(deploy):
    function = deploy("def handler(event, context):\n    return len(bytearray(event << 20))\n", MemorySize=128)
    call = function.invoke(1000)
    assert call.error == "Unhandled"
    # A limit of the group kills; where there is no such group the interpreter itself gives up.
    if call.json()["errorType"] != "MemoryError":
        assert call.json() == {
            "errorType": "Runtime.ExitError",
            "errorMessage": f"RequestId: {call.request_id} Error: Runtime exited with error: signal: killed",
        }
        assert "Max Memory Used: 128 MB" in call.log
    assert function.invoke(1).json() == 1 << 20


def test_payload_limits(deploy):
    function = deploy("def handler(event, context):\n    return 'x' * event['n']\n")
    assert len(function.invoke({"n": 6_000_000}).json()) == 6_000_000
    call = function.invoke({"n": 6_300_000})
    assert call.error == "Unhandled"
    assert call.json() == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    }
    # The environment goes on.
    assert function.invoke({"n": 1}).json() == "x"
    echo = deploy(ECHO)
    big = {"x": "y" * 6_000_000}
    assert echo.invoke(big).json() == big


def test_the_context_and_the_client_context(deploy):
    import base64

    function = deploy(
        "def handler(event, context):\n    return [context.aws_request_id, context.invoked_function_arn,\n"
        "            context.client_context.custom, 0 < context.get_remaining_time_in_millis() <= 60000]\n"
    )
    call = function.invoke({}, ClientContext=base64.b64encode(b'{"custom": {"a": "b"}}').decode())
    assert call.json() == [
        call.request_id,
        f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}",
        {"a": "b"},
        True,
    ]


def test_the_tail_is_the_last_4_kb(deploy):
    function = deploy("def handler(event, context):\n    for i in range(1000):\n        print('line', i)\n")
    log = function.invoke({}).log
    assert len(log) == 4096
    assert "line 999\nEND RequestId" in log
    assert "START" not in log


def test_json_log_format(hearth, deploy):
    function = deploy("import logging\ndef handler(event, context):\n    logging.getLogger().warning('w')\n")
    # Debian's botocore does not know LoggingConfig.
    hearth.get(
        f"/2015-03-31/functions/{function.name}/configuration",
        method="PUT",
        body=json.dumps({"LoggingConfig": {"LogFormat": "JSON"}}).encode(),
    ).read()
    records = [json.loads(line) for line in function.invoke({}).log.splitlines()]
    assert [r.get("type", r.get("level")) for r in records] == ["platform.start", "WARNING", "platform.report"]
    assert records[2]["record"]["status"] == "success"
    assert records[2]["record"]["metrics"]["memorySizeMB"] == 128


def test_a_change_reaches_the_next_call(client, deploy):
    function = deploy("def handler(event, context):\n    return 0\n")
    for n in range(1, 6):
        client.update_function_code(
            FunctionName=function.name,
            ZipFile=deployed.zipped({"app.py": f"def handler(event, context):\n    return {n}\n"}),
        )
        assert function.invoke({}).json() == n


def test_calls_at_once_have_environments_of_their_own(deploy):
    function = deploy(
        "import time\nbusy = False\ndef handler(event, context):\n    global busy\n    assert not busy\n"
        "    busy = True\n    time.sleep(0.05)\n    busy = False\n    return event\n"
    )
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        calls = list(pool.map(lambda n: function.invoke(n), range(40)))
    assert [call.body for call in calls] == [str(n).encode() for n in range(40)]


def test_tmp_is_writable_and_code_is_not(deploy):
    function = deploy(
        """
def handler(event, context):
    open('/tmp/x', 'w').write('y')
    refused = []
    for path in ('/var/task/x', '/var/runtime/x', '/usr/x', '/etc/x'):
        try:
            open(path, 'w')
        except OSError:
            refused.append(path)
    return refused
"""
    )
    assert len(function.invoke({}).json()) == 4


def test_fifty_functions_cold_at_once(client, unique):
    names = [unique("cold") for _ in range(50)]
    functions = [deployed.function(client, name, f"def handler(event, context):\n    return {n}\n")
                 for n, name in enumerate(names)]
    try:
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            calls = list(pool.map(lambda function: function.invoke({}), functions))
        assert [call.body for call in calls] == [str(n).encode() for n in range(50)]
    finally:
        for name in names:
            client.delete_function(FunctionName=name)


def test_slots_are_listed(hearth, deploy):
    function = deploy(ECHO)
    function.invoke({})
    function.invoke({})
    listed = json.loads(hearth.get("/_hearth/slots").read())
    mine = [one for one in listed["functions"] if one["function"] == function.name]
    assert [(one["hits"], one["misses"], len(one["environments"])) for one in mine] == [(1, 1, 1)]
