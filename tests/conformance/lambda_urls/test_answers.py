"""What a client gets for what a function answers, or fails to."""

import json

import pytest

import deployed
import function_url

# Answers with whatever the request's body says; as Python, so that broken things can be said, too.
SAYS = """
import base64, json
def handler(event, context):
    body = event.get('body', 'null')
    if event['isBase64Encoded']:
        body = base64.b64decode(body).decode()
    return eval(body)
"""


@pytest.fixture(scope="module")
def says(hearth, client):
    deployed.function(client, "url-says", SAYS)
    url = function_url.public(hearth, client, "url-says")
    return lambda source, **more: url.call("/", "POST", source.encode(), **more)


@pytest.mark.parametrize(
    "source, body",
    [
        ("{'hello': 'world'}", b'{"hello": "world"}'),
        ("['hello', 3, True]", b'["hello", 3, true]'),
        ("'plain text'", b"plain text"),
        ("'gr\\u00fcn'", "grün".encode()),
        ("''", b""),
        ("3", b"3"),
        ("3.1", b"3.1"),
        ("True", b"true"),
        ("None", b"null"),
        ("{'body': 'no status'}", b'{"body": "no status"}'),
        ("{'headers': {'x-a': 'b'}, 'body': 'x'}", b'{"headers": {"x-a": "b"}, "body": "x"}'),
    ],
)
def test_an_answer_without_a_status_is_the_body(says, source, body):
    answer = says(source)
    assert (answer.status, answer.body) == (200, body)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["x-amzn-RequestId"]


@pytest.mark.parametrize(
    "source, status, body",
    [
        ("{'statusCode': 200, 'body': 'text'}", 200, b"text"),
        ("{'statusCode': 201, 'body': '{\"a\": 1}'}", 201, b'{"a": 1}'),
        ("{'statusCode': 404}", 404, b""),
        ("{'statusCode': '418', 'body': 'tea'}", 418, b"tea"),
        ("{'statusCode': 200.0, 'body': 'x'}", 200, b"x"),
        ("{'statusCode': 503, 'body': None}", 503, b""),
        ("{'statusCode': 200, 'body': {'a': [1, '}']}}", 200, b'{"a": [1, "}"]}'),
        ("{'statusCode': 200, 'body': 12}", 200, b"12"),
        ("{'statusCode': 204, 'body': ''}", 204, b""),
        ("{'statusCode': 200, 'isBase64Encoded': True, 'body': 'AAH/'}", 200, b"\x00\x01\xff"),
        ("{'statusCode': 200, 'isBase64Encoded': True, 'body': 'AA\\nH/'}", 200, b"\x00\x01\xff"),
        ("{'statusCode': 200, 'isBase64Encoded': False, 'body': 'AAH/'}", 200, b"AAH/"),
    ],
)
def test_an_answer_with_a_status(says, source, status, body):
    answer = says(source)
    assert (answer.status, answer.body) == (status, body)


def test_headers_and_cookies(says):
    answer = says(
        "{'statusCode': 302, 'headers': {'Location': '/x', 'Content-Type': 'text/html', 'X-Number': 7,"
        " 'X-Flag': True, 'X-None': None, 'X-List': ['a', 'b']},"
        " 'cookies': ['a=1; Path=/', 'b=2; Secure'], 'body': '<p>'}"
    )
    assert answer.status == 302
    assert answer.headers.get_all("Content-Type") == ["text/html"]
    assert answer.headers["Location"] == "/x"
    assert answer.headers["X-Number"] == "7"
    assert answer.headers["X-Flag"] == "true"
    assert answer.headers["X-List"] == "a,b"
    assert answer.headers["X-None"] is None
    assert answer.headers.get_all("Set-Cookie") == ["a=1; Path=/", "b=2; Secure"]


