"""Clients of two accounts, and functions that are deleted afterwards."""

import contextlib
import json
import urllib.error
import urllib.request

import boto3
import botocore.config
import pytest

import deployed
import hearth_up

OTHER = "444455556666"


@pytest.fixture(scope="module")
def client(hearth):
    return hearth.client("lambda")


@pytest.fixture(scope="module")
def stranger(hearth):
    """A client of another account: in open mode a key of twelve digits names its account."""
    return boto3.client(
        "lambda",
        endpoint_url=hearth.endpoint,
        region_name=hearth_up.REGION,
        aws_access_key_id=OTHER,
        aws_secret_access_key="anything",
        config=botocore.config.Config(retries={"max_attempts": 0}),
    )


@pytest.fixture
def deploy(client, unique):
    """deploy(files, ...) -> Function; deleted afterwards."""
    made = []

    def make(files="def handler(event, context):\n    return event\n", **configuration):
        made.append(deployed.function(client, unique("fn"), files, **configuration))
        return made[-1]

    yield make
    for function in made:
        with contextlib.suppress(client.exceptions.ResourceNotFoundException):
            client.delete_function(FunctionName=function.name)


@pytest.fixture(scope="module")
def raw(hearth):
    """raw(method, path, body) -> (status, headers, JSON): for what Debian's botocore does not know."""

    def call(method, path, body=None):
        request = urllib.request.Request(
            hearth.endpoint + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=hearth_up.DEADLINE_S) as answer:
                return answer.status, dict(answer.headers), json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), json.loads(error.read() or b"null")

    return call
