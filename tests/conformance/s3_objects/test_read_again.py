"""What is read a second time comes from memory: it must be what a first reading would get."""

import botocore.exceptions
import pytest

KEY = b"k" * 32
# Where an answer begins to flow, where a body gets a file, and around both.
SIZES = (0, 1, 1_024, 16_383, 16_384, 16_385, 70_000)


def read(s3, bucket, key, **more):
    return s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()


@pytest.mark.parametrize("size", SIZES)
def test_whole_and_ranges(s3, bucket, size):
    body = bytes(number % 251 for number in range(size))
    put = s3.put_object(Bucket=bucket, Key="k", Body=body)
    if size > 2:
        # A range first: it must not stand for the whole.
        assert read(s3, bucket, "k", Range="bytes=1-1") == body[1:2]
    for _ in range(3):
        got = s3.get_object(Bucket=bucket, Key="k")
        assert got["Body"].read() == body
        assert got["ContentLength"] == size
        assert got["ETag"] == put["ETag"]
    if size > 2:
        got = s3.get_object(Bucket=bucket, Key="k", Range="bytes=1-")
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert got["ContentRange"] == f"bytes 1-{size - 1}/{size}"
        assert got["Body"].read() == body[1:]
        assert read(s3, bucket, "k", Range="bytes=-2") == body[-2:]


def test_overwritten_and_deleted(s3, bucket):
    for body in (b"one", b"two", b"three"):
        s3.put_object(Bucket=bucket, Key="k", Body=body)
        assert read(s3, bucket, "k") == body
        assert read(s3, bucket, "k") == body
    s3.delete_object(Bucket=bucket, Key="k")
    with pytest.raises(botocore.exceptions.ClientError, match="NoSuchKey"):
        read(s3, bucket, "k")


def test_versions_stay_apart(s3, versioned):
    puts = {
        s3.put_object(Bucket=versioned, Key="k", Body=body)["VersionId"]: body
        for body in (b"one", b"two")
    }
    for _ in range(2):
        for version, body in puts.items():
            assert read(s3, versioned, "k", VersionId=version) == body
        assert read(s3, versioned, "k") == b"two"


def test_a_copy_is_read_like_its_source(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"copied")
    assert read(s3, bucket, "k") == b"copied"
    s3.copy_object(Bucket=bucket, Key="l", CopySource={"Bucket": bucket, "Key": "k"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"other")
    for _ in range(2):
        assert read(s3, bucket, "l") == b"copied"
        assert read(s3, bucket, "k") == b"other"


def test_a_customers_key_is_asked_for_each_time(s3, bucket):
    customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": KEY}
    s3.put_object(Bucket=bucket, Key="k", Body=b"secret", **customer)
    for _ in range(2):
        assert read(s3, bucket, "k", **customer) == b"secret"
    with pytest.raises(botocore.exceptions.ClientError, match="InvalidRequest"):
        read(s3, bucket, "k")
    with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
        read(s3, bucket, "k", SSECustomerAlgorithm="AES256", SSECustomerKey=b"w" * 32)
