"""kill -9 of the cloud while messages become dead letters and are moved back, of standard and FIFO queues: what was
acknowledged is there until it is deleted, what was deleted does not come back, and groups keep their order.

Every fifth message is poison: it is given back until the queue has put it aside, and taken only when a move task has
brought it back. HEARTH_SOAK_COUNT sets the number of kills (5); HEARTH_SEED replays the choices.
"""

import json
import os
import random
import threading
import time
import urllib.error

import botocore.exceptions

import hearth_up

KILLS = int(os.environ.get("HEARTH_SOAK_COUNT", "5"))
SEED = int(os.environ.get("HEARTH_SEED", str(random.SystemRandom().randrange(2**32))))
GROUPS = 3
RECEIVES_MAX = 3
POISON_EVERY = 5
VISIBILITY_S = 120
# After a kill: what nobody knows to have received is visible again.
STEP_S = VISIBILITY_S + 1
CUT_OFF = (botocore.exceptions.BotoCoreError, OSError)


def call(hearth, operation, **members):
    """(status, answer) of what an older botocore does not know."""
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": f"AmazonSQS.{operation}",
    }
    try:
        with hearth.get("/", "POST", json.dumps(members).encode(), headers) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def is_poison(name):
    return int(name.rsplit("/", 1)[1]) % POISON_EVERY == POISON_EVERY - 1


class Notes:
    """What is known of all messages, by name: "lane/number"."""

    def __init__(self):
        self.lock = threading.Lock()
        self.acknowledged = set()
        self.receipts = {}
        self.highest = {}
        self.deletion_tried = set()
        self.deleted_at = {}
        # How often the cloud's clock was moved: handles of before may be over.
        self.era = 0


class Actor(threading.Thread):
    def __init__(self, hearth, notes, stop):
        super().__init__()
        self.sqs, self.notes, self.stop_event = hearth.client("sqs"), notes, stop
        self.failure = None

    def run(self):
        try:
            while not self.stop_event.is_set():
                try:
                    self.step()
                except CUT_OFF:
                    self.stop_event.wait(0.05)
                except botocore.exceptions.ClientError as error:
                    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                    assert status >= 500, f"not an answer for a crash: {error}"
                    self.stop_event.wait(0.05)
        except Exception as error:  # reported by the test
            self.failure = error


class Producer(Actor):
    """Sends the numbers of one lane; one without an answer is not sent again."""

    def __init__(self, hearth, notes, stop, url, lane):
        super().__init__(hearth, notes, stop)
        self.url, self.lane, self.number = url, lane, 0

    def step(self):
        name = f"{self.lane}/{self.number}"
        self.number += 1
        more = {}
        if self.url.endswith(".fifo"):
            more = {"MessageGroupId": self.lane, "MessageDeduplicationId": name}
        self.sqs.send_message(QueueUrl=self.url, MessageBody=name, **more)
        with self.notes.lock:
            self.notes.acknowledged.add(name)
        self.stop_event.wait(0.01)


class Consumer(Actor):
    def __init__(self, hearth, notes, stop, url):
        super().__init__(hearth, notes, stop)
        self.url = url

    def step(self):
        with self.notes.lock:
            era = self.notes.era
        began = time.monotonic()
        answer = self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=1, AttributeNames=["All"]
        )
        for entry in answer.get("Messages", []):
            self.work_on(entry, era, began)

    def work_on(self, entry, era, began):
        name, handle = entry["Body"], entry["ReceiptHandle"]
        lane, number = name.rsplit("/", 1)
        count = int(entry["Attributes"]["ApproximateReceiveCount"])
        assert count <= RECEIVES_MAX, f"{name} was received {count} times"
        notes = self.notes
        with notes.lock:
            deleted_at = notes.deleted_at.get(name)
            assert deleted_at is None or began < deleted_at, f"{name} was deleted"
            seen = notes.receipts[name] = notes.receipts.get(name, 0) + 1
            if seen == 1 and self.url.endswith(".fifo"):
                highest = notes.highest.get(lane, -1)
                assert int(number) > highest, f"{name} comes after {highest}"
                notes.highest[lane] = int(number)
            # More often than in one life: it was dead and has come back.
            take = not is_poison(name) or seen > RECEIVES_MAX
            if take:
                notes.deletion_tried.add(name)
        if take:
            self.delete(name, handle, era)
        else:
            self.give_back(handle)

    def delete(self, name, handle, era):
        try:
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=handle)
        except botocore.exceptions.ClientError as error:
            self.check_expired(error)
            return
        with self.notes.lock:
            if self.notes.era == era:
                self.notes.deleted_at[name] = time.monotonic()

    def give_back(self, handle):
        try:
            self.sqs.change_message_visibility(
                QueueUrl=self.url, ReceiptHandle=handle, VisibilityTimeout=0
            )
        except botocore.exceptions.ClientError as error:
            self.check_expired(error)

    @staticmethod
    def check_expired(error):
        """The clock was moved between receipt and this."""
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        codes = ("InvalidParameterValue", "MessageNotInflight", "ReceiptHandleIsInvalid")
        if status < 500:
            assert any(code in error.response["Error"]["Code"] for code in codes), error


