"""ListObjects and ListObjectsV2: prefixes, delimiters, pages, encodings."""

import hashlib
import urllib.parse

import botocore.exceptions
import pytest

from s3_listing_support import entries, keys, prefixes, walk_v1, walk_v2

KEYS = [
    "a",
    "a/1",
    "a/2/x",
    "a/2/y",
    "ab",
    "b//c",
    "b/c",
    "photos/2006/January/sample.jpg",
    "photos/2006/February/sample2.jpg",
    "photos/2007/x",
    "sample.jpg",
    "ä/ö",
    "\U0001f600/smile",
]


def code_of(raised):
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


def test_of_an_empty_bucket(s3, bucket):
    answer = s3.list_objects_v2(Bucket=bucket)
    assert answer["Name"] == bucket
    assert answer["KeyCount"] == 0
    assert answer["MaxKeys"] == 1000
    assert answer["IsTruncated"] is False
    assert answer["Prefix"] == ""
    assert "Contents" not in answer
    assert "CommonPrefixes" not in answer
    answer = s3.list_objects(Bucket=bucket)
    assert answer["Marker"] == ""
    assert "Contents" not in answer


def test_of_no_bucket(s3):
    for call in (s3.list_objects, s3.list_objects_v2, s3.list_object_versions):
        with pytest.raises(botocore.exceptions.ClientError) as raised:
            call(Bucket="no-such-bucket-anywhere")
        assert code_of(raised) == ("NoSuchBucket", "The specified bucket does not exist")


