"""URLs of invoke mode RESPONSE_STREAM: bytes flow as the function writes them."""

import socket

import pytest

import function_url

STREAM = {"InvokeMode": "RESPONSE_STREAM"}


def node(body):
    return (
        "exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {\n" + body + "\n});\n"
    )


@pytest.fixture
def stream(serve):
    return lambda body: serve(node(body), url=STREAM, runtime="nodejs18.x", handler="index.handler")


def to_the_end(hearth, url):
    """All bytes of an answer, on a connection that its end need not close."""
    with socket.create_connection(("127.0.0.1", hearth.port), 120) as peer:
        peer.sendall(f"GET / HTTP/1.1\r\nHost: {url.host}\r\nConnection: close\r\n\r\n".encode())
        seen = b""
        while piece := peer.recv(65536):
            seen += piece
        return seen


def test_head_and_body_flow(stream):
    url = stream(
        "stream = awslambda.HttpResponseStream.from(stream, {statusCode: 203, headers: "
        "{'Content-Type': 'text/plain', 'X-Mine': '1'}, cookies: ['a=1', 'b=2']});\n"
        "stream.write('one ');\nstream.write('two');\nstream.end();"
    )
    for by_path in (False, True):
        answer = url.call(by_path=by_path)
        assert (answer.status, answer.body) == (203, b"one two")
        assert answer.headers["Content-Type"] == "text/plain"
        assert answer.headers["X-Mine"] == "1"
        assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert answer.headers["x-amzn-RequestId"]


def test_without_a_head_of_its_own(stream):
    url = stream("stream.setContentType('text/csv');\nstream.write('a,b');\nstream.end();")
    answer = url.call()
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "text/csv", b"a,b")


def test_bytes_do_not_wait_for_the_end(hearth, serve):
    # This function never comes to its end: what a client gets of it has flowed.
    url = serve(
        node("stream.write('first');\nawait new Promise((resolve) => setTimeout(resolve, 60_000));"),
        url=STREAM,
        runtime="nodejs18.x",
        handler="index.handler",
        Timeout=2,
    )
    seen = to_the_end(hearth, url)
    assert seen.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\n5\r\nfirst\r\n" in seen
    assert not seen.endswith(b"0\r\n\r\n"), "a timeout was passed for an end"


def test_an_error_before_the_first_byte_is_a_bad_gateway(stream):
    answer = stream("throw new Error('no');").call()
    assert (answer.status, answer.body) == (502, b"Internal Server Error")


def test_an_error_in_the_middle_tears_the_answer(hearth, stream):
    url = stream(
        "await new Promise((resolve) => stream.write('x'.repeat(100), resolve));\nthrow new Error('late');"
    )
    seen = to_the_end(hearth, url)
    assert seen.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"x" * 100 in seen
    assert not seen.endswith(b"0\r\n\r\n"), "half an answer was passed for a whole one"


def test_an_ordinary_function_is_sent_as_it_answers(serve):
    url = serve("def handler(event, context):\n    return {'statusCode': 404, 'body': 'x'}\n", url=STREAM)
    answer = url.call()
    assert answer.status == 200
    assert answer.json() == {"statusCode": 404, "body": "x"}


def test_a_streaming_function_behind_a_buffered_url(serve):
    url = serve(
        node(
            "stream = awslambda.HttpResponseStream.from(stream, {statusCode: 418, headers: {'X-Mine': '1'}});\n"
            "stream.write('whole');\nstream.end();"
        ),
        runtime="nodejs18.x",
        handler="index.handler",
    )
    answer = url.call()
    assert (answer.status, answer.headers["X-Mine"], answer.body) == (418, "1", b"whole")


def test_cors_and_changing_the_mode(hearth, client, deploy):
    function = deploy(node("stream.write('x');\nstream.end();"), runtime="nodejs18.x", handler="index.handler")
    url = function_url.public(hearth, client, function.name, **STREAM)
    path = f"/2021-10-31/functions/{function.name}/url"
    assert function_url.rest(hearth, "GET", path)["InvokeMode"] == "RESPONSE_STREAM"
    client.update_function_url_config(FunctionName=function.name, Cors={"AllowOrigins": ["*"]})
    answer = url.call(headers={"Origin": "https://a.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Transfer-Encoding"] == "chunked"
    changed = function_url.rest(hearth, "PUT", path, {"InvokeMode": "BUFFERED"})
    assert changed["InvokeMode"] == "BUFFERED"
    assert changed["Cors"] == {"AllowOrigins": ["*"]}
    # A streamed answer without a head of its own is no JSON, which a buffered one has to be.
    assert url.call().status == 502


def test_a_client_that_goes_away_harms_nobody(hearth, stream):
    url = stream("for (let i = 0; i < 200; i++) { stream.write('x'.repeat(65536)); }\nstream.end();")
    for _ in range(3):
        peer = socket.create_connection(("127.0.0.1", hearth.port), 120)
        peer.sendall(f"GET / HTTP/1.1\r\nHost: {url.host}\r\n\r\n".encode())
        peer.recv(1000)
        peer.close()
    assert len(url.call().body) == 200 * 65536


def test_head_and_many_answers_on_one_connection(stream):
    url = stream("stream.write(event.rawPath);\nstream.end();")
    connection = url.connection()
    for number in range(10):
        assert url.call(f"/{number}", connection=connection).body == f"/{number}".encode()
        assert url.call("/head", "HEAD", connection=connection).body == b""
