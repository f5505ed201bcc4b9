"""Routing, limits and HTTP itself, over raw sockets, in open mode."""

import concurrent.futures
import json
import os
import stat
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from raw_http import FORM, STS_BODY, Connection, call, request_bytes  # noqa: E402


def sts_bytes(**keywords):
    headers = [("Content-Type", FORM), *keywords.pop("headers", [])]
    return request_bytes(headers=headers, body=STS_BODY, **keywords)


def test_health(hearth):
    health = json.loads(hearth.get("/_hearth/health").read())
    assert health["status"] == "running"
    assert health["version"]
    assert set(health["services"]) >= {"sts", "iam", "lambda", "logs"}
    assert set(health["services"].values()) == {"running"}


def test_metrics_count_requests(hearth):
    hearth.client("sts").get_caller_identity()
    answer = call(hearth, "GET", "/_hearth/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'hearth_requests_total{operation="GetCallerIdentity",result="success"' in answer.text
    assert "hearth_request_seconds_bucket" in answer.text


def test_own_endpoints_that_are_not_there(hearth):
    assert call(hearth, "GET", "/_hearth/nonsense").status == 404
    assert call(hearth, "DELETE", "/_hearth/health").status == 405


def test_secrets_are_private(hearth):
    for name in ("credentials", "master.key"):
        mode = stat.S_IMODE(os.stat(os.path.join(hearth.data, name)).st_mode)
        assert mode == 0o600, name


def test_an_unsigned_query_is_routed_by_its_action(hearth):
    with Connection(hearth) as connection:
        connection.send(sts_bytes())
        answer = connection.read_answer()
    assert answer.status == 200
    assert "<Arn>arn:aws:iam::000000000000:root</Arn>" in answer.text
    assert answer.headers["content-type"].startswith("text/xml")
    assert answer.headers["x-amzn-requestid"] in answer.text
    assert "date" in answer.headers


def test_an_action_in_the_query_string(hearth):
    answer = call(hearth, "GET", "/?" + STS_BODY.decode())
    assert answer.status == 200
    assert "GetCallerIdentityResult" in answer.text


def test_nobody_takes_it(hearth):
    # What has a path may be an object of S3; what is posted to one without a type is nobody's.
    answer = call(hearth, "GET", "/nonsense")
    assert (answer.status, answer.code) == (404, "NoSuchBucket")
    answer = call(hearth, "POST", "/nonsense")
    assert (answer.status, answer.code) == (404, "UnknownOperationException")
    answer = call(hearth, headers=[("Content-Type", FORM)], body=b"Action=Nonsense&Version=1")
    assert answer.status == 404
    answer = call(hearth, headers=[("X-Amz-Target", "Nonsense.Do")], body=b"{}")
    assert answer.status == 404


def test_an_operation_that_hearth_does_not_have(hearth):
    answer = call(
        hearth,
        headers=[("X-Amz-Target", "Logs_20140328.StartQuery")],
        body=b"{}",
    )
    assert (answer.status, answer.code) == (501, "NotImplementedException")
    answer = call(
        hearth, headers=[("X-Amz-Target", "Logs_20140328.Nonsense")], body=b"{}"
    )
    assert (answer.status, answer.code) == (400, "UnknownOperationException")


def test_a_service_that_hearth_does_not_have(hearth):
    key, _ = hearth.root_key()
    scope = f"Credential={key}/20260131/us-east-1/kinesisvideo/aws4_request"
    header = f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"
    answer = call(hearth, headers=[("Authorization", header)], body=b"{}")
    assert (answer.status, answer.code) == (501, "NotImplementedException")
    assert "kinesisvideo" in answer.message


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'"x"', b'{"limit": "many"}', b'{"limit": {}}', b"\xff\xfe", b"{" * 500],
    ids=["open", "list", "text", "type", "structure", "utf8", "deep"],
)
def test_malformed_json(hearth, body):
    answer = call(
        hearth, headers=[("X-Amz-Target", "Logs_20140328.DescribeLogGroups")], body=body
    )
    assert (answer.status, answer.code) == (400, "SerializationException")


def test_keep_alive_and_pipelining(hearth):
    with Connection(hearth) as connection:
        for _ in range(3):
            connection.send(sts_bytes())
            assert connection.read_answer().status == 200
        connection.send(sts_bytes() * 5)
        ids = {connection.read_answer().headers["x-amzn-requestid"] for _ in range(5)}
        assert len(ids) == 5


