"""Buckets that clean up after themselves."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import s3_objects_support  # noqa: E402


@pytest.fixture(scope="module")
def s3(hearth):
    return hearth.client("s3")


@pytest.fixture
def bucket(s3, unique):
    """An empty bucket of its own."""
    name = unique("objects")
    s3.create_bucket(Bucket=name)
    yield name
    s3_objects_support.remove_bucket(s3, name)


@pytest.fixture
def other_bucket(s3, unique):
    name = unique("other")
    s3.create_bucket(Bucket=name)
    yield name
    s3_objects_support.remove_bucket(s3, name)


@pytest.fixture
def versioned(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket
