"""One bucket per module, emptied when its tests are done."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


@pytest.fixture(scope="module")
def s3(hearth):
    return hearth.client("s3")


@pytest.fixture(scope="module")
def bucket(s3):
    name = f"raw-{os.getpid()}-{os.urandom(4).hex()}"
    s3.create_bucket(Bucket=name)
    yield name
    for item in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=item["Key"])
    s3.delete_bucket(Bucket=name)


@pytest.fixture
def absent(s3, bucket):
    """absent("key"): nothing of a refused upload is visible."""

    def check(key):
        found = s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])
        assert [item["Key"] for item in found] == []

    return check
