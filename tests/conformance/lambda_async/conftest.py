"""Functions that are invoked asynchronously, and queues that hear what became of it."""

import contextlib
import os
import sys

import botocore.exceptions
import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lambda_async_support as support  # noqa: E402


@pytest.fixture(scope="module")
def client(hearth):
    return hearth.client("lambda")


@pytest.fixture(scope="module")
def sqs(hearth):
    return hearth.client("sqs")


@pytest.fixture(scope="module")
def s3(hearth):
    return hearth.client("s3")


@pytest.fixture
def deploy(hearth, client, unique):
    """deploy(source, **configuration) -> Function; all are deleted afterwards."""
    made = []

    def make(source, **configuration):
        made.append(support.Function(hearth, client, unique("async"), source, **configuration))
        return made[-1]

    yield make
    for function in made:
        with contextlib.suppress(client.exceptions.ResourceNotFoundException):
            client.delete_function(FunctionName=function.name)


@pytest.fixture
def queue(hearth, sqs, unique):
    made = support.Queue(hearth, sqs, unique("outcome"))
    yield made
    with contextlib.suppress(botocore.exceptions.ClientError):
        sqs.delete_queue(QueueUrl=made.url)


@pytest.fixture
def other_queue(hearth, sqs, unique):
    made = support.Queue(hearth, sqs, unique("letters"))
    yield made
    with contextlib.suppress(botocore.exceptions.ClientError):
        sqs.delete_queue(QueueUrl=made.url)


@pytest.fixture
def advance(hearth):
    """advance("1m") moves the clock; all that was due has run when it returns."""
    return lambda by: support.advance(hearth, by)
