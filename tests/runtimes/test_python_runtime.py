"""What a Python function sees and answers, compared with AWS's awslambdaric."""

import json
import re

import pytest
from runtime_process import Runtime, log_events

ID = "00000000-0000-4000-8000-000000000001"


def python(source, handler="app.handler", **environment):
    return Runtime("python", {"app.py": source}, handler, **environment)


def test_answers_with_json():
    with python("def handler(event, context):\n    return {'a': event['x'], 'u': '\\u00e9'}\n") as runtime:
        answer = runtime.invoke({"x": [1, None]})
        assert answer.kind == "response"
        assert answer.body == b'{"a": [1, null], "u": "\\u00e9"}'


def test_from_3_12_on_utf8_stays():
    with python(
        "def handler(event, context):\n    return '\\u00e9'\n", execution_env="AWS_Lambda_python3.12"
    ) as runtime:
        assert runtime.invoke({}).body == '"é"'.encode()


def test_decimals_keep_their_digits():
    with python(
        "from decimal import Decimal\ndef handler(event, context):\n"
        "    return [Decimal('1.10'), Decimal('12345678901234567890.5')]\n"
    ) as runtime:
        assert runtime.invoke({}).body == b"[1.10, 12345678901234567890.5]"


def test_context():
    source = """
def handler(event, context):
    assert 0 < context.get_remaining_time_in_millis()
    return [context.aws_request_id, context.function_name, context.function_version,
            context.memory_limit_in_mb, context.log_group_name, context.log_stream_name,
            context.invoked_function_arn, context.identity.cognito_identity_id,
            context.client_context.custom, context.client_context.client.app_title]
"""
    with python(source) as runtime:
        answer = runtime.invoke(
            {}, **{"Lambda-Runtime-Client-Context": json.dumps({"custom": {"k": "v"}, "client": {"app_title": "t"}})}
        )
        assert answer.json() == [
            ID, "f", "$LATEST", "128", "/aws/lambda/f", "stream",
            "arn:aws:lambda:us-east-1:000000000000:function:f", None, {"k": "v"}, "t",
        ]


def test_an_exception():
    with python("def handler(event, context):\n    inner()\n\ndef inner():\n    raise KeyError('x')\n") as runtime:
        answer = runtime.invoke({})
        assert answer.kind == "error"
        assert answer.error_type == "KeyError"
        error = answer.json()
        assert list(error) == ["errorMessage", "errorType", "requestId", "stackTrace"]
        assert error["errorMessage"] == "'x'"
        assert error["requestId"] == ID
        assert error["stackTrace"] == [
            '  File "%s/app.py", line 2, in handler\n    inner()\n' % runtime.directory,
            '  File "%s/app.py", line 5, in inner\n    raise KeyError(\'x\')\n' % runtime.directory,
        ]
        assert runtime.invoke({}).kind == "error"
        events = log_events(runtime.output())
        assert events[0].startswith("[ERROR] KeyError: 'x'\nTraceback (most recent call last):\n\u00a0\u00a0File ")