def test_chunked_bodies(hearth):
    with Connection(hearth) as connection:
        connection.send(
            request_bytes(
                headers=[("Content-Type", FORM), ("Transfer-Encoding", "chunked")], length=False
            )
        )
        half = len(STS_BODY) // 2
        for piece in (STS_BODY[:half], STS_BODY[half:], b""):
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        assert connection.read_answer().status == 200


def test_100_continue_comes_only_when_the_body_is_wanted(hearth):
    expect = ("Expect", "100-continue")
    with Connection(hearth) as connection:
        head = sts_bytes(headers=[expect])[: -len(STS_BODY)]
        connection.send(head)
        assert connection.read_head().startswith(b"HTTP/1.1 100")
        connection.send(STS_BODY)
        assert connection.read_answer().status == 200
    with Connection(hearth) as connection:
        connection.send(
            request_bytes(
                headers=[
                    expect,
                    ("X-Amz-Target", "Logs_20140328.PutLogEvents"),
                    ("Content-Length", str(100 * 1024 * 1024)),
                ],
                length=False,
            )
        )
        # Refused by its stated size: no 100, and not one byte of the body was asked for.
        assert connection.read_answer().status == 413


def test_limits_of_bodies(hearth):
    def refused(headers, target="/", method="POST"):
        with Connection(hearth) as connection:
            connection.send(request_bytes(method, target, headers, length=False))
            return connection.read_answer()

    answer = refused([("Content-Length", "70167212")], "/2015-03-31/functions")
    assert (answer.status, answer.code) == (413, "RequestEntityTooLargeException")
    assert answer.message == (
        "Request must be smaller than 70167211 bytes for the CreateFunction operation"
    )
    answer = refused([("Content-Length", "6291457")], "/2015-03-31/functions/f/invocations")
    assert answer.status == 413
    assert answer.message == (
        "Request must be smaller than 6291456 bytes for the InvokeFunction operation"
    )
    answer = refused([("Content-Length", "99999999999999")])
    assert answer.status == 413


def test_chunked_bodies_have_limits_too(hearth):
    with Connection(hearth) as connection:
        connection.send(
            request_bytes(
                headers=[
                    ("Transfer-Encoding", "chunked"),
                    ("X-Amz-Target", "Logs_20140328.DescribeLogGroups"),
                ],
                length=False,
            )
        )
        piece = b"x" * 65536
        try:
            for _ in range(64):
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        except OSError:
            pass  # It may close before everything was sent.
        assert connection.read_answer().status == 413


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/3.0\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
    ids=["words", "version", "colon", "negative", "twice", "zeros", "long"],
)
def test_malformed_http_is_answered_and_closed(hearth, data):
    with Connection(hearth) as connection:
        connection.send(data)
        try:
            answer = connection.read_answer()
        except (EOFError, ConnectionResetError):
            return  # Closed without an answer is right, too.
        assert answer.status in (400, 413, 431, 505)
        assert answer.code == "MalformedHttpRequestException"
        assert connection.is_closed()


def test_smuggled_lengths_are_refused(hearth):
    with Connection(hearth) as connection:
        connection.send(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\nGET /_hearth/health HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        assert connection.read_answer().status == 400
        assert connection.is_closed()


def test_broken_escapes(hearth):
    assert call(hearth, "GET", "/_hearth/%zz").status == 400
    assert call(hearth, "GET", "/2015-03-31/functions/%zz").status in (400, 404)
    answer = call(hearth, headers=[("Content-Type", FORM)], body=b"Action=%zz")
    assert answer.status in (400, 404)


def test_foreign_web_pages_are_refused(hearth):
    page = ("Origin", "https://pages.example")
    assert call(hearth, headers=[page, ("Content-Type", FORM)], body=STS_BODY).status == 403
    assert call(hearth, "POST", "/_hearth/clock/advance", headers=[page]).status in (403, 404)
    here = ("Origin", "http://localhost:8080")
    assert call(hearth, headers=[here, ("Content-Type", FORM)], body=STS_BODY).status == 200


def test_many_clients_at_once(hearth):
    client = hearth.client("sts", pool=32)
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: client.get_caller_identity(), range(400)))
    assert {answer["Account"] for answer in answers} == {"000000000000"}
