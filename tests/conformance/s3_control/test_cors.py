"""CORS: the configuration, and the answers that browsers get. Headers as recorded from AWS."""

import urllib.error
import urllib.request

import pytest
from s3_control_support import refused

RULES = [
    {
        "AllowedHeaders": ["x-amz-*", "Content-Type"],
        "AllowedMethods": ["GET", "PUT"],
        "AllowedOrigins": ["https://app.example"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 3000,
    },
    {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]},
]


def call(hearth, method, path, headers):
    request = urllib.request.Request(hearth.endpoint + path, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read().decode()


@pytest.fixture
def shared(s3, bucket):
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": RULES})
    s3.put_object(Bucket=bucket, Key="k", Body=b"content")
    return bucket


def test_configuration_comes_and_goes(s3, bucket):
    with refused("NoSuchCORSConfiguration", 404, "The CORS configuration does not exist"):
        s3.get_bucket_cors(Bucket=bucket)
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": RULES})
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == RULES
    s3.delete_bucket_cors(Bucket=bucket)
    s3.delete_bucket_cors(Bucket=bucket)
    with refused("NoSuchCORSConfiguration"):
        s3.get_bucket_cors(Bucket=bucket)


def test_rules_are_checked(s3, bucket):
    def put(**rule):
        full = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]} | rule
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [full]})

    with refused(
        "InvalidRequest",
        400,
        "Found unsupported HTTP method in CORS config. Unsupported method is PATCH",
    ):
        put(AllowedMethods=["PATCH"])
    with refused("InvalidRequest", 400):
        put(AllowedOrigins=["http://*.*.example"])
    with refused("InvalidRequest", 400):
        put(ExposeHeaders=["x-*"])
    with refused("MalformedXML", 400):
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": []})


def test_preflight(hearth, shared):
    status, headers, body = call(
        hearth,
        "OPTIONS",
        f"/{shared}/k",
        {
            "Origin": "https://app.example",
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "X-Amz-Date, content-type",
        },
    )
    assert (status, body) == (200, "")
    assert headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert headers["Access-Control-Allow-Methods"] == "GET, PUT"
    assert headers["Access-Control-Allow-Headers"] == "x-amz-date, content-type"
    assert headers["Access-Control-Expose-Headers"] == "ETag"
    assert headers["Access-Control-Max-Age"] == "3000"
    assert headers["Access-Control-Allow-Credentials"] == "true"
    assert headers["Vary"] == (
        "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
    )


def test_preflight_that_no_rule_allows(hearth, shared):
    status, headers, body = call(
        hearth,
        "OPTIONS",
        f"/{shared}/k",
        {"Origin": "https://other.example", "Access-Control-Request-Method": "PUT"},
    )
    assert status == 403
    assert "<Code>AccessForbidden</Code>" in body
    assert "CORSResponse: This CORS request is not allowed." in body
    assert "<Method>PUT</Method>" in body
    assert "<ResourceType>OBJECT</ResourceType>" in body
    assert "Access-Control-Allow-Origin" not in headers


def test_preflight_without_a_configuration(hearth, bucket):
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT"}
    status, _, body = call(hearth, "OPTIONS", f"/{bucket}/k", asked)
    assert status == 403
    assert "CORSResponse: CORS is not enabled for this bucket." in body
    assert "<ResourceType>BUCKET</ResourceType>" in body


def test_a_get_carries_the_headers_of_its_rule(hearth, shared):
    status, headers, body = call(
        hearth, "GET", f"/{shared}/k", {"Origin": "https://anybody.example"}
    )
    assert (status, body) == (200, "content")
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Access-Control-Allow-Methods"] == "GET"
    assert "Access-Control-Allow-Credentials" not in headers
    _, headers, _ = call(hearth, "GET", f"/{shared}/k", {})
    assert "Access-Control-Allow-Origin" not in headers


def test_errors_carry_the_headers_too(hearth, shared):
    status, headers, _ = call(hearth, "GET", f"/{shared}/none", {"Origin": "https://app.example"})
    assert status == 404
    assert headers["Access-Control-Allow-Origin"] == "https://app.example"
