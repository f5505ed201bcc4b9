"""PutObject, GetObject, HeadObject: bytes, headers, integrity, ranges."""

import base64
import datetime
import hashlib
import os
import zlib

import pytest

from s3_objects_support import add_headers, header, read, refused, status


@pytest.mark.parametrize("size", [0, 1, 1000, 16_384, 16_385, 65_536, 300_000, 5_000_001])
def test_bytes_come_back(s3, bucket, size):
    body = os.urandom(size)
    answer = s3.put_object(Bucket=bucket, Key="k", Body=body)
    assert answer["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["ContentLength"] == size
    assert got["ETag"] == answer["ETag"]
    assert got["Body"].read() == body


def test_head_is_get_without_bytes(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"12345", ContentType="text/plain")
    got = s3.get_object(Bucket=bucket, Key="k")
    head = s3.head_object(Bucket=bucket, Key="k")
    for name in ("ContentLength", "ContentType", "ETag", "LastModified", "AcceptRanges", "Metadata"):
        assert head[name] == got[name]


def test_content_headers_come_back(s3, bucket):
    headers = {
        "ContentType": "text/html; charset=utf-8",
        "CacheControl": "max-age=5",
        "ContentDisposition": 'attachment; filename="x"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "WebsiteRedirectLocation": "/elsewhere",
    }
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **headers)
    got = s3.head_object(Bucket=bucket, Key="k")
    assert {name: got[name] for name in headers} == headers


def test_expires_comes_back(s3, bucket):
    when = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Expires=when)
    assert s3.head_object(Bucket=bucket, Key="k")["Expires"] == when


def test_objects_have_a_type(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.head_object(Bucket=bucket, Key="k")["ContentType"] == "binary/octet-stream"


def test_metadata_comes_back(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"one": "1", "two-two": "a b"})
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"one": "1", "two-two": "a b"}


def test_metadata_has_a_limit(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"a": "v" * 2047})
    with refused(
        "MetadataTooLarge",
        400,
        "Your metadata headers exceed the maximum allowed metadata size",
    ) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"a": "v" * 2048})
    assert (error["Size"], error["MaxSizeAllowed"]) == ("2049", "2048")


@pytest.mark.parametrize("key", ["a/b/c", "a//b", "../x", "ü ñ", "%2F", "a+b c", "x?y#z", "k" * 1024])
def test_keys(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert read(s3, bucket, key) == key.encode()
    s3.delete_object(Bucket=bucket, Key=key)
    with refused("NoSuchKey", 404, "The specified key does not exist.") as error:
        s3.get_object(Bucket=bucket, Key=key)
    assert error["Key"] == key


def test_keys_have_a_limit(s3, bucket):
    with refused("KeyTooLongError", 400, "Your key is too long"):
        s3.put_object(Bucket=bucket, Key="k" * 1025, Body=b"x")


def test_storage_class(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", StorageClass="STANDARD_IA")
    assert s3.head_object(Bucket=bucket, Key="k")["StorageClass"] == "STANDARD_IA"
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert "StorageClass" not in s3.head_object(Bucket=bucket, Key="k")


def test_unknown_storage_class(s3, bucket):
    with refused("InvalidStorageClass", 400, "The storage class you specified is not valid"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", StorageClass="COLD")


def test_archived_object_cannot_be_read(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", StorageClass="GLACIER")
    with refused(
        "InvalidObjectState", 403, "The operation is not valid for the object's storage class"
    ) as error:
        s3.get_object(Bucket=bucket, Key="k")
    assert error["StorageClass"] == "GLACIER"
    assert s3.head_object(Bucket=bucket, Key="k")["StorageClass"] == "GLACIER"


def test_tags_in_the_header(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1&b=two%20words")
    assert header(s3.get_object(Bucket=bucket, Key="k"), "x-amz-tagging-count") == "2"
    tags = s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]
    assert tags == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "two words"}]


def test_wrong_md5(s3, bucket):
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    with refused(
        "BadDigest", 400, "The Content-MD5 you specified did not match what we received."
    ):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentMD5=wrong)
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=bucket, Key="k")


def test_md5_that_is_none(s3, bucket):
    with refused("InvalidDigest", 400, "The Content-MD5 you specified was invalid."):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentMD5="short")


def crc32(body):
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


def sha(name, body):
    return base64.b64encode(hashlib.new(name, body).digest()).decode()


def test_checksums_are_kept_and_told(s3, bucket):
    for name, value in (
        ("ChecksumCRC32", crc32(b"hello")),
        ("ChecksumSHA1", sha("sha1", b"hello")),
        ("ChecksumSHA256", sha("sha256", b"hello")),
        ("ChecksumCRC32C", "mnG7TA=="),
    ):
        assert s3.put_object(Bucket=bucket, Key="k", Body=b"hello", **{name: value})[name] == value
        assert s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")[name] == value
        assert name not in s3.head_object(Bucket=bucket, Key="k")


def test_wrong_checksum(s3, bucket):
    with refused(
        "BadDigest", 400, "The CRC32 you specified did not match the calculated checksum."
    ):
        s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumCRC32=crc32(b"other"))


