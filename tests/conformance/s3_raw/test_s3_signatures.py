"""Who signs what, and where. Sources: Amazon S3 API Reference, "Authenticating requests (AWS Signature Version 4)",
"Error responses"."""

import datetime
import urllib.parse

import boto3
import botocore.config
import pytest

import hearth_up
from s3_raw_support import Connection, Request


@pytest.fixture(scope="module", autouse=True)
def item(s3, bucket):
    s3.put_object(Bucket=bucket, Key="item", Body=b"hello")


def ago(**duration):
    return datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**duration)


def expect(answer, status, code):
    assert (answer.status, answer.code) == (status, code), answer


def test_mismatch_says_what_was_signed(hearth, bucket):
    request = Request(hearth, "GET", f"/{bucket}/item").sign()
    request.path = f"/{bucket}/other"
    answer = request.send()
    expect(answer, 403, "SignatureDoesNotMatch")
    assert answer.field("AWSAccessKeyId") == request.key_id
    assert answer.field("SignatureProvided") == request.signature
    assert answer.field("StringToSign").startswith("AWS4-HMAC-SHA256\n")
    assert f"/{bucket}/other" in answer.field("CanonicalRequest")
    assert answer.field("RequestId") == answer.headers["x-amz-request-id"]
    assert answer.field("HostId") == answer.headers["x-amz-id-2"]


def test_heads_that_cannot_be_read(hearth, bucket):
    def with_header(change, **headers):
        request = Request(hearth, "GET", f"/{bucket}/item", headers=headers).sign()
        request.headers["authorization"] = change(request.headers["authorization"])
        return request.send()

    malformed = "AuthorizationHeaderMalformed"
    expect(with_header(lambda h: h.replace("Signature=", "Sig=")), 400, malformed)
    expect(with_header(lambda h: h.replace("/aws4_request", "")), 400, malformed)
    expect(with_header(lambda h: h.replace("/s3/", "/s3x/").replace("/s3x/", "/s3/", 1).replace("aws4", "aws5")), 400, malformed)
    expect(with_header(lambda h: "AWS key:signature"), 400, "InvalidRequest")
    request = Request(hearth, "GET", f"/{bucket}/item").sign()
    request.headers["x-amz-date"] = "yesterday"
    expect(request.send(), 403, "AccessDenied")
    request = Request(hearth, "GET", f"/{bucket}/item").sign()
    del request.headers["x-amz-content-sha256"]
    expect(request.send(), 400, "InvalidRequest")
    expect(Request(hearth, "GET", f"/{bucket}/item", payload="abc").sign().send(), 400, "InvalidArgument")
    request = Request(hearth, "GET", f"/{bucket}/item").sign()
    request.headers["x-amz-meta-late"] = "1"
    answer = request.send()
    expect(answer, 403, "AccessDenied")
    assert answer.field("HeadersNotSigned") == "x-amz-meta-late"


def test_old_and_early_requests(hearth, bucket):
    for when in (ago(minutes=16), ago(minutes=-16)):
        answer = Request(hearth, "GET", f"/{bucket}/item", now=when).sign().send()
        expect(answer, 403, "RequestTimeTooSkewed")
        assert answer.field("MaxAllowedSkewMilliseconds") == "900000"
    assert Request(hearth, "GET", f"/{bucket}/item", now=ago(minutes=10)).sign().send().status == 200


def test_header_names_in_odd_case(hearth, bucket):
    request = Request(hearth, "GET", f"/{bucket}/item", headers={"X-AMZ-Expected-BUCKET-owner": "000000000000"}).sign()
    request.headers = {name.upper() if name != "authorization" else "AUTHORIZATION": value for name, value in request.headers.items()}
    assert request.send().status == 200


def test_paths_are_signed_as_they_are(hearth, s3, bucket):
    for key in ("a//b", "./c", "../d", "e/../f", "a b+c%25", "ü/€", "x=y&z?", "trailing/"):
        body = key.encode()
        path = f"/{bucket}/" + urllib.parse.quote(key)
        answer = Request(hearth, "PUT", path, body=body).sign().send()
        assert answer.status == 200, (key, answer)
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body
        assert Request(hearth, "GET", path).sign().send().body == body
    assert Request(hearth, "GET", f"/{bucket}/a%2F%2Fb").sign().send().body == b"a//b"


