"""kill -9 of the cloud while messages go through event source mappings to a function: each message whose send was
acknowledged is processed at least once, and those of a FIFO queue in order.

HEARTH_SOAK_COUNT sets the number of kills (10); HEARTH_SEED replays the choices.
"""

import os
import random
import threading

import botocore.exceptions

import deployed
import hearth_up

KILLS = int(os.environ.get("HEARTH_SOAK_COUNT", "10"))
SEED = int(os.environ.get("HEARTH_SEED", str(random.SystemRandom().randrange(2**32))))
GROUPS = 3
BUCKET = "seen"
# Short, so that what was in flight at a kill comes back soon; long enough for cold starts of a busy machine.
VISIBILITY_S = 20
CUT_OFF = (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, OSError)

# Notes each message as an object. Of a FIFO group, number n may come only when n - 1 was noted.
RECORDER = """
import boto3, botocore.exceptions

s3 = boto3.client("s3")

def there(key):
    try:
        s3.head_object(Bucket="seen", Key=key)
        return True
    except botocore.exceptions.ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise

def handler(event, context):
    for record in event["Records"]:
        key = record["body"]
        lane, number = key.rsplit("/", 1)
        if lane.startswith("fifo") and int(number) > 0 and not there(f"{lane}/{int(number) - 1}"):
            s3.put_object(Bucket="seen", Key=f"overtaken/{key}", Body=b"")
        s3.put_object(Bucket="seen", Key=key, Body=b"")
"""


class Producer(threading.Thread):
    """Sends numbers of one lane, each until it is acknowledged; a FIFO lane is one message group."""

    def __init__(self, hearth, url, lane, stop):
        super().__init__()
        self.sqs = hearth.client("sqs")
        self.url, self.lane, self.stop_event = url, lane, stop
        self.sent, self.failure = 0, None

    def run(self):
        try:
            while not self.stop_event.is_set():
                self.step()
        except Exception as error:  # reported by the test
            self.failure = error

    def step(self):
        more = {}
        if self.lane.startswith("fifo"):
            more = {"MessageGroupId": self.lane, "MessageDeduplicationId": f"{self.lane}-{self.sent}"}
        try:
            self.sqs.send_message(
                QueueUrl=self.url, MessageBody=f"{self.lane}/{self.sent}", **more
            )
        except CUT_OFF as error:
            if isinstance(error, botocore.exceptions.ClientError):
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                assert status >= 500, f"not an answer for a crash: {error}"
            self.stop_event.wait(0.05)
            return
        self.sent += 1
        # The function is slower than the queue.
        self.stop_event.wait(0.02)


def seen(hearth, prefix=""):
    pages = hearth.client("s3", retries=5).get_paginator("list_objects_v2")
    return {
        entry["Key"]
        for page in pages.paginate(Bucket=BUCKET, Prefix=prefix)
        for entry in page.get("Contents", [])
    }


def test_messages_survive_kills():
    print(f"seed {SEED}")
    choice = random.Random(SEED)
    with hearth_up.Hearth() as hearth:
        hearth.client("s3").create_bucket(Bucket=BUCKET)
        sqs, functions = hearth.client("sqs"), hearth.client("lambda")
        function = deployed.function(functions, "recorder", RECORDER, Timeout=VISIBILITY_S)
        urls = {}
        for name, attributes in (("standard", {}), ("fifo.fifo", {"FifoQueue": "true"})):
            attributes["VisibilityTimeout"] = str(VISIBILITY_S)
            urls[name] = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
            functions.create_event_source_mapping(
                EventSourceArn=f"arn:aws:sqs:us-east-1:000000000000:{name}",
                FunctionName=function.name,
            )
        stop = threading.Event()
        producers = [Producer(hearth, urls["standard"], "standard", stop)]
        producers += [
            Producer(hearth, urls["fifo.fifo"], f"fifo{group}", stop) for group in range(GROUPS)
        ]
        for producer in producers:
            producer.start()
        try:
            for _ in range(KILLS):
                before = sum(producer.sent for producer in producers)
                more = 20 + choice.randrange(40)
                hearth_up.wait_for(
                    lambda: any(p.failure for p in producers)
                    or sum(p.sent for p in producers) >= before + more,
                    "messages that are acknowledged",
                )
                hearth.kill("cloud")
        finally:
            stop.set()
            for producer in producers:
                producer.join()
        assert not [producer.failure for producer in producers if producer.failure], producers
        hearth.wait_ready()
        expected = {
            f"{producer.lane}/{number}" for producer in producers for number in range(producer.sent)
        }
        try:
            hearth_up.wait_for(
                lambda: expected <= seen(hearth), "every message to be seen", 300, interval_s=0.5
            )
        except AssertionError as error:
            counts = {
                name: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
                for name, url in urls.items()
            }
            missing = sorted(expected - seen(hearth))
            raise AssertionError(f"{error}; not seen: {missing}; queues: {counts}") from None
        assert seen(hearth, "overtaken/") == set()
        print(f"{len(expected)} messages, {KILLS} kills")
