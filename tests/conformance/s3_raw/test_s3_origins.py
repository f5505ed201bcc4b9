"""What browsers ask before pages of other origins may call, and what they are told afterwards. Source: Amazon S3 User
Guide, "Using cross-origin resource sharing (CORS)", and "Testing CORS"."""

import pytest

from s3_raw_support import Request

PAGE = "https://app.example"


@pytest.fixture(scope="module", autouse=True)
def rules(s3, bucket):
    s3.put_object(Bucket=bucket, Key="item", Body=b"hello")
    s3.put_bucket_cors(
        Bucket=bucket,
        CORSConfiguration={
            "CORSRules": [
                {
                    "AllowedOrigins": [PAGE],
                    "AllowedMethods": ["GET", "PUT"],
                    "AllowedHeaders": ["x-amz-*", "content-type"],
                    "ExposeHeaders": ["ETag"],
                    "MaxAgeSeconds": 300,
                }
            ]
        },
    )


def ask(hearth, path, method="PUT", origin=PAGE, headers="x-amz-meta-a, Content-Type", host=None):
    request = Request(hearth, "OPTIONS", path)
    request.headers = {"host": host or f"127.0.0.1:{hearth.port}"}
    if origin:
        request.headers["origin"] = origin
    if method:
        request.headers["access-control-request-method"] = method
    if headers:
        request.headers["access-control-request-headers"] = headers
    return request.send()


def test_preflight(hearth, bucket):
    for path, host in ((f"/{bucket}/item", None), ("/item", f"{bucket}.s3.localhost")):
        answer = ask(hearth, path, host=host)
        assert answer.status == 200, answer
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "PUT" in answer.headers["access-control-allow-methods"]
        assert "x-amz-meta-a" in answer.headers["access-control-allow-headers"].lower()
        assert answer.headers["access-control-max-age"] == "300"
        assert "Origin" in answer.headers["vary"]


def test_preflight_of_what_no_rule_allows(hearth, bucket):
    for answer in (
        ask(hearth, f"/{bucket}/item", method="DELETE"),
        ask(hearth, f"/{bucket}/item", origin="https://other.example"),
        ask(hearth, f"/{bucket}/item", headers="authorization"),
    ):
        assert (answer.status, answer.code) == (403, "AccessForbidden"), answer
    for answer in (ask(hearth, f"/{bucket}/item", origin=None), ask(hearth, f"/{bucket}/item", method=None)):
        assert (answer.status, answer.code) == (400, "BadRequest"), answer


def test_answers_say_who_may_read_them(hearth, bucket):
    for path, status in ((f"/{bucket}/item", 200), (f"/{bucket}/nothing", 404)):
        answer = Request(hearth, "GET", path, headers={"origin": PAGE}).sign().send()
        assert answer.status == status, answer
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert answer.headers["access-control-expose-headers"] == "ETag"
    answer = Request(hearth, "GET", f"/{bucket}/item", headers={"origin": "https://other.example"}).sign().send()
    assert answer.status == 200
    assert "access-control-allow-origin" not in answer.headers


def test_pages_without_a_rule_do_not_use_an_open_cloud(hearth, bucket):
    for origin, status in ((PAGE, 200), ("https://other.example", 403), ("http://localhost:3000", 200), ("null", 403)):
        request = Request(hearth, "GET", f"/{bucket}/item")
        request.headers = {"host": f"127.0.0.1:{hearth.port}", "origin": origin}
        assert request.send().status == status, origin
