"""Buckets that tell queues, and the queues they tell."""

import contextlib
import os
import sys

import boto3
import botocore.config
import botocore.exceptions
import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import s3_notifications_support as support  # noqa: E402


@pytest.fixture(scope="module")
def s3(hearth):
    return hearth.client("s3")


@pytest.fixture(scope="module")
def sqs(hearth):
    return hearth.client("sqs")


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
    name = unique("told")
    s3.create_bucket(Bucket=name)
    yield name
    with contextlib.suppress(botocore.exceptions.ClientError):
        s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={})
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
            for entry in page.get("Versions", []) + page.get("DeleteMarkers", []):
                s3.delete_object(Bucket=name, Key=entry["Key"], VersionId=entry["VersionId"])
        s3.delete_bucket(Bucket=name)


@pytest.fixture
def queue(sqs, unique):
    made = support.Queue(sqs, unique("events"))
    yield made
    with contextlib.suppress(botocore.exceptions.ClientError):
        sqs.delete_queue(QueueUrl=made.url)


@pytest.fixture
def told(s3, bucket, queue):
    """A bucket of which the queue hears everything; the test event is gone already."""
    everything = [
        "s3:ObjectCreated:*",
        "s3:ObjectRemoved:*",
        "s3:ObjectRestore:*",
        "s3:ObjectTagging:*",
        "s3:ObjectAcl:Put",
        "s3:LifecycleExpiration:*",
        "s3:LifecycleTransition",
        "s3:IntelligentTiering",
    ]
    support.tell(s3, bucket, queue, everything)
    return bucket