def test_headers_that_are_not_the_functions(says):
    answer = says(
        "{'statusCode': 401, 'headers': {'WWW-Authenticate': 'Basic', 'Date': 'then', 'Server': 'mine',"
        " 'Connection': 'close', 'Content-Length': '9999', 'Transfer-Encoding': 'chunked',"
        " 'Keep-Alive': 'x', 'Upgrade': 'h2c', 'Trailer': 'x'}, 'body': 'no'}"
    )
    assert (answer.status, answer.body) == (401, b"no")
    assert answer.headers["Content-Length"] == "2"
    assert answer.headers["x-amzn-Remapped-WWW-Authenticate"] == "Basic"
    assert answer.headers["x-amzn-Remapped-Date"] == "then"
    assert answer.headers["x-amzn-Remapped-Server"] == "mine"
    assert answer.headers["x-amzn-Remapped-Connection"] == "close"
    for name in ("WWW-Authenticate", "Transfer-Encoding", "Upgrade", "Trailer", "Keep-Alive"):
        assert answer.headers[name] is None
    assert len(answer.headers.get_all("Date")) == 1


@pytest.mark.parametrize(
    "source",
    [
        "{'statusCode': 'many'}",
        "{'statusCode': 99}",
        "{'statusCode': 101}",
        "{'statusCode': 600}",
        "{'statusCode': 200.5}",
        "{'statusCode': [200]}",
        "{'statusCode': 10 ** 30}",
        "{'statusCode': 200, 'headers': ['a']}",
        "{'statusCode': 200, 'headers': {'a b': 'c'}}",
        "{'statusCode': 200, 'headers': {'': 'c'}}",
        "{'statusCode': 200, 'headers': {'a': {'b': 'c'}}}",
        "{'statusCode': 200, 'headers': {'a': 'b\\r\\nInjected: yes'}}",
        "{'statusCode': 200, 'headers': {'a\\r\\nInjected': 'yes'}}",
        "{'statusCode': 200, 'headers': {'a': 'b\\0c'}}",
        "{'statusCode': 200, 'cookies': 'a=1'}",
        "{'statusCode': 200, 'cookies': [1]}",
        "{'statusCode': 200, 'cookies': ['a=1\\r\\nInjected: yes']}",
        "{'statusCode': 200, 'isBase64Encoded': True, 'body': 'not base64!'}",
        "1 / 0",
        "exit(3)",
    ],
)
def test_what_is_no_answer_is_a_bad_gateway(says, source):
    answer = says(source)
    assert (answer.status, answer.body) == (502, b"Internal Server Error")
    assert answer.headers["Injected"] is None
    assert says("'still there'").body == b"still there"


def test_nested_brackets_by_the_million_cost_no_tree(says):
    deep = says("{'statusCode': 200, 'body': [[] for _ in range(1_000_000)]}")
    assert deep.status == 200
    assert len(json.loads(deep.body)) == 1_000_000
    wide = says("{'statusCode': 200, 'headers': {'x' + str(i): 'y' for i in range(100_000)}}")
    assert wide.status == 502


def test_a_timeout_is_a_bad_gateway(serve):
    slow = serve("import time\ndef handler(event, context):\n    time.sleep(60)\n", Timeout=1)
    answer = slow.call()
    assert (answer.status, answer.body) == (502, b"Internal Server Error")


def test_an_answer_beyond_six_megabytes_is_none(says):
    fits = says("'x' * 6_000_000")
    assert (fits.status, len(fits.body)) == (200, 6_000_000)
    assert says("'x' * 7_000_000").status == 502


def test_a_custom_runtime_may_answer_what_is_no_json(serve):
    url = serve(
        '#!/bin/sh\napi="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"\n'
        'while true; do\n'
        '  id=$(curl -sD - -o /dev/null "$api/invocation/next" | tr -d "\\r" | sed -n "s/Lambda-Runtime-Aws-Request-Id: //Ip")\n'
        '  curl -s -o /dev/null -X POST -d "not json" "$api/invocation/$id/response"\n'
        "done\n",
        runtime="provided.al2023",
        handler="x",
    )
    answer = url.call()
    assert (answer.status, answer.body) == (502, b"Internal Server Error")


def test_throttled_calls_say_why(hearth, client, deploy):
    function = deploy("def handler(event, context):\n    return 'called'\n")
    url = function_url.public(hearth, client, function.name)
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    answer = url.call()
    assert answer.status == 429
    assert answer.headers["x-amzn-ErrorType"] == "TooManyRequestsException"
    assert answer.json()["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert answer.headers["Retry-After"] == "1"
    client.delete_function_concurrency(FunctionName=function.name)
    assert url.call().body == b"called"
