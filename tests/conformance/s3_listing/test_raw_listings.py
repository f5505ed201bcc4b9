"""Parameters that no SDK sends."""

import http.client
import re

import pytest

INTEGER = "Provided {} not an integer or within integer range"
NO_NUL = "Value must be a sequence of Unicode characters and cannot include Null."


def get(hearth, target, method="GET", body=b""):
    connection = http.client.HTTPConnection("127.0.0.1", hearth.port, timeout=60)
    try:
        connection.request(method, target, body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "query, code, message",
    (
        ("max-keys=abc", "InvalidArgument", INTEGER.format("max-keys")),
        ("list-type=2&max-keys=99999999999", "InvalidArgument", INTEGER.format("max-keys")),
        ("versions&max-keys=1.5", "InvalidArgument", INTEGER.format("max-keys")),
        ("uploads&max-uploads=x", "InvalidArgument", INTEGER.format("max-uploads")),
        ("list-type=2&prefix=%ff%fe", "InvalidURI", "Couldn't parse the specified URI."),
        ("list-type=2&prefix=a%00b", "InvalidArgument", NO_NUL),
        ("marker=%00", "InvalidArgument", NO_NUL),
        ("versions&key-marker=%00", "InvalidArgument", NO_NUL),
        (
            "uploads&key-marker=a&upload-id-marker=zz",
            "InvalidArgument",
            "Invalid uploadId marker",
        ),
    ),
)
def test_refused(hearth, bucket, query, code, message):
    status, body = get(hearth, f"/{bucket}?{query}")
    assert status == 400
    assert f"<Code>{code}</Code><Message>{message}</Message>" in body


@pytest.mark.parametrize(
    "query",
    (
        "list-type=3",
        "list-type=2&max-keys=",
        "list-type=2&delimiter=%00",
        "uploads&upload-id-marker=zz",
        "versions&key-marker=a&version-id-marker=null",
        "prefix=%F4%8F%BF%BF&marker=%F4%8F%BF%BF",
    ),
)
def test_passed_over(hearth, bucket, query):
    status, body = get(hearth, f"/{bucket}?{query}")
    assert status == 200
    assert "<IsTruncated>false</IsTruncated>" in body


def test_versions_and_markers_stand_in_one_order(hearth, s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in "ab":
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
        s3.delete_object(Bucket=bucket, Key=key)
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    status, body = get(hearth, f"/{bucket}?versions")
    assert status == 200
    found = re.findall(r"<(Version|DeleteMarker)>.*?<Key>(.)</Key>", body)
    assert found == [
        (kind, key) for key in "ab" for kind in ("Version", "DeleteMarker", "Version")
    ]


def test_every_byte_that_utf8_has_in_a_key(hearth, s3, bucket):
    keys = [chr(code) for code in [*range(0x20, 0x7F), 0x80, 0xFF, 0x7FF, 0xFFFD, 0x10FFFF]]
    keys = sorted((f"k{key}" for key in keys if key not in "/"), key=lambda key: key.encode())
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    listed = []
    token = {}
    while True:
        page = s3.list_objects_v2(Bucket=bucket, MaxKeys=7, **token)
        listed += [entry["Key"] for entry in page["Contents"]]
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert listed == keys
    longest = "é" * 512
    s3.put_object(Bucket=bucket, Key=longest, Body=b"")
    assert s3.list_objects_v2(Bucket=bucket, Prefix=longest)["KeyCount"] == 1
    assert s3.list_objects_v2(Bucket=bucket, StartAfter=longest)["KeyCount"] == 0
