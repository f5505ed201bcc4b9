"""A function that keeps what it is called with, and groups that it subscribes to."""

import contextlib
import os
import sys

import deployed
import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import logs_subscriptions_support as support  # noqa: E402


@pytest.fixture(scope="module")
def logs(hearth):
    return hearth.client("logs")


@pytest.fixture(scope="module")
def listener(hearth):
    client = hearth.client("lambda")
    deployed.function(client, "listener", support.LISTENER)
    client.add_permission(
        FunctionName="listener",
        StatementId="logs",
        Action="lambda:InvokeFunction",
        Principal="logs.amazonaws.com",
    )
    return client.get_function(FunctionName="listener")["Configuration"]["FunctionArn"]


@pytest.fixture
def group(logs, unique):
    name = unique("/test/told")
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="stream")
    yield name
    with contextlib.suppress(logs.exceptions.ResourceNotFoundException):
        logs.delete_log_group(logGroupName=name)
