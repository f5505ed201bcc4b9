"""Signatures in enforce mode: what is accepted, and AWS's code and text for everything else."""

import datetime
import os
import sys

import botocore.exceptions
import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from raw_http import FORM, STS_BODY, call, sign  # noqa: E402

HEARTH_OPTIONS = ("--auth", "enforce")
MINUTE = datetime.timedelta(minutes=1)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def sts_call(hearth, headers, body=STS_BODY):
    return call(hearth, headers=[*headers, ("Content-Type", FORM)], body=body)


def test_a_signed_call_is_answered(hearth):
    answer = sts_call(hearth, sign(*hearth.root_key(), now()))
    assert answer.status == 200
    assert "<Arn>arn:aws:iam::000000000000:root</Arn>" in answer.text


def test_unsigned(hearth):
    answer = sts_call(hearth, [])
    assert (answer.status, answer.code) == (403, "MissingAuthenticationToken")
    assert answer.message == "Request is missing Authentication Token"


@pytest.mark.parametrize(
    "headers, status, code",
    [
        # json 1.1
        (
            [
                ("X-Amz-Target", "Logs_20140328.DescribeLogGroups"),
                ("Content-Type", "application/x-amz-json-1.1"),
            ],
            400,
            "MissingAuthenticationTokenException",
        ),
    ],
)
def test_unsigned_json(hearth, headers, status, code):
    answer = call(hearth, headers=headers, body=b"{}")
    assert (answer.status, answer.code) == (status, code)


def test_unsigned_rest_json(hearth):
    answer = call(hearth, "GET", "/2015-03-31/functions/")
    assert (answer.status, answer.code) == (403, "MissingAuthenticationTokenException")
    assert answer.message == "Missing Authentication Token"


def test_wrong_secret(hearth):
    key, _ = hearth.root_key()
    answer = sts_call(hearth, sign(key, "wrong", now()))
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    assert answer.message == (
        "The request signature we calculated does not match the signature you provided. Check your "
        "AWS Secret Access Key and signing method. Consult the service documentation for details."
    )
    logs = hearth.client("logs", key, "wrong")
    with pytest.raises(botocore.exceptions.ClientError, match="InvalidSignatureException") as error:
        logs.describe_log_groups()
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    functions = hearth.client("lambda", key, "wrong")
    with pytest.raises(botocore.exceptions.ClientError, match="InvalidSignatureException") as error:
        functions.list_functions()
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_unknown_key(hearth):
    for key in ("AKIAIOSFODNN7EXAMPLE", "123456789012", "x"):
        answer = sts_call(hearth, sign(key, "secret", now()))
        assert (answer.status, answer.code) == (403, "InvalidClientTokenId")
        assert answer.message == "The security token included in the request is invalid."
    logs = hearth.client("logs", "AKIAIOSFODNN7EXAMPLE", "secret")
    with pytest.raises(botocore.exceptions.ClientError, match="UnrecognizedClientException"):
        logs.describe_log_groups()


def test_old_and_early_requests(hearth):
    old = sts_call(hearth, sign(*hearth.root_key(), now() - 6 * MINUTE))
    assert (old.status, old.code) == (403, "SignatureDoesNotMatch")
    assert old.message.startswith("Signature expired: ")
    assert old.message.endswith(" - 5 min.)")
    early = sts_call(hearth, sign(*hearth.root_key(), now() + 6 * MINUTE))
    assert early.code == "SignatureDoesNotMatch"
    assert early.message.startswith("Signature not yet current: ")
    assert sts_call(hearth, sign(*hearth.root_key(), now() - 2 * MINUTE)).status == 200


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"service": "dynamodb"}, "Credential should be scoped to correct service: 'sts'. "),
        ({"scope_date": "20200101"}, "Date in Credential scope does not match YYYYMMDD"),
        ({"terminator": "aws5_request"}, "Credential should be scoped with a valid terminator"),
        ({"region": "US_East"}, "Credential should be scoped to a valid region"),
        ({"signed": ["x-amz-date"]}, "'Host' or ':authority' must be a 'SignedHeader'"),
    ],
)
def test_wrong_scope(hearth, changes, text):
    headers = sign(*hearth.root_key(), now(), **changes)
    # The path names no service, so a wrong one is found out by the host.
    headers = [(n, "sts.us-east-1.amazonaws.com" if n == "host" else v) for n, v in headers]
    answer = sts_call(hearth, headers)
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    assert answer.message.startswith(text), answer.message