def test_entries_say_what_the_object_is(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="key", Body=b"12345")
    (entry,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert entry["Key"] == "key"
    assert entry["Size"] == 5
    assert entry["ETag"] == put["ETag"] == f'"{hashlib.md5(b"12345").hexdigest()}"'
    assert entry["StorageClass"] == "STANDARD"
    assert entry["LastModified"] == s3.head_object(Bucket=bucket, Key="key")["LastModified"].replace(
        microsecond=entry["LastModified"].microsecond
    )
    assert "Owner" not in entry
    (owned,) = s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"]
    assert len(owned["Owner"]["ID"]) == 64
    assert s3.list_objects(Bucket=bucket)["Contents"][0]["Owner"] == owned["Owner"]


def test_keys_come_in_the_order_of_their_bytes(s3, bucket, fill):
    fill(*reversed(KEYS))
    expected = sorted(KEYS, key=lambda key: key.encode())
    assert keys(s3.list_objects_v2(Bucket=bucket)) == expected
    assert keys(s3.list_objects(Bucket=bucket)) == expected


def test_delimiter_rolls_up(s3, bucket, fill):
    fill(*KEYS)
    answer = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert answer["Delimiter"] == "/"
    assert prefixes(answer) == ["a/", "b/", "photos/", "ä/", "\U0001f600/"]
    assert keys(answer) == ["a", "ab", "sample.jpg"]
    answer = s3.list_objects_v2(Bucket=bucket, Delimiter="/", Prefix="photos/2006/")
    assert prefixes(answer) == ["photos/2006/February/", "photos/2006/January/"]
    assert keys(answer) == []
    answer = s3.list_objects_v2(Bucket=bucket, Delimiter="/", Prefix="b/")
    assert prefixes(answer) == ["b//"]
    assert keys(answer) == ["b/c"]
    # Any text may be a delimiter, and a prefix need not end with it.
    answer = s3.list_objects_v2(Bucket=bucket, Delimiter="2006/", Prefix="ph")
    assert prefixes(answer) == ["photos/2006/"]
    assert keys(answer) == ["photos/2007/x"]
    assert entries(s3.list_objects_v2(Bucket=bucket, Delimiter="")) == sorted(
        KEYS, key=lambda key: key.encode()
    )
    assert prefixes(s3.list_objects(Bucket=bucket, Delimiter="/", Prefix="none")) == []


@pytest.mark.parametrize("walk", (walk_v1, walk_v2))
@pytest.mark.parametrize("prefix", ("", "a", "a/", "photos/"))
@pytest.mark.parametrize("delimiter", ("", "/", "2"))
def test_pages_of_any_size_are_the_whole_list(s3, bucket, fill, walk, prefix, delimiter):
    fill(*KEYS)
    arguments = {"Bucket": bucket, "Prefix": prefix, "Delimiter": delimiter}
    (whole,) = walk(s3, **arguments)
    for size in (1, 2, 3, len(entries(whole)) or 1):
        pages = walk(s3, MaxKeys=size, **arguments)
        assert [entry for page in pages for entry in entries(page)] == entries(whole)
        assert all(len(entries(page)) <= size for page in pages)
        # No page is empty, and the last one is not followed by nothing.
        assert len(pages) == max(1, -(-len(entries(whole)) // size))


def test_max_keys_zero_lists_nothing(s3, bucket, fill):
    fill("a", "b")
    for answer in (
        s3.list_objects(Bucket=bucket, MaxKeys=0),
        s3.list_objects_v2(Bucket=bucket, MaxKeys=0),
        s3.list_object_versions(Bucket=bucket, MaxKeys=0),
    ):
        assert answer["IsTruncated"] is False
        assert answer["MaxKeys"] == 0
        assert keys(answer) == []


def test_max_keys_above_a_thousand_is_shown_as_asked(s3, bucket, fill):
    fill("a")
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=5000)["MaxKeys"] in (1000, 5000)


def test_max_keys_below_zero_is_refused(s3, bucket):
    for call in (s3.list_objects, s3.list_objects_v2, s3.list_object_versions):
        with pytest.raises(botocore.exceptions.ClientError) as raised:
            call(Bucket=bucket, MaxKeys=-1)
        assert code_of(raised) == (
            "InvalidArgument",
            "Argument maxKeys must be an integer between 0 and 2147483647",
        )


def test_start_after_need_not_be_a_key(s3, bucket, fill):
    fill("a", "b", "c")
    answer = s3.list_objects_v2(Bucket=bucket, StartAfter="aaa")
    assert answer["StartAfter"] == "aaa"
    assert keys(answer) == ["b", "c"]
    assert keys(s3.list_objects_v2(Bucket=bucket, StartAfter="b")) == ["c"]
    assert keys(s3.list_objects(Bucket=bucket, Marker="bb")) == ["c"]
    assert keys(s3.list_objects_v2(Bucket=bucket, StartAfter="zz")) == []


def test_start_inside_a_common_prefix_keeps_it(s3, bucket, fill):
    fill("d/1", "d/2", "e")
    answer = s3.list_objects_v2(Bucket=bucket, StartAfter="d/1", Delimiter="/")
    assert entries(answer) == ["d/", "e"]
    answer = s3.list_objects_v2(Bucket=bucket, StartAfter="d/", Delimiter="/")
    assert entries(answer) == ["e"]


def test_token_goes_before_start_after(s3, bucket, fill):
    fill("a", "b", "c", "d")
    first = s3.list_objects_v2(Bucket=bucket, MaxKeys=2)
    answer = s3.list_objects_v2(
        Bucket=bucket, StartAfter="a", ContinuationToken=first["NextContinuationToken"]
    )
    assert keys(answer) == ["c", "d"]
    assert answer["ContinuationToken"] == first["NextContinuationToken"]


@pytest.mark.parametrize("token", ("", "x", "bm9uZQ==", "%00", "A" * 3000))
def test_token_that_nobody_gave_is_refused(s3, bucket, token):
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        s3.list_objects_v2(Bucket=bucket, ContinuationToken=token)
    assert code_of(raised) == ("InvalidArgument", "The continuation token provided is incorrect")


def test_pages_hold_while_objects_come_and_go(s3, bucket, fill):
    fill(*(f"k{number}" for number in range(9)))
    first = s3.list_objects_v2(Bucket=bucket, MaxKeys=3)
    s3.delete_object(Bucket=bucket, Key="k2")
    s3.delete_object(Bucket=bucket, Key="k3")
    fill("k1a", "k5a")
    rest = s3.list_objects_v2(
        Bucket=bucket, ContinuationToken=first["NextContinuationToken"]
    )
    assert keys(rest) == ["k4", "k5", "k5a", "k6", "k7", "k8"]


def test_url_encoding(s3, bucket, fill):
    wanted = ["asdf+b", "foo+1/bar", "foo/bar/xyz", "quux ab/thud", "tab\there", "ü"]
    fill(*wanted)
    # boto3 asks for it and decodes by itself; here the bytes count.
    seen = {}
    events = s3.meta.events
    events.register("after-call.s3", lambda parsed, **_: seen.update(parsed), unique_id="seen")
    try:
        answer = s3.list_objects_v2(Bucket=bucket, EncodingType="url", Delimiter="/", Prefix="")
    finally:
        events.unregister("after-call.s3", unique_id="seen")
    assert answer["EncodingType"] == "url"
    assert keys(answer) == ["asdf%2Bb", "tab%09here", "%C3%BC"]
    assert prefixes(answer) == ["foo%2B1/", "foo/", "quux%20ab/"]
    assert [urllib.parse.unquote(key) for key in keys(answer)] == ["asdf+b", "tab\there", "ü"]


def test_encoding_must_be_url(s3, bucket):
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        s3.list_objects_v2(Bucket=bucket, EncodingType="base64")
    assert code_of(raised) == ("InvalidArgument", "Invalid Encoding Method specified in Request")


def test_deleted_keys_are_not_listed(s3, versioned):
    s3.put_object(Bucket=versioned, Key="a", Body=b"")
    s3.put_object(Bucket=versioned, Key="b/c", Body=b"")
    s3.delete_object(Bucket=versioned, Key="a")
    s3.delete_object(Bucket=versioned, Key="b/c")
    answer = s3.list_objects_v2(Bucket=versioned, Delimiter="/")
    assert entries(answer) == []
    s3.put_object(Bucket=versioned, Key="a", Body=b"again")
    assert keys(s3.list_objects_v2(Bucket=versioned)) == ["a"]


def test_more_than_a_thousand(s3, bucket, fill):
    fill(*(f"many/{number:04}" for number in range(1003)))
    pages = walk_v2(s3, Bucket=bucket)
    assert [page["KeyCount"] for page in pages] == [1000, 3]
    assert s3.list_objects_v2(Bucket=bucket, Delimiter="/")["KeyCount"] == 1
