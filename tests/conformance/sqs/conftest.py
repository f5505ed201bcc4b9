"""Queues for tests, made anew for each and of one Hearth for each file."""

import json

import botocore.exceptions
import pytest


@pytest.fixture(scope="module")
def sqs(hearth):
    return hearth.client("sqs")


@pytest.fixture
def make_queue(sqs, unique):
    """make_queue(VisibilityTimeout="0") is the URL of a new queue; fifo=True makes it one."""

    def make(fifo=False, tags=None, **attributes):
        if fifo:
            attributes["FifoQueue"] = "true"
        name = unique("queue") + (".fifo" if fifo else "")
        more = {"tags": tags} if tags else {}
        return sqs.create_queue(QueueName=name, Attributes=attributes, **more)["QueueUrl"]

    return make


@pytest.fixture
def queue(make_queue):
    return make_queue()


@pytest.fixture
def arn_of(sqs):
    def of(url):
        answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return answer["Attributes"]["QueueArn"]

    return of


@pytest.fixture
def fails():
    """with fails("Code", "part of the message"): ..."""

    class Fails:
        def __init__(self, code, message=""):
            self.code, self.message = code, message

        def __enter__(self):
            return self

        def __exit__(self, kind, error, trace):
            assert error is not None, f"succeeded instead of {self.code}"
            if not isinstance(error, botocore.exceptions.ClientError):
                return False
            self.response = error.response
            answer = error.response["Error"]
            assert answer["Code"] == self.code, answer
            assert self.message in answer["Message"], answer
            return True

    return Fails


@pytest.fixture
def redrive(arn_of):
    def policy(dead_letter_url, count=1):
        return json.dumps({"deadLetterTargetArn": arn_of(dead_letter_url), "maxReceiveCount": count})

    return policy