@pytest.mark.parametrize(
    "header, text",
    [
        ("Bearer abc", "Authorization header requires 'Credential' parameter. "),
        ("AWS4-HMAC-SHA512 Credential=a/b/c/d/e", "Unsupported AWS 'algorithm'"),
        (
            "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=0",
            "Credential must have exactly 5 slash-delimited elements",
        ),
        ("AWS4-HMAC-SHA256 Credential", "Invalid key=value pair (missing equal-sign)"),
    ],
)
def test_unreadable_headers(hearth, header, text):
    headers = [("Authorization", header), ("X-Amz-Date", now().strftime("%Y%m%dT%H%M%SZ"))]
    answer = sts_call(hearth, headers)
    assert (answer.status, answer.code) == (400, "IncompleteSignature")
    assert answer.message.startswith(text), answer.message
    assert "abc" not in answer.message


def test_the_signature_covers_body_query_and_signed_headers(hearth):
    root = hearth.root_key()
    assert sts_call(hearth, sign(*root, now()), STS_BODY + b"&x=1").code == "SignatureDoesNotMatch"
    signed = sign(*root, now(), extra={"x-thing": "a"})
    changed = [(n, "b" if n == "x-thing" else v) for n, v in signed]
    assert sts_call(hearth, signed).status == 200
    assert sts_call(hearth, changed).code == "SignatureDoesNotMatch"
    answer = call(
        hearth,
        target="/?a=b",
        headers=[*sign(*root, now()), ("Content-Type", FORM)],
        body=STS_BODY,
    )
    assert answer.code == "SignatureDoesNotMatch"


def test_session_tokens(hearth):
    credentials = hearth.client("sts").get_session_token()["Credentials"]
    key = (credentials["AccessKeyId"], credentials["SecretAccessKey"])
    token = credentials["SessionToken"]
    assert sts_call(hearth, sign(*key, now(), token=token)).status == 200
    # A session key without its token is no key, and a token of others is none.
    assert sts_call(hearth, sign(*key, now())).code == "InvalidClientTokenId"
    for foreign in (token[:-4], "IQoJb3JpZ2luX2Vj" + "A" * 200, "x"):
        assert sts_call(hearth, sign(*key, now(), token=foreign)).code == "InvalidClientTokenId"
    # Not signed, the token still binds the signature to its secret.
    headers = [*sign(*key, now()), ("X-Amz-Security-Token", token)]
    assert sts_call(hearth, headers).status == 200


def test_own_endpoints(hearth):
    assert hearth.get("/_hearth/health").status == 200
    answer = call(hearth, "GET", "/_hearth/metrics")
    assert (answer.status, answer.code) == (403, "MissingAuthenticationTokenException")
    headers = sign(
        *hearth.root_key(), now(), service="hearth", method="GET", path="/_hearth/metrics", body=b""
    )
    answer = call(hearth, "GET", "/_hearth/metrics", headers=headers)
    assert answer.status == 200
    assert "hearth_requests_total" in answer.text


def test_root_keys_may_come_from_the_environment():
    import hearth_up

    environment = {
        "HEARTH_ROOT_ACCESS_KEY_ID": "AKIAFROMTHEOUTSIDE00",
        "HEARTH_ROOT_SECRET_ACCESS_KEY": "a-secret-from-outside",
    }
    with hearth_up.Hearth(options=HEARTH_OPTIONS, environment=environment) as other:
        key = tuple(environment.values())
        assert other.client("sts", *key).get_caller_identity()["Account"] == "000000000000"
        assert not os.path.exists(os.path.join(other.data, "credentials"))