def test_presigned(hearth, s3, bucket):
    assert Request(hearth, "GET", f"/{bucket}/item").presign().send().body == b"hello"
    assert Request(hearth, "HEAD", f"/{bucket}/item").presign().send().headers["content-length"] == "5"
    answer = Request(hearth, "PUT", f"/{bucket}/presigned", body=b"up").presign().send()
    assert answer.status == 200, answer
    assert s3.get_object(Bucket=bucket, Key="presigned")["Body"].read() == b"up"
    assert Request(hearth, "DELETE", f"/{bucket}/presigned").presign().send().status == 204
    answer = Request(
        hearth, "GET", f"/{bucket}/item", query="response-content-type=text%2Fx&response-cache-control=no-store"
    ).presign().send()
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("text/x", "no-store")


def test_presigned_and_expired(hearth, bucket):
    answer = Request(hearth, "GET", f"/{bucket}/item", now=ago(seconds=100)).presign(expires=50).send()
    expect(answer, 403, "AccessDenied")
    assert "<Message>Request has expired</Message>" in answer.body.decode()
    assert answer.field("X-Amz-Expires") == "50"
    assert answer.field("Expires") and answer.field("ServerTime")
    assert Request(hearth, "GET", f"/{bucket}/item", now=ago(days=6)).presign(expires=604800).send().status == 200
    # Not only those whose key is known.
    answer = Request(hearth, "GET", f"/{bucket}/item", now=ago(seconds=100), key=("any", "key")).presign(50).send()
    expect(answer, 403, "AccessDenied")


def test_presigned_and_changed(hearth, bucket):
    code = "AuthorizationQueryParametersError"

    def changed(old, new, method="GET"):
        request = Request(hearth, "GET", f"/{bucket}/item").presign()
        assert old in request.query
        request.query = request.query.replace(old, new)
        request.method = method
        return request.send()

    expect(changed("X-Amz-Expires=900", "X-Amz-Expires=901"), 403, "SignatureDoesNotMatch")
    expect(changed("X-Amz-Expires=900", "X-Amz-Expires=604801"), 400, code)
    expect(changed("X-Amz-Expires=900", "X-Amz-Expires=-1"), 400, code)
    expect(changed("X-Amz-Expires=900", "X-Amz-Expires=x"), 400, code)
    expect(changed("&X-Amz-Expires=900", ""), 400, code)
    expect(changed("X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm=AWS4-HMAC-SHA1"), 400, code)
    expect(changed("X-Amz-Algorithm", "versionId=x&X-Amz-Algorithm"), 403, "SignatureDoesNotMatch")
    expect(changed("X-Amz-Algorithm", "X-Amz-Algorithm", method="DELETE"), 403, "SignatureDoesNotMatch")
    request = Request(hearth, "PUT", f"/{bucket}/acl").presign()
    request.headers["x-amz-acl"] = "public-read"
    expect(request.send(), 403, "AccessDenied")
    request = Request(hearth, "PUT", f"/{bucket}/acl", headers={"x-amz-acl": "bucket-owner-full-control"}, body=b"1")
    assert request.presign(headers=("x-amz-acl",)).send().status == 200
    request = Request(hearth, "GET", f"/{bucket}/item").sign()
    request.query = Request(hearth, "GET", f"/{bucket}/item").presign().query
    expect(request.send(), 400, "InvalidArgument")
    old = Request(hearth, "GET", f"/{bucket}/item", query="AWSAccessKeyId=A&Expires=1&Signature=x")
    old.headers = {"host": old.headers["host"]}
    expect(old.send(), 403, "AccessDenied")


def presigned(hearth, version, operation, method="GET", body=None, expires=60, key=(None, None), **parameters):
    """What a URL made by boto3 answers: Signature Version 2 is what it makes unless told otherwise."""
    access_key, secret = key if key[0] else hearth.root_key()
    client = boto3.client(
        "s3",
        endpoint_url=hearth.endpoint,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
        config=botocore.config.Config(signature_version=version),
    )
    url = client.generate_presigned_url(operation, Params=parameters, ExpiresIn=expires)
    parts = urllib.parse.urlsplit(url)
    request = Request(hearth, method, parts.path, query=parts.query, body=body or b"")
    request.headers = {"host": parts.netloc}
    return request, parts


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_by_boto3(hearth, s3, bucket, version):
    s3.put_object(Bucket=bucket, Key="a b/ü+", Body=b"found")
    request, parts = presigned(hearth, version, "get_object", Bucket=bucket, Key="a b/ü+")
    assert ("AWSAccessKeyId" in parts.query) == (version == "s3")
    assert request.send().body == b"found"
    request.query = request.query.replace("Signature=", "Signature=A", 1)
    expect(request.send(), 403, "SignatureDoesNotMatch")
    request, _ = presigned(
        hearth, version, "get_object", Bucket=bucket, Key="a b/ü+", ResponseContentType="text/x y"
    )
    assert request.send().headers["content-type"] == "text/x y"
    request, _ = presigned(hearth, version, "head_bucket", "HEAD", Bucket=bucket)
    assert request.send().status == 200
    request, _ = presigned(hearth, version, "put_object", "PUT", b"up", Bucket=bucket, Key="by-boto3")
    assert request.send().status == 200
    if version == "s3":
        request, _ = presigned(hearth, version, "get_object", expires=-10, Bucket=bucket, Key="item")
        expect(request.send(), 403, "AccessDenied")


