"""Buckets that clean up after themselves."""

import os
import sys

import boto3
import botocore.config
import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import s3_control_support  # noqa: E402


@pytest.fixture(scope="module")
def s3(hearth):
    return hearth.client("s3")


@pytest.fixture(scope="module")
def unchecked(hearth):
    """A client that sends what it is told, so that the service's own checks are seen."""
    key, secret = hearth.root_key()
    return boto3.client(
        "s3",
        endpoint_url=hearth.endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=botocore.config.Config(
            parameter_validation=False, retries={"max_attempts": 0}, s3={"addressing_style": "path"}
        ),
    )


@pytest.fixture
def bucket(s3, unique):
    """An empty bucket of its own."""
    name = unique("control")
    s3.create_bucket(Bucket=name)
    yield name
    s3_control_support.remove_bucket(s3, name)


@pytest.fixture
def versioned(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


@pytest.fixture
def locked(s3, unique):
    """A bucket with object lock, whose objects are removed by force."""
    name = unique("locked")
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    yield name
    s3_control_support.remove_bucket(s3, name, bypass=True)
