"""Clients and functions that clean up after themselves."""

import contextlib
import os
import sys

import boto3
import botocore.config
import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from functions import REGION, ROLE, code  # noqa: E402


@pytest.fixture(scope="module")
def client(hearth):
    return hearth.client("lambda")


@pytest.fixture(scope="module")
def unchecked(hearth):
    """A client that sends what it is told, so that the service's own checks are seen."""
    key, secret = hearth.root_key()
    return boto3.client(
        "lambda",
        endpoint_url=hearth.endpoint,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=botocore.config.Config(
            parameter_validation=False, retries={"max_attempts": 0}, read_timeout=120
        ),
    )


@pytest.fixture
def create(client, unique):
    """create(**changes) makes a function and returns the answer; all are deleted afterwards."""
    names = []

    def make(name=None, **changes):
        name = name or unique("fn")
        request = {
            "FunctionName": name,
            "Runtime": "python3.12",
            "Role": ROLE,
            "Handler": "index.handler",
            "Code": code(),
        }
        request.update(changes)
        request = {key: value for key, value in request.items() if value is not None}
        answer = client.create_function(**request)
        names.append(answer["FunctionName"])
        return answer

    yield make
    for name in names:
        with contextlib.suppress(client.exceptions.ResourceNotFoundException):
            client.delete_function(FunctionName=name)
