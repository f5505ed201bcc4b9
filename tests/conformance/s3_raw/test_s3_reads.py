"""Ranges and parts as SDKs never ask for them, and methods that a resource does not take."""

import pytest

from s3_raw_support import Request

TEN = b"0123456789"


@pytest.fixture(scope="module")
def ten(s3, bucket):
    s3.put_object(Bucket=bucket, Key="ten", Body=TEN)
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    return f"/{bucket}/ten"


def get(hearth, path, method="GET", query="", **headers):
    return Request(hearth, method, path, query, headers=headers).sign().send()


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=9-9", 9, 9),
        ("bytes=9-", 9, 9),
        ("bytes=3-18446744073709551615", 3, 9),
        ("bytes=3-99999999999999999999999999", 3, 9),
        ("bytes=-99999999999999999999999999", 0, 9),
        ("bytes=-1", 9, 9),
        ("bytes=0000000000000003-0000000004", 3, 4),
    ],
)
def test_ranges_at_the_edges(hearth, ten, text, first, last):
    for method in ("GET", "HEAD"):
        answer = get(hearth, ten, method, range=text)
        assert answer.status == 206, answer
        assert answer.headers["content-range"] == f"bytes {first}-{last}/10"
        assert answer.headers["content-length"] == str(last - first + 1)
        if method == "GET":
            assert answer.body == TEN[first : last + 1]


@pytest.mark.parametrize(
    "text",
    ["bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=0-1,3-4", "bytes=+1-2", "bytes=1--2", "lines=0-1", "0-1"],
)
def test_what_is_no_range_is_the_whole(hearth, ten, text):
    answer = get(hearth, ten, range=text)
    assert answer.status == 200, answer
    assert answer.body == TEN
    assert "content-range" not in answer.headers


@pytest.mark.parametrize("text", ["bytes=10-", "bytes=10-11", "bytes=99999999999999999999999999-", "bytes=-0"])
def test_ranges_behind_the_end(hearth, ten, text):
    answer = get(hearth, ten, range=text)
    assert (answer.status, answer.code) == (416, "InvalidRange"), answer
    assert answer.field("ActualObjectSize") == "10"
    assert get(hearth, ten, "HEAD", range=text).status == 416


def test_ranges_of_nothing(hearth, bucket, ten):
    path = f"/{bucket}/empty"
    for text in ("bytes=0-", "bytes=0-0", "bytes=-1"):
        assert get(hearth, path, range=text).status == 416
    answer = get(hearth, path)
    assert (answer.status, answer.body) == (200, b"")


def test_parts_of_an_object_without_parts(hearth, ten):
    answer = get(hearth, ten, query="partNumber=1")
    assert (answer.status, answer.body) == (206, TEN), answer
    assert answer.headers["content-range"] == "bytes 0-9/10"
    assert get(hearth, ten, query="partNumber=2").status == 416
    for number in ("0", "10001", "-1"):
        answer = get(hearth, ten, query=f"partNumber={number}")
        assert answer.status == 400, answer
    both = get(hearth, ten, query="partNumber=1", range="bytes=0-1")
    assert (both.status, both.code) == (400, "InvalidRequest"), both


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "ten", {"HEAD", "GET", "PUT", "DELETE"}),
        ("PATCH", "", {"HEAD", "GET", "PUT", "DELETE"}),
        ("DELETE", None, {"GET"}),
    ],
)
@pytest.mark.parametrize("signed", [True, False])
def test_what_is_not_allowed_says_what_is(hearth, bucket, ten, method, path, allowed, signed):
    target = "/" if path is None else f"/{bucket}/{path}".rstrip("/")
    request = Request(hearth, method, target)
    answer = (request.sign() if signed else request).send()
    assert (answer.status, answer.code) == (405, "MethodNotAllowed"), answer
    assert {one.strip() for one in answer.headers["allow"].split(",")} == allowed
