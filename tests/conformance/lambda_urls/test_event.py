"""What a function sees of an HTTP request: event format 2.0."""

import base64
import json
import re
import socket
import subprocess

import pytest

import deployed
import function_url

ECHO = "def handler(event, context):\n    return {'event': event, 'id': context.aws_request_id}\n"


@pytest.fixture(scope="module")
def url(hearth, client):
    deployed.function(client, "url-echo", ECHO)
    return function_url.public(hearth, client, "url-echo")


def test_the_whole_event(url):
    answer = url.call(
        "/a%20b/%E2%82%AC?x=1&y=two%20words&x=2&flag&plus=a+b",
        headers={"User-Agent": "test/1", "X-Custom": "Value", "Cookie": "a=1; b=2", "X-Forwarded-For": "192.0.2.7"},
    )
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    seen = answer.json()
    event = seen["event"]
    context = event["requestContext"]
    assert answer.headers["x-amzn-RequestId"] == context["requestId"] == seen["id"]
    domain = url.host.rsplit(":", 1)[0]
    time, epoch = context.pop("time"), context.pop("timeEpoch")
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", time)
    assert isinstance(epoch, int) and epoch > 1_700_000_000_000
    trace = event["headers"].pop("x-amzn-trace-id")
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", trace)
    assert answer.headers["X-Amzn-Trace-Id"].startswith("root=" + trace[5:])
    assert event == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/a%20b/%E2%82%AC",
        "rawQueryString": "x=1&y=two%20words&x=2&flag&plus=a+b",
        "cookies": ["a=1", "b=2"],
        "headers": {
            "accept-encoding": "identity",
            "cookie": "a=1; b=2",
            "host": url.host,
            "user-agent": "test/1",
            "x-custom": "Value",
            "x-forwarded-for": "192.0.2.7, 127.0.0.1",
            "x-forwarded-port": str(url.hearth.port),
            "x-forwarded-proto": "http",
        },
        "queryStringParameters": {"x": "1,2", "y": "two words", "flag": "", "plus": "a b"},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": url.id,
            "domainName": domain,
            "domainPrefix": url.id,
            "http": {
                "method": "GET",
                "path": "/a%20b/%E2%82%AC",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "test/1",
            },
            "requestId": seen["id"],
            "routeKey": "$default",
            "stage": "$default",
        },
        "isBase64Encoded": False,
    }


def test_by_path_it_is_as_by_name(url):
    by_path = url.call("/one/two?x=1", by_path=True)
    event = by_path.json()["event"]
    assert event["rawPath"] == event["requestContext"]["http"]["path"] == "/one/two"
    assert event["rawQueryString"] == "x=1"
    assert event["requestContext"]["domainName"] == url.host.rsplit(":", 1)[0]
    assert event["headers"]["host"] == url.host.rsplit(":", 1)[0]
    # A page served so has Hearth's own origin: it is given one of its own.
    assert by_path.headers["Content-Security-Policy"].startswith("sandbox ")
    without_slash = url.hearth.get(f"/_hearth/lambda-url/{url.id}")
    assert json.load(without_slash)["event"]["rawPath"] == "/"


def test_aws_own_names_reach_it_too(url):
    for host in (f"{url.id}.lambda-url.us-east-1.on.aws", f"{url.id.upper()}.Lambda-URL.us-east-1.localhost."):
        event = url.call("/", headers={"Host": host}).json()["event"]
        assert event["requestContext"]["domainName"] == host.lower().rstrip(".")


def test_curl_resolves_the_name_by_itself(url):
    done = subprocess.run(
        ["/usr/bin/curl", "--silent", "--noproxy", "*", url.text + "by/curl"],
        capture_output=True, text=True, timeout=120,
    )
    assert done.returncode == 0, done.stderr
    event = json.loads(done.stdout)["event"]
    assert event["rawPath"] == "/by/curl"
    assert event["requestContext"]["http"]["userAgent"].startswith("curl/")


