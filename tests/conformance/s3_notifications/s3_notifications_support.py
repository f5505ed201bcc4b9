"""Queues as the tests read them, and configurations."""

import contextlib
import json
import time

import botocore.exceptions
import pytest

DEADLINE_S = 120


class Queue:
    """A queue of its own, read one message at a time with long polls."""

    def __init__(self, sqs, name):
        self.sqs = sqs
        self.url = sqs.create_queue(QueueName=name)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        self.arn = attributes["Attributes"]["QueueArn"]

    def messages(self, count, attributes=()):
        """The next `count` messages, in the order in which they came; deletes them."""
        seen = []
        deadline = time.monotonic() + DEADLINE_S
        while len(seen) < count:
            assert time.monotonic() < deadline, f"{len(seen)} of {count} messages: {seen}"
            answer = self.sqs.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=min(10, count - len(seen)),
                WaitTimeSeconds=10,
                AttributeNames=list(attributes),
            )
            for message in answer.get("Messages", []):
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
                seen.append(message)
        return seen

    def events(self, count):
        """The next `count` records. Order is not promised: they come sorted by sequencer and name."""
        records = []
        while len(records) < count:
            records += json.loads(self.messages(1)[0]["Body"])["Records"]
        return sorted(records, key=lambda r: (r["s3"]["object"].get("sequencer", ""), r["eventName"]))

    def event(self):
        return self.events(1)[0]


def configuration(queue, events, **more):
    return {"QueueConfigurations": [{"QueueArn": queue.arn, "Events": list(events), **more}]}


def only(name, value):
    """A filter of one rule."""
    return {"Key": {"FilterRules": [{"Name": name, "Value": value}]}}


def tell(s3, bucket, queue, events, **more):
    """Configures the bucket and takes the test event from the queue."""
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=configuration(queue, events, **more)
    )
    test = json.loads(queue.messages(1)[0]["Body"])
    assert test["Event"] == "s3:TestEvent"
    return test


@contextlib.contextmanager
def refused(code, message=None):
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        yield raised
    error = raised.value.response["Error"]
    assert error["Code"] == code, error
    if message is not None:
        assert error["Message"] == message
