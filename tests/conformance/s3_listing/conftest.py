"""Buckets that clean up after themselves."""

import sys
import os

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import s3_listing_support  # noqa: E402


@pytest.fixture(scope="module")
def s3(hearth):
    return hearth.client("s3")


@pytest.fixture
def bucket(s3, unique):
    """An empty bucket of its own."""
    name = unique("bucket")
    s3.create_bucket(Bucket=name)
    yield name
    s3_listing_support.remove_bucket(s3, name)


@pytest.fixture
def versioned(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


@pytest.fixture
def fill(s3, bucket):
    """fill("a", "b/c") puts small objects whose content is their key."""

    def put(*keys):
        for key in keys:
            s3.put_object(Bucket=bucket, Key=key, Body=key.encode())

    return put
