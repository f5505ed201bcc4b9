"""Queues, functions that tell what they saw, and mappings between them; all are taken away afterwards."""

import contextlib
import json

import pytest

import deployed
import hearth_up

# Prints each event, and does what the message says.
RECORDER = """
import json, time

def handler(event, context):
    print("SAW " + json.dumps(event))
    failures = []
    for record in event["Records"]:
        body = record["body"]
        if body.startswith("raise"):
            raise Exception("as told")
        if body.startswith("sleep"):
            time.sleep(30)
        if body.startswith("item"):
            failures.append({"itemIdentifier": record["messageId"]})
        if body.startswith("answer "):
            return json.loads(body[7:])
    return {"batchItemFailures": failures}
"""


@pytest.fixture(scope="module")
def client(hearth):
    return hearth.client("lambda")


@pytest.fixture(scope="module")
def sqs(hearth):
    return hearth.client("sqs")


class Queue:
    def __init__(self, sqs, url):
        self.sqs, self.url = sqs, url
        self.arn = self.attributes()["QueueArn"]

    def attributes(self):
        return self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])["Attributes"]

    def send(self, body, **more):
        return self.sqs.send_message(QueueUrl=self.url, MessageBody=body, **more)["MessageId"]

    def counts(self):
        """(visible, in flight)"""
        found = self.attributes()
        return (
            int(found["ApproximateNumberOfMessages"]),
            int(found["ApproximateNumberOfMessagesNotVisible"]),
        )

    def wait_counts(self, expected):
        hearth_up.wait_for(
            lambda: self.counts() == expected, f"{expected} messages, there are {self.counts()}"
        )


class Recorder:
    """A function and what it saw."""

    def __init__(self, hearth, function):
        self.logs = hearth.client("logs")
        self.name, self.invoke = function.name, function.invoke

    def events(self):
        """The events it got, in order."""
        try:
            pages = self.logs.get_paginator("filter_log_events").paginate(
                logGroupName=f"/aws/lambda/{self.name}", filterPattern='"SAW"'
            )
            return [
                json.loads(line["message"].split("SAW ", 1)[1])
                for page in pages
                for line in page["events"]
            ]
        except self.logs.exceptions.ResourceNotFoundException:
            return []

    def bodies(self):
        return [record["body"] for event in self.events() for record in event["Records"]]

    def wait_bodies(self, expected):
        hearth_up.wait_for(
            lambda: sorted(self.bodies()) == sorted(expected),
            f"the function to see {sorted(expected)}, it saw {sorted(self.bodies())}",
        )


@pytest.fixture
def queue(sqs, unique):
    """queue(name="...", VisibilityTimeout="60") -> Queue"""
    made = []

    def make(name=None, **attributes):
        name = name or unique("queue")
        if attributes.get("FifoQueue") and not name.endswith(".fifo"):
            name += ".fifo"
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        made.append(Queue(sqs, url))
        return made[-1]

    yield make
    for one in made:
        with contextlib.suppress(sqs.exceptions.QueueDoesNotExist):
            sqs.delete_queue(QueueUrl=one.url)


@pytest.fixture
def recorder(hearth, client, unique):
    made = []

    def make(source=RECORDER, **configuration):
        function = deployed.function(
            client, unique("fn"), source, **{"Timeout": 10, **configuration}
        )
        made.append(function.name)
        return Recorder(hearth, function)

    yield make
    for name in made:
        with contextlib.suppress(client.exceptions.ResourceNotFoundException):
            client.delete_function(FunctionName=name)


@pytest.fixture
def mapping(client):
    """mapping(queue, function, ...) -> the answer of CreateEventSourceMapping"""
    made = []

    def make(queue, function, **more):
        answer = client.create_event_source_mapping(
            EventSourceArn=queue.arn, FunctionName=function.name, **more
        )
        made.append(answer["UUID"])
        return answer

    yield make
    for uuid in made:
        with contextlib.suppress(client.exceptions.ResourceNotFoundException):
            client.delete_event_source_mapping(UUID=uuid)
