"""Buckets that clean up after themselves, uploads, and bodies that are large enough for parts."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import s3_multipart_support  # noqa: E402


@pytest.fixture(scope="module")
def s3(hearth):
    return hearth.client("s3")


@pytest.fixture
def bucket(s3, unique):
    """An empty bucket of its own."""
    name = unique("bucket")
    s3.create_bucket(Bucket=name)
    yield name
    s3_multipart_support.remove_bucket(s3, name)


@pytest.fixture
def versioned(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


@pytest.fixture
def begin(s3, bucket):
    """begin("key") starts an upload."""
    return lambda key="key", **arguments: s3_multipart_support.Upload(s3, bucket, key, **arguments)