@pytest.mark.parametrize(
    "source, handler, error_type, message",
    [
        ("import nothing_here", "app.handler", "Runtime.ImportModuleError",
         "Unable to import module 'app': No module named 'nothing_here'"),
        ("", "missing.handler", "Runtime.ImportModuleError",
         "Unable to import module 'missing': No module named 'missing'"),
        ("x = 1", "app.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        ("def f(:", "app.f", "Runtime.UserCodeSyntaxError",
         r"Syntax error in module 'app': invalid syntax (app.py, line 1)"),
        ("", "app", "Runtime.MalformedHandlerName",
         "Bad handler 'app': not enough values to unpack (expected 2, got 1)"),
        ("", "sys.exit", "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys as a handler module"),
    ],
)
def test_init_errors(source, handler, error_type, message):
    with python(source, handler) as runtime:
        answer = runtime.answer()
        assert answer.kind == "init"
        assert answer.error_type == error_type
        assert answer.json()["errorType"] == error_type
        assert answer.json()["errorMessage"] == message
        assert answer.json()["requestId"] == ""
        assert runtime.wait() == 1


def test_an_exception_while_importing_keeps_its_type():
    with python("1 / 0") as runtime:
        answer = runtime.answer()
        assert answer.kind == "init"
        assert answer.json()["errorType"] == "ZeroDivisionError"
        assert "in <module>" in answer.json()["stackTrace"][-1]


def test_what_is_not_json():
    with python("def handler(event, context):\n    return {1, 2}\n") as runtime:
        answer = runtime.invoke({})
        assert answer.json()["errorType"] == "Runtime.MarshalError"
        assert answer.json()["errorMessage"] == (
            "Unable to marshal response: Object of type set is not JSON serializable"
        )
        answer = runtime.invoke(None, raw=b"{not json")
        assert answer.json()["errorType"] == "Runtime.UnmarshalError"
        assert answer.json()["errorMessage"].startswith("Unable to unmarshal input: ")


def test_text_logging():
    source = """
import logging
def handler(event, context):
    print('one\\ntwo')
    logging.warning('hello %s', 'w')
    logging.info('not shown')
    logging.error('several\\nlines')
    context.log('direct')
"""
    with python(source) as runtime:
        runtime.invoke({})
        events = log_events(runtime.output())
        assert events[:2] == ["one", "two"]
        assert re.fullmatch(r"\[WARNING\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t" + ID + r"\thello w", events[2])
        assert events[3].endswith("\tseveral\nlines")
        assert events[4:] == ["direct"]


def test_json_logging_with_a_level():
    source = """
import logging
log = logging.getLogger('mine')
def handler(event, context):
    log.debug('d', extra={'k': 1})
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception('failed')
    raise ValueError('v')
"""
    with python(source, AWS_LAMBDA_LOG_FORMAT="JSON", AWS_LAMBDA_LOG_LEVEL="DEBUG") as runtime:
        runtime.invoke({})
        debug, failed, error = [json.loads(event) for event in log_events(runtime.output())]
        assert (debug["level"], debug["message"], debug["logger"], debug["k"]) == ("DEBUG", "d", "mine", 1)
        assert debug["requestId"] == ID
        assert failed["errorType"] == "ZeroDivisionError"
        assert failed["errorMessage"] == "division by zero"
        assert failed["location"].endswith("app.py:handler:9")
        assert error["log_level"] == "ERROR"
        assert error["errorType"] == "ValueError"


def test_what_the_site_module_would_have_given():
    source = """
import sys
def handler(event, context):
    return [sys.path[0], callable(exit), callable(quit), '/usr/lib/python3/dist-packages' in sys.path]
"""
    with python(source) as runtime:
        assert runtime.invoke({}).json() == [runtime.directory, True, True, True]


def test_an_old_botocore_honours_the_endpoint():
    source = """
import boto3
def handler(event, context):
    client = lambda **more: boto3.client('sts', region_name='us-east-1', **more).meta.endpoint_url
    return [client(), client(endpoint_url='http://127.0.0.1:2')]
"""
    with python(source, AWS_ENDPOINT_URL="http://127.0.0.1:1") as runtime:
        answer = runtime.invoke({})
        if answer.json() and "boto3" in str(answer.json()):
            pytest.skip("no boto3 for /usr/bin/python3")
        assert answer.json() == ["http://127.0.0.1:1", "http://127.0.0.1:2"]


def test_the_trace_header_reaches_the_environment():
    with python("import os\ndef handler(event, context):\n    return os.environ['_X_AMZN_TRACE_ID']\n") as runtime:
        assert runtime.invoke({}).json() == "Root=1-a-b;Parent=c;Sampled=0"


def test_exit_ends_the_process_with_its_status():
    with python("import sys\ndef handler(event, context):\n    sys.exit(7)\n") as runtime:
        runtime.count += 1
        runtime.api.events.put(({"Lambda-Runtime-Aws-Request-Id": ID, "Lambda-Runtime-Deadline-Ms": "1"}, b"{}"))
        assert runtime.wait() == 7


def test_large_payloads_both_ways():
    with python("def handler(event, context):\n    return event\n") as runtime:
        event = {"x": "y" * 5_000_000}
        assert runtime.invoke(event).json() == event


# ------------------------------------------------------------------------------------------------ SnapStart

HOOKS = """
import random, tempfile
from snapshot_restore_py import register_before_snapshot, register_after_restore

said = []
random.seed(7)
names = tempfile._get_candidate_names()

@register_before_snapshot
def before():
    said.append("before")

register_before_snapshot(said.append, "before, registered last")
register_after_restore(said.append, "after")

@register_after_restore
def last():
    said.append("after, registered last")

def handler(event, context):
    return [said, random.random(), tempfile._name_sequence is names]
"""


def test_snapshot_hooks_run_in_order_and_randomness_is_fresh():
    import random

    with python(HOOKS, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") as runtime:
        runtime.restore()
        said, number, same_names = runtime.invoke({}).json()
        assert said == ["before, registered last", "before", "after", "after, registered last"]
        assert number != random.Random(7).random()
        assert not same_names
        assert runtime.api.paths[:2] == [
            "/2018-06-01/runtime/restore/next", "/2018-06-01/runtime/invocation/next"]


UNHOOKED = """
import random, tempfile
random.seed(7)
names = tempfile._get_candidate_names()
seen = []
def handler(event, context):
    seen.append(event)
    return [seen, random.random(), tempfile._name_sequence is names]
"""


@pytest.mark.parametrize("ahead", [False, True], ids=["for a call", "ahead"])
def test_without_hooks_a_copy_waits_for_its_event_and_randomness_is_fresh(ahead):
    import random

    with python(UNHOOKED, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") as runtime:
        if ahead:
            runtime.rehearse()
        seen, number, same_names = runtime.invoke({"n": 1}).json()
        assert seen == [{"n": 1}]
        assert number != random.Random(7).random()
        assert not same_names
        assert runtime.invoke({"n": 2}).json()[0] == [{"n": 1}, {"n": 2}]
        plain = "/2018-06-01/runtime/invocation/next"
        assert runtime.api.paths[:2] == [plain + "?rehearse", plain]


@pytest.mark.parametrize("when, kind, status", [("before_snapshot", "init", 64), ("after_restore", "restore", 65)])
def test_a_hook_that_fails(when, kind, status):
    source = """
import snapshot_restore_py
@snapshot_restore_py.register_%s
def hook():
    raise ValueError("no")
def handler(event, context):
    pass
""" % when
    with python(source, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") as runtime:
        runtime.restore()
        answer = runtime.answer()
        assert answer.kind == kind
        assert answer.error_type == "ValueError"
        assert answer.json()["errorMessage"] == "no"
        # Frames of the runtime itself are not shown.
        assert "hook" in answer.json()["stackTrace"][0]
        assert runtime.wait() == status