class Mover(Actor):
    """Moves dead letters back, again and again."""

    def __init__(self, hearth, notes, stop, arns):
        super().__init__(hearth, notes, stop)
        self.hearth, self.arns, self.started = hearth, arns, 0

    def step(self):
        for arn in self.arns:
            status, answer = call(self.hearth, "StartMessageMoveTask", SourceArn=arn)
            self.started += status == 200
            running = "There is already a task running" in answer.get("message", "")
            assert status == 200 or status >= 500 or running, answer
        self.stop_event.wait(0.3)


def advance(hearth, notes, seconds):
    """Moves the cloud's clock; whatever was received before is no longer known to be hidden."""
    with notes.lock:
        notes.era += 1
    with hearth.get(f"/_hearth/clock/advance?by={seconds}s", "POST", b"") as answer:
        json.load(answer)
    with notes.lock:
        notes.era += 1


def make_queues(sqs):
    """Of each kind a queue and its dead-letter queue: name to URL."""
    urls = {}
    for suffix, more in (("", {}), (".fifo", {"FifoQueue": "true"})):
        dead = sqs.create_queue(QueueName=f"dead{suffix}", Attributes=more)["QueueUrl"]
        policy = {
            "deadLetterTargetArn": f"arn:aws:sqs:us-east-1:000000000000:dead{suffix}",
            "maxReceiveCount": RECEIVES_MAX,
        }
        attributes = {"VisibilityTimeout": str(VISIBILITY_S), "RedrivePolicy": json.dumps(policy)}
        work = sqs.create_queue(QueueName=f"work{suffix}", Attributes=attributes | more)["QueueUrl"]
        urls |= {f"dead{suffix}": dead, f"work{suffix}": work}
    return urls


def left(sqs, urls):
    """Messages in all queues."""
    total = 0
    for url in urls.values():
        shown = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        names = ("", "NotVisible", "Delayed")
        total += sum(int(shown[f"ApproximateNumberOfMessages{name}"]) for name in names)
    return total


def test_dead_letters_and_moves_survive_kills():
    print(f"seed {SEED}")
    choice = random.Random(SEED)
    with hearth_up.Hearth(options=("--test-clock",)) as hearth:
        sqs = hearth.client("sqs", retries=5)
        urls = make_queues(sqs)
        notes, no_more, over = Notes(), threading.Event(), threading.Event()
        producers = [Producer(hearth, notes, no_more, urls["work"], "standard")]
        producers += [
            Producer(hearth, notes, no_more, urls["work.fifo"], f"group-{n}") for n in range(GROUPS)
        ]
        arns = [f"arn:aws:sqs:us-east-1:000000000000:{name}" for name in ("dead", "dead.fifo")]
        mover = Mover(hearth, notes, over, arns)
        actors = [Consumer(hearth, notes, over, urls[name]) for name in ("work", "work.fifo")]
        actors += [mover, *producers]
        for actor in actors:
            actor.start()

        def failures():
            return [actor.failure for actor in actors if actor.failure]

        def enough(begun, more):
            with notes.lock:
                return failures() or len(notes.deletion_tried) >= begun + more

        try:
            for _ in range(KILLS):
                with notes.lock:
                    begun = len(notes.deletion_tried)
                more = 20 + choice.randrange(60)
                hearth_up.wait_for(lambda: enough(begun, more), "messages that are worked on")
                hearth.kill("cloud")
                hearth.wait_ready()
                advance(hearth, notes, STEP_S)
            no_more.set()

            def done():
                if failures() or left(sqs, urls) == 0:
                    return True
                advance(hearth, notes, STEP_S)
                return False

            hearth_up.wait_for(done, "all messages to be taken", 300, interval_s=2)
        finally:
            no_more.set()
            over.set()
            for actor in actors:
                actor.join()
        assert not failures(), failures()
        lost = notes.acknowledged - notes.deletion_tried
        assert not lost, sorted(lost)
        died = sum(1 for name, count in notes.receipts.items() if is_poison(name) and count > RECEIVES_MAX)
        assert died > 0
        for arn in arns:
            statuses = [
                task["Status"]
                for task in call(hearth, "ListMessageMoveTasks", SourceArn=arn, MaxResults=10)[1][
                    "Results"
                ]
            ]
            assert set(statuses) <= {"COMPLETED", "RUNNING"}, statuses
        print(
            f"{len(notes.acknowledged)} messages, {died} came back from the dead, "
            f"{mover.started} moves, {KILLS} kills"
        )