def test_checksum_that_is_none(s3, bucket):
    with refused("InvalidRequest", 400, "Value for x-amz-checksum-crc32 header is invalid."):
        s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumCRC32="abc")


def test_every_object_has_a_crc64(s3, bucket):
    answer = s3.put_object(Bucket=bucket, Key="k", Body=b"123456789")
    assert header(answer, "x-amz-checksum-crc64nvme") == "rosUhgp5mIg="
    assert header(answer, "x-amz-checksum-type") == "FULL_OBJECT"


def test_two_checksums_are_one_too_many(s3, bucket):
    with refused(
        "InvalidRequest",
        400,
        "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
    ):
        s3.put_object(
            Bucket=bucket,
            Key="k",
            Body=b"hello",
            ChecksumCRC32=crc32(b"hello"),
            ChecksumSHA1=sha("sha1", b"hello"),
        )


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksum_in_a_trailer(s3, bucket, algorithm):
    body = os.urandom(200_000)
    s3.put_object(Bucket=bucket, Key="k", Body=body, ChecksumAlgorithm=algorithm)
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert got[f"Checksum{algorithm}"]


@pytest.mark.parametrize("size", [10, 100_000])
def test_ranges(s3, bucket, size):
    body = os.urandom(size)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    for text, first, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=3-5", 3, 6),
        ("bytes=5-", 5, size),
        ("bytes=-4", size - 4, size),
        (f"bytes=2-{size + 100}", 2, size),
        (f"bytes=-{size + 1}", 0, size),
    ):
        got = s3.get_object(Bucket=bucket, Key="k", Range=text)
        assert status(got) == 206
        assert got["ContentRange"] == f"bytes {first}-{end - 1}/{size}"
        assert got["ContentLength"] == end - first
        assert got["Body"].read() == body[first:end]


def test_head_of_a_range(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    head = s3.head_object(Bucket=bucket, Key="k", Range="bytes=2-4")
    assert (status(head), head["ContentLength"]) == (206, 3)


def test_range_behind_the_end(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"12345")
    with refused("InvalidRange", 416, "The requested range is not satisfiable") as error:
        s3.get_object(Bucket=bucket, Key="k", Range="bytes=5-")
    assert (error["RangeRequested"], error["ActualObjectSize"]) == ("bytes=5-", "5")


@pytest.mark.parametrize("text", ["bytes=a-b", "lines=1-2", "bytes=4-2", "bytes=0-1,3-4"])
def test_what_is_no_single_range_is_passed_over(s3, bucket, text):
    s3.put_object(Bucket=bucket, Key="k", Body=b"12345")
    got = s3.get_object(Bucket=bucket, Key="k", Range=text)
    assert (status(got), got["Body"].read()) == (200, b"12345")


def test_first_part_of_a_plain_object_is_all_of_it(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"12345")
    got = s3.get_object(Bucket=bucket, Key="k", PartNumber=1)
    assert (status(got), got["Body"].read()) == (206, b"12345")
    with refused("InvalidPartNumber", 416, "The requested partnumber is not satisfiable"):
        s3.get_object(Bucket=bucket, Key="k", PartNumber=2)


def test_headers_of_the_answer_can_be_chosen(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/plain")
    got = s3.get_object(
        Bucket=bucket,
        Key="k",
        ResponseContentType="text/html",
        ResponseContentDisposition="attachment",
        ResponseCacheControl="no-cache",
    )
    assert got["ContentType"] == "text/html"
    assert got["ContentDisposition"] == "attachment"
    assert got["CacheControl"] == "no-cache"


def test_objects_are_encrypted(s3, bucket):
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ServerSideEncryption"] == "AES256"
    assert s3.get_object(Bucket=bucket, Key="k")["ServerSideEncryption"] == "AES256"


def test_no_byte_of_an_object_is_readable_on_the_disk(hearth, s3, bucket):
    needle = b"a needle that is nowhere else " * 4
    s3.put_object(Bucket=bucket, Key="small", Body=needle)
    s3.put_object(Bucket=bucket, Key="large", Body=needle * 1000)
    seen = 0
    for folder, _, files in os.walk(hearth.data):
        for name in files:
            with open(os.path.join(folder, name), "rb") as file:
                content = file.read()
            seen += 1
            assert needle not in content, os.path.join(folder, name)
    assert seen > 0


def test_kms_is_not_there(s3, bucket):
    with refused("NotImplemented", 501):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms")


def test_request_payer_is_passed_over(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", RequestPayer="requester")
    assert read(s3, bucket, "k", RequestPayer="requester") == b"x"


def test_overwriting_replaces_everything(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 100_000, Metadata={"a": "1"}, Tagging="t=1")
    s3.put_object(Bucket=bucket, Key="k", Body=b"y")
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"y"
    assert got["Metadata"] == {}
    assert "TagCount" not in got


def test_objects_outlive_a_restart(hearth, s3, bucket):
    body = os.urandom(70_000)
    s3.put_object(Bucket=bucket, Key="small", Body=b"small")
    s3.put_object(Bucket=bucket, Key="large", Body=body)
    hearth.stop(keep_data=True)
    hearth.start()
    assert read(s3, bucket, "small") == b"small"
    assert read(s3, bucket, "large") == body
