"""Asynchronous invocations as the tests make and watch them."""

import contextlib
import json
import re

import botocore.exceptions
import deployed
import hearth_up
import pytest

ACCOUNT = "000000000000"
REGION = "us-east-1"
FAILS = "def handler(event, context): raise Exception('intentional failure')\n"
ECHOES = "def handler(event, context): return {'event': event, 'arn': context.invoked_function_arn}\n"


def arn(name, qualifier=None):
    tail = f":{qualifier}" if qualifier else ""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}{tail}"


def advance(hearth, by):
    with hearth.get(f"/_hearth/clock/advance?by={by}", "POST", b"") as answer:
        assert answer.status == 200, answer.read()


@contextlib.contextmanager
def refused(code, message=None, status=None, contains=None):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        yield
    answer = caught.value.response
    assert answer["Error"]["Code"] == code
    if message is not None:
        assert answer["Error"]["Message"] == message
    if contains is not None:
        assert contains in answer["Error"]["Message"]
    if status is not None:
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == status


class Function:
    def __init__(self, hearth, client, name, source, **configuration):
        self.hearth, self.client, self.name = hearth, client, name
        self.arn = arn(name)
        deployed.function(client, name, source, **configuration)

    def send(self, event=None, payload=None, **more):
        """An Event call; returns its request id."""
        if payload is None:
            payload = json.dumps({} if event is None else event).encode()
        answer = self.client.invoke(
            FunctionName=self.name, InvocationType="Event", Payload=payload, **more
        )
        assert answer["StatusCode"] == 202
        assert answer["Payload"].read() == b""
        assert "FunctionError" not in answer and "ExecutedVersion" not in answer
        return answer["ResponseMetadata"]["RequestId"]

    def configure(self, retries=None, age=None, success=None, failure=None, qualifier=None):
        request = {"FunctionName": self.name}
        if retries is not None:
            request["MaximumRetryAttempts"] = retries
        if age is not None:
            request["MaximumEventAgeInSeconds"] = age
        if success or failure:
            request["DestinationConfig"] = {
                name: {"Destination": target}
                for name, target in (("OnSuccess", success), ("OnFailure", failure))
                if target
            }
        if qualifier:
            request["Qualifier"] = qualifier
        return self.client.put_function_event_invoke_config(**request)

    def starts(self):
        """Request ids of all attempts so far, in order."""
        logs = self.hearth.client("logs")
        try:
            events = logs.filter_log_events(logGroupName=f"/aws/lambda/{self.name}")["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        found = (re.match(r"START RequestId: (\S+) ", event["message"]) for event in events)
        return [match.group(1) for match in found if match]

    def wait_for_starts(self, count):
        return hearth_up.wait_for(
            lambda: len(self.starts()) >= count and self.starts(), f"{count} attempts of {self.name}"
        )


class Queue:
    def __init__(self, hearth, sqs, name, **attributes):
        self.hearth, self.sqs, self.name = hearth, sqs, name
        self.url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        self.arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"

    def take(self, wait_s=20):
        answer = self.sqs.receive_message(
            QueueUrl=self.url,
            WaitTimeSeconds=wait_s,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        for message in answer.get("Messages", []):
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            return message
        return None

    def message(self):
        return hearth_up.wait_for(self.take, f"a message in {self.name}")

    def record(self):
        return json.loads(self.message()["Body"])

    def is_empty(self):
        return self.take(wait_s=0) is None
