"""Objects sealed with keys that clients bring (SSE-C)."""

import base64
import hashlib
import os

import pytest

from s3_objects_support import add_headers, read, refused

KEY = b"k" * 32
OTHER = b"o" * 32
HEADER = "x-amz-server-side-encryption-customer-"


@pytest.fixture(scope="module")
def s3(hearth):
    client = hearth.client("s3")
    # The client refuses to send a key without TLS; Hearth takes it on the machine itself.
    return client


def with_key(key):
    return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}


@pytest.mark.parametrize("size", [10, 200_000])
def test_bytes_come_back_with_the_key(s3, bucket, size):
    body = os.urandom(size)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, **with_key(KEY))
    assert put["SSECustomerAlgorithm"] == "AES256"
    assert put["SSECustomerKeyMD5"] == base64.b64encode(hashlib.md5(KEY).digest()).decode()
    assert put["ETag"] != f'"{hashlib.md5(body).hexdigest()}"'
    assert read(s3, bucket, "k", **with_key(KEY)) == body


@pytest.mark.parametrize("size", [10, 200_000])
def test_wrong_key(s3, bucket, size):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x" * size, **with_key(KEY))
    with refused("AccessDenied", 403):
        s3.get_object(Bucket=bucket, Key="k", **with_key(OTHER))
    with refused("403", 403):
        s3.head_object(Bucket=bucket, Key="k", **with_key(OTHER))


def test_missing_key(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **with_key(KEY))
    with refused(
        "InvalidRequest",
        400,
        "The object was stored using a form of Server Side Encryption. The correct parameters must "
        "be provided to retrieve the object.",
    ):
        s3.get_object(Bucket=bucket, Key="k")


def test_key_of_an_object_without_one(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with refused("InvalidRequest", 400):
        s3.get_object(Bucket=bucket, Key="k", **with_key(KEY))


def test_short_key(s3, bucket):
    with refused("InvalidArgument", 400, "The secret key was invalid for the specified algorithm."):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", **with_key(b"short"))


def test_md5_of_another_key(s3, bucket):
    wrong = base64.b64encode(hashlib.md5(OTHER).digest()).decode()
    with add_headers(s3, "PutObject", {HEADER + "key-MD5": wrong}):
        with refused(
            "InvalidArgument",
            400,
            "The calculated MD5 hash of the key did not match the hash that was provided.",
        ):
            s3.put_object(Bucket=bucket, Key="k", Body=b"x", **with_key(KEY))


def test_other_algorithm(s3, bucket):
    with refused("InvalidEncryptionAlgorithmError", 400):
        s3.put_object(
            Bucket=bucket, Key="k", Body=b"x", SSECustomerAlgorithm="ROT13", SSECustomerKey=KEY
        )


def test_copy_from_key_to_key(s3, bucket):
    body = os.urandom(100_000)
    s3.put_object(Bucket=bucket, Key="from", Body=body, **with_key(KEY))
    s3.copy_object(
        Bucket=bucket,
        Key="to",
        CopySource={"Bucket": bucket, "Key": "from"},
        CopySourceSSECustomerAlgorithm="AES256",
        CopySourceSSECustomerKey=KEY,
        **with_key(OTHER),
    )
    assert read(s3, bucket, "to", **with_key(OTHER)) == body