def test_host_names_the_bucket(hearth, bucket):
    for host in (f"{bucket}.s3.localhost", f"{bucket}.s3.eu-west-1.example.org", f"{bucket}.localhost"):
        request = Request(hearth, "GET", "/item", headers={"host": f"{host}:{hearth.port}"}).sign()
        assert request.send().body == b"hello", host
        # Unsigned, in open mode.
        plain = Request(hearth, "GET", "/item")
        plain.headers = {"host": host}
        assert plain.send().body == b"hello", host
    request = Request(hearth, "GET", "/", query="list-type=2&prefix=item", headers={"host": f"{bucket}.s3.localhost"})
    assert b"<Key>item</Key>" in request.sign().send().body
    request = Request(hearth, "HEAD", "/", headers={"host": f"{bucket}.localhost"}).sign()
    assert request.send().status == 200


def test_anonymous_in_open_mode(hearth, bucket):
    request = Request(hearth, "GET", f"/{bucket}/item")
    request.headers = {"host": f"127.0.0.1:{hearth.port}"}
    assert request.send().body == b"hello"
    request.method = "HEAD"
    answer = request.send()
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "5", b"")
    # A page of somebody else is no owner of the cloud.
    request.method = "DELETE"
    request.headers["origin"] = "https://evil.example"
    expect(request.send(), 403, "AccessDenied")


def test_keys_nobody_knows_are_believed_in_open_mode(hearth, bucket):
    request = Request(hearth, "PUT", f"/{bucket}/believed", key=("test", "test"), body=b"x").sign()
    assert request.send().status == 200
    request.body = b"y"
    expect(request.send(), 400, "XAmzContentSHA256Mismatch")


@pytest.fixture(scope="module")
def strict():
    with hearth_up.Hearth(options=["--auth", "enforce"]) as hearth:
        hearth.client("s3").create_bucket(Bucket="strict")
        yield hearth


def test_enforced(strict):
    plain = Request(strict, "GET", "/strict/item")
    plain.headers = {"host": f"127.0.0.1:{strict.port}"}
    expect(plain.send(), 403, "AccessDenied")
    answer = Request(strict, "GET", "/strict/item", key=("test", "test")).sign().send()
    expect(answer, 403, "InvalidAccessKeyId")
    assert answer.field("AWSAccessKeyId") == "test"
    token = {"x-amz-security-token": "nonsense"}
    expect(Request(strict, "GET", "/strict/item", headers=token).sign().send(), 400, "InvalidToken")
    assert Request(strict, "PUT", "/strict/item", body=b"x").sign().send().status == 200
    # Refused by the head alone: the body is never asked for.
    with Connection(strict) as connection:
        connection.send(
            f"PUT /strict/item HTTP/1.1\r\nhost: h\r\ncontent-length: {10**9}\r\nexpect: 100-continue\r\n\r\n".encode()
        )
        expect(connection.answer(), 403, "AccessDenied")


def test_sessions(strict):
    session = strict.client("sts").get_session_token()["Credentials"]
    key = (session["AccessKeyId"], session["SecretAccessKey"])
    token = {"x-amz-security-token": session["SessionToken"]}
    assert Request(strict, "PUT", "/strict/session", headers=token, key=key, body=b"x").sign().send().status == 200
    client = strict.client("s3", *key, session["SessionToken"])
    url = client.generate_presigned_url("get_object", Params={"Bucket": "strict", "Key": "session"})
    parts = urllib.parse.urlsplit(url)
    assert strict.get(f"{parts.path}?{parts.query}").read() == b"x"
