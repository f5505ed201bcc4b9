"""kill -9 of the cloud while functions are invoked asynchronously: every event that was accepted runs at least once,
and of every one there is a record.

HEARTH_SOAK_COUNT sets the number of kills (10); HEARTH_SEED replays the choices.
"""

import json
import os
import random
import threading

import botocore.exceptions

import deployed
import hearth_up

KILLS = int(os.environ.get("HEARTH_SOAK_COUNT", "10"))
SEED = int(os.environ.get("HEARTH_SEED", str(random.SystemRandom().randrange(2**32))))
WORKERS = 3
CUT_OFF = (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, OSError)
# It says what it saw in its answer, which the record of success carries: what is recorded has run.
SOURCE = "def handler(event, context): return {'saw': event['n']}\n"


def is_refusal(error):
    """True for an answer that says no; everything else leaves the outcome open."""
    if not isinstance(error, botocore.exceptions.ClientError):
        return False
    return error.response["ResponseMetadata"]["HTTPStatusCode"] < 500


class Caller(threading.Thread):
    """Sends events of its own, each once."""

    def __init__(self, hearth, number, stop):
        super().__init__()
        self.client = hearth.client("lambda")
        self.number, self.stop_event = number, stop
        self.accepted, self.calls, self.failure = [], 0, None

    def run(self):
        try:
            while not self.stop_event.is_set():
                self.calls += 1
                event = f"{self.number}/{self.calls}"
                try:
                    self.client.invoke(
                        FunctionName="counted",
                        InvocationType="Event",
                        Payload=json.dumps({"n": event}).encode(),
                    )
                except CUT_OFF as error:
                    assert not is_refusal(error), error
                    # A pause for the restart.
                    self.stop_event.wait(0.05)
                    continue
                self.accepted.append(event)
        except Exception as error:  # reported by the test
            self.failure = error


class Listener(threading.Thread):
    """Takes records from the queue until it is told that there are enough."""

    def __init__(self, hearth, url):
        super().__init__()
        self.sqs, self.url = hearth.client("sqs"), url
        self.stop_event = threading.Event()
        self.records, self.failure = [], None

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
        self.records += [json.loads(message["Body"]) for message in messages]
        if messages:
            self.sqs.delete_message_batch(
                QueueUrl=self.url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                    for number, message in enumerate(messages)
                ],
            )


def test_every_accepted_event_runs():
    print(f"seed {SEED}")
    choice = random.Random(SEED)
    with hearth_up.Hearth() as hearth:
        client, sqs = hearth.client("lambda", retries=5), hearth.client("sqs", retries=5)
        url = sqs.create_queue(QueueName="records")["QueueUrl"]
        arn = "arn:aws:sqs:us-east-1:000000000000:records"
        deployed.function(client, "counted", SOURCE)
        client.put_function_event_invoke_config(
            FunctionName="counted",
            DestinationConfig={
                "OnSuccess": {"Destination": arn},
                "OnFailure": {"Destination": arn},
            },
        )
        stop = threading.Event()
        callers = [Caller(hearth, number, stop) for number in range(WORKERS)]
        listener = Listener(hearth, url)
        for thread in (listener, *callers):
            thread.start()
        try:
            for _ in range(KILLS):
                goal = sum(len(one.accepted) for one in callers) + 10 + choice.randrange(30)
                hearth_up.wait_for(
                    lambda: any(one.failure for one in callers)
                    or sum(len(one.accepted) for one in callers) >= goal,
                    "events that are accepted",
                )
                hearth.kill("cloud")
            stop.set()
            for caller in callers:
                caller.join()
            assert not [one.failure for one in callers if one.failure]
            hearth.wait_ready()
            accepted = {event for caller in callers for event in caller.accepted}

            def all_ran():
                ran = {record["requestPayload"]["n"] for record in list(listener.records)}
                return listener.failure or accepted <= ran

            hearth_up.wait_for(all_ran, "a record of every accepted event", interval_s=0.1)
        finally:
            stop.set()
            listener.stop_event.set()
            listener.join()
        assert listener.failure is None, listener.failure
        for record in listener.records:
            assert record["requestContext"]["condition"] == "Success", record
            assert record["responsePayload"] == {"saw": record["requestPayload"]["n"]}
        # One event may have more than one record, and then they are of one request.
        ids = {}
        for record in listener.records:
            ids.setdefault(record["requestPayload"]["n"], set()).add(
                record["requestContext"]["requestId"]
            )
        assert all(len(found) == 1 for found in ids.values())
        print(f"{len(accepted)} events accepted, {len(listener.records)} records, {KILLS} kills")
