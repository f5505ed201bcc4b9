"""kill -9 of the cloud while objects are put into a bucket that tells a queue: of every put that was acknowledged
there is an event, and there is none of a put that was never committed.

HEARTH_SOAK_COUNT sets the number of kills (10); HEARTH_SEED replays the choices.
"""

import json
import os
import random
import threading
import time

import botocore.exceptions

import hearth_up

KILLS = int(os.environ.get("HEARTH_SOAK_COUNT", "10"))
SEED = int(os.environ.get("HEARTH_SEED", str(random.SystemRandom().randrange(2**32))))
WORKERS = 4
BUCKET = "told"
CUT_OFF = (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, OSError)


def is_refusal(error):
    """True for an answer that says no; everything else leaves the outcome open."""
    if not isinstance(error, botocore.exceptions.ClientError):
        return False
    return error.response["ResponseMetadata"]["HTTPStatusCode"] < 500


class Producer(threading.Thread):
    """Puts keys of its own, each once; some writes are refused, and must not be told."""

    def __init__(self, hearth, number, stop):
        super().__init__()
        self.s3 = hearth.client("s3")
        self.number, self.stop_event = number, stop
        self.random = random.Random(f"{SEED} {number}")
        self.acknowledged, self.writes, self.failure = [], 0, None

    def run(self):
        try:
            while not self.stop_event.is_set():
                self.step()
        except Exception as error:  # reported by the test
            self.failure = error

    def step(self):
        self.writes += 1
        key = f"{self.number}/{self.writes}"
        try:
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
        except CUT_OFF as error:
            assert not is_refusal(error), error
            # A pause for the restart.
            self.stop_event.wait(0.05)
            return
        self.acknowledged.append(key)
        if self.random.randrange(4) == 0:
            try:
                self.s3.put_object(Bucket=BUCKET, Key=key, Body=b"refused", IfNoneMatch="*")
                raise AssertionError("an object was replaced against its condition")
            except CUT_OFF:
                pass


class Consumer(threading.Thread):
    """Takes events from the queue until it is told that there are enough."""

    def __init__(self, hearth, url):
        super().__init__()
        self.sqs, self.url = hearth.client("sqs"), url
        self.stop_event = threading.Event()
        self.events, self.failure = [], None

    def run(self):
        try:
            while not self.stop_event.is_set():
                try:
                    self.take()
                except CUT_OFF as error:
                    assert not is_refusal(error), error
                    self.stop_event.wait(0.05)
        except Exception as error:  # reported by the test
            self.failure = error

    def take(self):
        answer = self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=1
        )
        messages = answer.get("Messages", [])
        for message in messages:
            self.events += json.loads(message["Body"]).get("Records", [])
        if messages:
            self.sqs.delete_message_batch(
                QueueUrl=self.url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                    for number, message in enumerate(messages)
                ],
            )


def test_every_put_is_told_and_nothing_else():
    print(f"seed {SEED}")
    choice = random.Random(SEED)
    with hearth_up.Hearth() as hearth:
        s3, sqs = hearth.client("s3", retries=5), hearth.client("sqs", retries=5)
        s3.create_bucket(Bucket=BUCKET)
        url = sqs.create_queue(QueueName="events")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        s3.put_bucket_notification_configuration(
            Bucket=BUCKET,
            NotificationConfiguration={
                "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]
            },
        )
        stop = threading.Event()
        producers = [Producer(hearth, number, stop) for number in range(WORKERS)]
        consumer = Consumer(hearth, url)
        for thread in (consumer, *producers):
            thread.start()
        try:
            for _ in range(KILLS):
                before = sum(len(producer.acknowledged) for producer in producers)
                hearth_up.wait_for(
                    lambda: any(p.failure for p in producers)
                    or sum(len(p.acknowledged) for p in producers)
                    >= before + 20 + choice.randrange(40),
                    "writes that are acknowledged",
                )
                hearth.kill("cloud")
            stop.set()
            for producer in producers:
                producer.join()
            assert not [p.failure for p in producers if p.failure]
            hearth.wait_ready()
            acknowledged = {key for producer in producers for key in producer.acknowledged}

            def all_told():
                told = {event["s3"]["object"]["key"] for event in list(consumer.events)}
                return consumer.failure or acknowledged <= told

            hearth_up.wait_for(all_told, "an event of every acknowledged put", interval_s=0.1)
            # Whoever is told too much is told now.
            time.sleep(0.5)
        finally:
            stop.set()
            consumer.stop_event.set()
            consumer.join()
        assert consumer.failure is None, consumer.failure
        there = {
            entry["Key"]: entry["ETag"].strip('"')
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
            for entry in page.get("Contents", [])
        }
        for event in consumer.events:
            thing = event["s3"]["object"]
            assert there.get(thing["key"]) == thing["eTag"], f"told of what is not there: {event}"
        told = [event["s3"]["object"]["key"] for event in consumer.events]
        assert set(told) >= acknowledged
        print(f"{len(acknowledged)} puts acknowledged, {len(told)} events, {KILLS} kills")
