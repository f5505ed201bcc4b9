"""Clients and log groups that clean up after themselves."""

import contextlib
import time

import boto3
import botocore.config
import pytest

REGION = "us-east-1"


@pytest.fixture(scope="module")
def logs(hearth):
    return hearth.client("logs")


@pytest.fixture(scope="module")
def unchecked(hearth):
    """A client that sends what it is told, so that the service's own checks are seen."""
    key, secret = hearth.root_key()
    return boto3.client(
        "logs",
        endpoint_url=hearth.endpoint,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=botocore.config.Config(
            parameter_validation=False, retries={"max_attempts": 0}, read_timeout=120
        ),
    )


@pytest.fixture
def group(logs, unique):
    """A log group of its own."""
    name = unique("/test/group")
    logs.create_log_group(logGroupName=name)
    yield name
    with contextlib.suppress(logs.exceptions.ResourceNotFoundException):
        logs.delete_log_group(logGroupName=name)


@pytest.fixture
def stream(logs, group):
    logs.create_log_stream(logGroupName=group, logStreamName="stream")
    return "stream"


@pytest.fixture
def now_ms():
    return int(time.time() * 1000)