@pytest.mark.parametrize(
    "content_type, encoded",
    [
        ("text/plain", False),
        ("TEXT/HTML; charset=utf-8", False),
        ("application/json", False),
        ("application/json; charset=utf-8", False),
        ("application/problem+json", False),
        ("application/xml", False),
        ("image/svg+xml", False),
        ("application/javascript", False),
        ("application/x-www-form-urlencoded", True),
        ("application/octet-stream", True),
        ("multipart/form-data; boundary=x", True),
        (None, True),
    ],
)
def test_which_bodies_are_in_base64(url, content_type, encoded):
    body = "grün".encode()
    headers = {"Content-Type": content_type} if content_type else {}
    event = url.call("/", "POST", body, headers).json()["event"]
    assert event["isBase64Encoded"] is encoded
    assert event["body"] == (base64.b64encode(body).decode() if encoded else body.decode())
    assert event["headers"]["content-length"] == str(len(body))


def test_text_that_is_none_is_in_base64(url):
    body = b"\xff\x00\xfe"
    event = url.call("/", "POST", body, {"Content-Type": "text/plain"}).json()["event"]
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == body


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_every_method_comes_through(url, method):
    event = url.call("/", method).json()["event"]
    assert event["requestContext"]["http"]["method"] == method
    assert "body" not in event and event["isBase64Encoded"] is False


def test_head_has_the_head_of_get(url):
    answer = url.call("/", "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Type"] == "application/json"


def test_chunked_bodies_arrive_whole(url):
    connection = url.connection()
    connection.putrequest("POST", "/", skip_host=True)
    connection.putheader("Host", url.host)
    connection.putheader("Transfer-Encoding", "chunked")
    connection.putheader("Content-Type", "text/plain")
    connection.putheader("Connection", "keep-alive, X-Hop")
    connection.endheaders()
    for piece in (b"one ", b"two ", b"three"):
        connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
    connection.send(b"0\r\n\r\n")
    event = function_url.Answer(connection.getresponse()).json()["event"]
    assert event["body"] == "one two three"
    # What concerns the connection is not the function's.
    assert not {"transfer-encoding", "connection"} & event["headers"].keys()


def raw(url, text):
    with socket.create_connection(("127.0.0.1", url.hearth.port), 120) as peer:
        peer.sendall(text)
        data = b""
        while True:
            piece = peer.recv(65536)
            if not piece:
                return data
            data += piece


