"""Calls that run until a test lets them go, and what a throttled call looks like."""

import concurrent.futures
import contextlib
import json

import botocore.exceptions
import pytest

import hearth_up

ACCOUNT = "000000000000"

# Waits until its function has a tag: a call of the API, so no file and no clock is shared.
HOLD = """
import json
import os
import time
import urllib.request

def handler(event, context):
    if event.get("hold"):
        arn = ":".join(context.invoked_function_arn.split(":")[:7])
        tags = os.environ["AWS_ENDPOINT_URL"] + "/2017-03-31/tags/" + arn
        while "go" not in json.loads(urllib.request.urlopen(tags).read())["Tags"]:
            time.sleep(0.02)
    return context.function_version
"""


class Held:
    """Calls that run until `let_go`."""

    def __init__(self, hearth, client, function):
        self.hearth = hearth
        self.client = client
        self.name = function.name
        self.arn = f"arn:aws:lambda:{hearth_up.REGION}:{ACCOUNT}:function:{function.name}"
        self.pool = concurrent.futures.ThreadPoolExecutor(16)
        self.calls = []

    def busy(self):
        with self.hearth.get("/_hearth/slots") as answer:
            functions = json.loads(answer.read())["functions"]
        return sum(
            environment["state"] == "busy"
            for one in functions
            if one["function"] == self.name
            for environment in one["environments"]
        )

    def start(self, qualifier=None):
        """Returns when the call runs."""
        before = self.busy()
        name = f"{self.name}:{qualifier}" if qualifier else self.name
        self.calls.append(self.pool.submit(invoke, self.client, name, {"hold": True}))
        hearth_up.wait_for(lambda: self.busy() > before, "the call to run")

    def let_go(self):
        self.client.tag_resource(Resource=self.arn, Tags={"go": "1"})
        answers = [call.result(hearth_up.DEADLINE_S) for call in self.calls]
        self.client.untag_resource(Resource=self.arn, TagKeys=["go"])
        self.calls = []
        return answers


def invoke(client, name, event=None):
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event or {}).encode())
    body = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, body
    return body


@contextlib.contextmanager
def throttled(reason):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        yield
    response = caught.value.response
    assert response["Error"]["Code"] == "TooManyRequestsException", response
    assert response["Error"]["Message"] == "Rate Exceeded."
    assert response["Reason"] == reason
    assert response["Type"] == "User"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"


@contextlib.contextmanager
def refused(code, message=None):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        yield
    response = caught.value.response
    assert response["Error"]["Code"] == code, response
    if message is not None:
        assert response["Error"]["Message"] == message
