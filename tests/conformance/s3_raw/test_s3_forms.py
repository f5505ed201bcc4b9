"""Uploads by browsers' forms. Source: Amazon S3 API Reference, "POST Object" and "Creating a POST policy"."""

import base64
import datetime
import json

import pytest

from s3_raw_support import ALGORITHM, Connection, Request, mac, multipart


def post(hearth, bucket, fields, file=b"hello", file_name="file.txt", headers=None):
    body, content_type = multipart(fields, file, file_name)
    request = Request(hearth, "POST", f"/{bucket}", body=body)
    request.headers = {"host": f"127.0.0.1:{hearth.port}", "content-type": content_type, **(headers or {})}
    return request.send()


def signed(hearth, bucket, fields, conditions, expires=600, key=None):
    """The fields, and a policy of `conditions` over them."""
    request = Request(hearth, "POST", f"/{bucket}", key=key)
    expiration = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=expires)
    own = {
        "x-amz-algorithm": ALGORITHM,
        "x-amz-credential": f"{request.key_id}/{request.scope}",
        "x-amz-date": request.time,
    }
    policy = {
        "expiration": expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "conditions": [{"bucket": bucket}, *conditions, *({name: value} for name, value in own.items())],
    }
    encoded = base64.b64encode(json.dumps(policy).encode()).decode()
    return [
        *fields,
        *own.items(),
        ("policy", encoded),
        ("x-amz-signature", mac(request.key(), encoded).hex()),
    ]


def test_by_boto3(hearth, s3, bucket):
    form = s3.generate_presigned_post(
        bucket,
        "up/${filename}",
        Fields={"Content-Type": "text/x", "x-amz-meta-note": "hi", "success_action_status": "201"},
        Conditions=[
            {"Content-Type": "text/x"},
            {"x-amz-meta-note": "hi"},
            {"success_action_status": "201"},
            ["content-length-range", 1, 100],
        ],
    )
    answer = post(hearth, bucket, form["fields"].items(), file_name="C:\\x\\a b.txt")
    assert answer.status == 201, answer
    assert answer.field("Key") == "up/a b.txt"
    assert answer.field("Bucket") == bucket
    assert answer.field("Location").endswith(f"/{bucket}/up%2Fa%20b.txt")
    got = s3.get_object(Bucket=bucket, Key="up/a b.txt")
    assert got["Body"].read() == b"hello"
    assert (got["ContentType"], got["Metadata"]) == ("text/x", {"note": "hi"})
    assert answer.field("ETag").replace("&quot;", '"') == got["ETag"]
    for size, code in ((0, "EntityTooSmall"), (101, "EntityTooLarge")):
        answer = post(hearth, bucket, form["fields"].items(), file=b"x" * size, file_name="size")
        assert (answer.status, answer.code) == (400, code), answer
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="up/size")


def test_answers(hearth, bucket):
    assert post(hearth, bucket, [("key", "plain")]).status == 204
    assert post(hearth, bucket, [("key", "plain"), ("success_action_status", "200")]).status == 200
    assert post(hearth, bucket, [("key", "plain"), ("success_action_status", "777")]).status == 204
    answer = post(hearth, bucket, [("key", "plain"), ("success_action_redirect", "http://page.example/x?y=1")])
    assert answer.status == 303
    assert answer.headers["location"].startswith(f"http://page.example/x?y=1&bucket={bucket}&key=plain&etag=%22")
    answer = post(hearth, bucket, [("key", "plain"), ("success_action_redirect", "javascript:alert(1)")])
    assert answer.status == 204


def test_policy_is_held(hearth, bucket, absent):
    fields = [("key", "policy/a"), ("Content-Type", "image/png")]
    conditions = [["starts-with", "$key", "policy/"], ["starts-with", "$Content-Type", "image/"]]
    assert post(hearth, bucket, signed(hearth, bucket, fields, conditions)).status == 204

    def refused(form, text, code="AccessDenied", status=403):
        answer = post(hearth, bucket, form)
        assert (answer.status, answer.code) == (status, code), answer
        assert text in answer.field("Message"), answer

    other = [("key", "elsewhere/a"), ("Content-Type", "image/png")]
    refused(signed(hearth, bucket, other, conditions), "Policy Condition failed")
    refused(signed(hearth, bucket, [*fields, ("x-amz-meta-more", "1")], conditions), "Extra input fields")
    refused(signed(hearth, bucket, fields, conditions, expires=-60), "Policy expired")
    good = signed(hearth, bucket, fields, conditions)
    forged = [*good[:-1], (good[-1][0], good[-1][1].translate(str.maketrans("01", "10")))]
    if forged != good:
        refused(forged, "does not match", "SignatureDoesNotMatch")
    unsigned = [pair for pair in signed(hearth, bucket, fields, conditions) if pair[0] != "x-amz-signature"]
    refused(unsigned, "X-Amz-Signature", "InvalidArgument", 400)
    believed = signed(hearth, bucket, fields, conditions, key=("any", "key"))
    broken = [(name, "e30=" if name == "policy" else value) for name, value in believed]
    refused(broken, "Invalid Policy", "InvalidPolicyDocument", 400)
    absent("elsewhere/")


@pytest.mark.parametrize(
    "body, code",
    [
        (b"", "MalformedPOSTRequest"),
        (b"hello", "MalformedPOSTRequest"),
        (b"--XbOuNdArY--\r\n", "InvalidArgument"),
        (b'--XbOuNdArY\r\nContent-Disposition: form-data; name="key"\r\n\r\nk', "MalformedPOSTRequest"),
        (b'--XbOuNdArY\r\nContent-Disposition: form-data; name="file"\r\n\r\ndata', "InvalidArgument"),
        (b'--XbOuNdArY\r\nContent-Disposition: form-data; name="key"\r\n\r\n' + b"k" * 30000, "MaxPostPreDataLengthExceededError"),
    ],
)
def test_hostile_forms(hearth, bucket, body, code):
    request = Request(hearth, "POST", f"/{bucket}", body=body)
    request.headers = {
        "host": f"127.0.0.1:{hearth.port}",
        "content-type": "multipart/form-data; boundary=XbOuNdArY",
    }
    answer = request.send()
    assert (answer.status, answer.code) == (400, code), answer


def test_file_that_does_not_end(hearth, bucket, absent):
    body, content_type = multipart([("key", "torn")], b"x" * 100_000)
    with Connection(hearth) as connection:
        connection.send(
            f"POST /{bucket} HTTP/1.1\r\nhost: h\r\ncontent-type: {content_type}\r\n"
            f"content-length: {len(body) - 20}\r\n\r\n".encode() + body[:-20]
        )
        answer = connection.answer()
    assert (answer.status, answer.code) == (400, "IncompleteBody"), answer
    absent("torn")


def test_other_types_are_no_forms(hearth, bucket):
    request = Request(hearth, "POST", f"/{bucket}", body=b"x").sign()
    answer = request.send()
    assert (answer.status, answer.code) == (412, "PreconditionFailed"), answer


def test_tags_and_acl_of_forms(hearth, s3, bucket):
    tags = "<Tagging><TagSet><Tag><Key>a b</Key><Value>1 + 2</Value></Tag></TagSet></Tagging>"
    assert post(hearth, bucket, [("key", "tagged"), ("tagging", tags)]).status == 204
    assert s3.get_object_tagging(Bucket=bucket, Key="tagged")["TagSet"] == [{"Key": "a b", "Value": "1 + 2"}]
    answer = post(hearth, bucket, [("key", "tagged"), ("tagging", "<Tagging>")])
    assert (answer.status, answer.code) == (400, "MalformedXML"), answer