def test_repeated_headers_are_joined_and_bytes_kept(url):
    text = (
        b"GET /raw\xe9?q=%zz&w=%ff HTTP/1.1\r\nHost: " + url.host.encode() + b"\r\n"
        b"X-Many: one\r\nx-many: two\r\nX-Latin: caf\xe9\r\nX-Utf: caf\xc3\xa9\r\n"
        b"Cookie: a=1\r\nCookie: b=2;c=3\r\nConnection: close\r\n\r\n"
    )
    head, _, body = raw(url, text).partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 400"):
        # A byte above 127 in the target is none of HTTP's; the rest is judged without it.
        head, _, body = raw(url, text.replace(b"/raw\xe9", b"/raw")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    event = json.loads(body)["event"]
    assert event["headers"]["x-many"] == "one,two"
    assert event["headers"]["x-latin"] == event["headers"]["x-utf"] == "café"
    assert event["cookies"] == ["a=1", "b=2", "c=3"]
    assert event["rawQueryString"] == "q=%zz&w=%ff"
    assert event["queryStringParameters"]["q"] == "%zz"


def test_an_old_client_without_a_host_cannot_name_a_url(url):
    # Not a URL's: `/` without a name is S3's list of buckets.
    assert b"<ListAllMyBucketsResult" in raw(url, b"GET / HTTP/1.0\r\n\r\n")


def test_http_1_0(url):
    answer = raw(url, b"GET /old HTTP/1.0\r\nHost: " + url.host.encode() + b"\r\n\r\n")
    event = json.loads(answer.partition(b"\r\n\r\n")[2])["event"]
    assert event["requestContext"]["http"]["protocol"] == "HTTP/1.0"


def test_a_trace_is_passed_on(url, serve):
    tracer = serve("import os\ndef handler(event, context):\n    return os.environ['_X_AMZN_TRACE_ID']\n")
    given = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    answer = tracer.call(headers={"X-Amzn-Trace-Id": given})
    assert answer.body.decode().startswith("Root=1-5759e988-bd862e3fe1be46a994272793")
    assert answer.headers["X-Amzn-Trace-Id"].startswith("root=1-5759e988-bd862e3fe1be46a994272793")


def test_many_requests_on_one_connection(url):
    connection = url.connection()
    for number in range(50):
        answer = url.call(f"/{number}", connection=connection)
        assert answer.json()["event"]["rawPath"] == f"/{number}"


def test_six_megabytes_and_no_more(serve):
    small = serve("def handler(event, context):\n    return len(event['body'])\n")
    limit = 6 * 1024 * 1024
    fits = small.call("/", "POST", b"x" * (limit - 8192), {"Content-Type": "text/plain"})
    assert (fits.status, fits.body) == (200, str(limit - 8192).encode())
    message = "Request must be smaller than 6291456 bytes for the InvokeFunction operation"
    in_base64 = small.call("/", "POST", b"x" * (limit - 8192), {"Content-Type": "image/png"})
    assert (in_base64.status, in_base64.json()) == (413, {"Message": message})
    # Refused by its head alone.
    head = f"POST / HTTP/1.1\r\nHost: {small.host}\r\nContent-Length: {limit + 1}\r\nConnection: close\r\n\r\n"
    refused = raw(small, head.encode())
    assert refused.startswith(b"HTTP/1.1 413 ")
    assert message.encode() in refused


def test_heads_have_limits(url):
    answer = raw(url, f"GET / HTTP/1.1\r\nHost: {url.host}\r\nX-Long: {'x' * 40_000}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 431 ")
    many = "".join(f"X-{number}: y\r\n" for number in range(200))
    assert raw(url, f"GET / HTTP/1.1\r\nHost: {url.host}\r\n{many}\r\n".encode()).split(b" ")[1] in (b"400", b"431")
    long = "a" * 10_000
    event = url.call(f"/{long}?{long}").json()["event"]
    assert event["rawPath"] == f"/{long}"
    assert event["queryStringParameters"] == {long: ""}


def test_pipelined_requests_are_answered_in_order(url):
    one = f"GET /{{}} HTTP/1.1\r\nHost: {url.host}\r\n"
    requests = "".join(one.format(number) + "\r\n" for number in range(4))
    answer = raw(url, (requests + one.format(4) + "Connection: close\r\n\r\n").encode())
    paths = re.findall(rb'"rawPath": ?"/(\d)"', answer)
    assert paths == [b"0", b"1", b"2", b"3", b"4"]


def test_a_client_cannot_pretend_tls(url):
    forged = {"X-Forwarded-Proto": "https", "X-Forwarded-Port": "443", "X-Amzn-Tls-Version": "TLSv1.3"}
    headers = url.call(headers=forged).json()["event"]["headers"]
    assert (headers["x-forwarded-proto"], headers["x-forwarded-port"]) == ("http", str(url.hearth.port))
    assert "x-amzn-tls-version" not in headers


def test_a_target_without_a_path_is_refused(url):
    answer = raw(url, f"OPTIONS * HTTP/1.1\r\nHost: {url.host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    # A client that takes Hearth for a proxy.
    absolute = raw(url, f"GET {url.text}x HTTP/1.1\r\nHost: {url.host}\r\nConnection: close\r\n\r\n".encode())
    assert b'"rawPath": "/x"' in absolute
