"""kill -9 of the cloud while messages are sent, received, hidden, deleted and purged in queues of every sort: an oracle
of its own notes what was acknowledged, and whatever the queues say must agree with it.

An operation without an answer may have happened or not. Everything else is exact: what was acknowledged as sent
is there, what was deleted while it was its receiver's does not come back, what is hidden stays hidden, handles and
receive counts outlive the cloud, groups keep their order and deduplication ids hold.

HEARTH_SOAK_COUNT sets the number of kills (10); HEARTH_SEED replays the choices.
"""

import collections
import datetime
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
GROUPS_PER_WORKER = 2
RECEIVES_MAX = 4
HELD_MAX = 12
# The cloud's time moves on so much after each kill, which lets the queue be purged again.
STEP_S = 61
DEDUPLICATION_S = 300
# The cloud keeps milliseconds and cuts off what is below them.
SLACK_S = 0.02
HALF_DAY_S = 43_200
CUT_OFF = (botocore.exceptions.BotoCoreError, OSError)


class Refused(Exception):
    """A 4xx: an answer, and nothing has happened."""


class Unanswered(Exception):
    """Nobody knows whether it happened."""


class CloudTime:
    """The cloud's time, known up to what passed while one asked."""

    def __init__(self, hearth):
        self.hearth = hearth
        self.least = self.most = 0.0

    def advance(self, seconds):
        while True:
            # From here on it may have moved.
            self.most += seconds
            before = time.time()
            try:
                with self.hearth.get(f"/_hearth/clock/advance?by={seconds}s", "POST", b"") as answer:
                    text = json.load(answer)["now"]
                now = datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
            except OSError:
                self.hearth.wait_ready()
                continue
            self.least, self.most = now - time.time(), now - before
            return

    def at_least(self):
        return time.time() + self.least - SLACK_S

    def at_most(self):
        return time.time() + self.most + SLACK_S


class Message:
    """What the oracle knows of one message."""

    def __init__(self, lane=None, number=None):
        self.lane, self.number = lane, number
        self.padding = ""
        self.sent = False  # acknowledged
        self.deleting = False  # asked for, by whatever handle
        self.deleted_at = None  # acknowledged, while it was hidden
        self.shown_at = 0.0  # delayed until then at least
        self.hidden = None  # (acknowledged at, until at least)
        self.id = None
        self.sequence = None
        self.receives = (0, 0.0)  # count, acknowledged at
        self.dead_at = None  # seen in the dead-letter queue at


class Lane:
    """One message group, sent by one thread."""

    def __init__(self, name):
        self.name = name
        self.messages = []
        self.first_kept = 0  # before it a deletion of each has been asked for
        self.doubtful = False  # a send was repeated after its deduplication id had expired

    def not_deleting_before(self, number):
        while (
            self.first_kept < len(self.messages) and self.messages[self.first_kept].deleting
        ):
            self.first_kept += 1
        return [m for m in self.messages[self.first_kept : number] if not m.deleting]


class Oracle:
    def __init__(self, clock):
        self.clock = clock
        self.lock = threading.Lock()
        self.messages = {}
        self.lanes = {}
        self.acknowledged = collections.Counter()
        self.lives = 0

    def new(self, body, lane=None):
        with self.lock:
            message = self.messages[body] = Message(lane, len(lane.messages) if lane else None)
            if lane:
                lane.messages.append(message)
            return message

    def received(self, queue, answer, asked, visibility):
        """Checks what a queue gave to a request that was begun at `asked`: (local, cloud's time at least)."""
        began, began_cloud = asked
        now, now_cloud = time.monotonic(), self.clock.at_most()
        with self.lock:
            in_answer = collections.defaultdict(set)
            for entry in answer:
                name, attributes = name_of(entry), entry["Attributes"]
                assert name in self.messages, f"{queue} has {name}, which nobody sent"
                message = self.messages[name]
                what = f"{name} of {queue}"
                assert entry["Body"] == name + message.padding, f"{what} is another"
                assert message.deleted_at is None or began < message.deleted_at, f"{what} was deleted"
                assert message.shown_at <= now_cloud, f"{what} is delayed until {message.shown_at}"
                if message.hidden is not None:
                    acknowledged, until = message.hidden
                    assert began < acknowledged or until <= now_cloud, f"{what} is hidden until {until}"
                count = int(attributes["ApproximateReceiveCount"])
                known, at = message.receives
                if queue == "dead":
                    message.dead_at = message.dead_at or now
                elif queue == "standard":
                    assert message.dead_at is None or began < message.dead_at, f"{what} was dead"
                    assert count <= RECEIVES_MAX, f"{what} was received {count} times"
                if queue != "dead":
                    assert count > known or began < at, f"{what}: {count} receives, were {known}"
                    if count > known:
                        message.receives = (count, now)
                if message.lane is None or not message.lane.doubtful:
                    message.id = message.id or entry["MessageId"]
                    assert message.id == entry["MessageId"], f"{what} is there twice"
                if message.lane is not None and not message.lane.doubtful:
                    sequence = attributes["SequenceNumber"]
                    message.sequence = message.sequence or sequence
                    assert message.sequence == sequence, f"{what} has another sequence number"
                    before = message.lane.not_deleting_before(message.number)
                    overtaken = [m.number for m in before if m.number not in in_answer[message.lane]]
                    assert not overtaken, f"{what} came before {overtaken}"
                    assert all(n < message.number for n in in_answer[message.lane]), f"{what}: order"
                    in_answer[message.lane].add(message.number)
                self.hide(message, now, began_cloud, visibility)

    @staticmethod
    def hide(message, now, began_cloud, visibility):
        until = began_cloud + visibility
        message.hidden = (now, until) if visibility else None

    def asked(self):
        return time.monotonic(), self.clock.at_least()


Held = collections.namedtuple("Held", "queue name handle until life")


class Worker(threading.Thread):
    def __init__(self, hearth, number, urls, oracle, stop):
        super().__init__()
        self.sqs = hearth.client("sqs")
        self.number, self.urls, self.oracle, self.stop_event = number, urls, oracle, stop
        self.random = random.Random(f"{SEED} {number}")
        self.lanes = [Lane(f"w{number}g{g}") for g in range(GROUPS_PER_WORKER)]
        self.again = {}  # lane: entries whose send has no answer yet, and since when
        self.sends = 0
        self.held = []
        self.late = collections.deque(maxlen=20)  # handles of which nobody knows whose they are now
        self.generations = [[]]  # of the queue that is purged, between purges
        self.failure = None
        self.old_handles = 0

    def run(self):
        try:
            while not self.stop_event.is_set():
                self.step()
        except Exception as error:  # reported by the test
            self.failure = error

    def call(self, operation, queue, **more):
        try:
            answer = getattr(self.sqs, operation)(QueueUrl=self.urls[queue], **more)
        except botocore.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                raise Refused(error.response["Error"]["Code"]) from error
            raise Unanswered from error
        except CUT_OFF as error:
            raise Unanswered from error
        self.oracle.acknowledged[operation] += 1
        return answer

    def step(self):
        actions = [(self.send, 4), (self.send_ordered, 4), (self.receive, 6), (self.forget_late, 1)]
        if self.held:
            actions += [(self.delete, 6), (self.change, 3)]
        if self.number == 0:
            actions += [(self.send_to_purged, 2), (self.purge, 0.3)]
        action = self.random.choices([a for a, _ in actions], [weight for _, weight in actions])[0]
        try:
            action()
        except Unanswered:
            # pause for the restart; the outcome stays open
            self.stop_event.wait(0.03)

    # Sending

    def bodies(self, count):
        self.sends += count
        return [f"w{self.number}-{self.sends - n}" for n in range(count)]

    def batch(self, queue, entries):
        """Sends one as a message and more as a batch; returns the ids."""
        if len(entries) == 1:
            return [self.call("send_message", queue, **entries[0])["MessageId"]]
        answer = self.call(
            "send_message_batch",
            queue,
            Entries=[{"Id": str(n), **entry} for n, entry in enumerate(entries)],
        )
        assert not answer.get("Failed"), answer
        return [e["MessageId"] for e in sorted(answer["Successful"], key=lambda e: int(e["Id"]))]

    def count(self):
        return self.random.choice((1, 1, 1, 3, 7))

    def send(self):
        entries, sent = [], []
        began = self.oracle.clock.at_least()
        for body in self.bodies(self.count()):
            message = self.oracle.new(body)
            delay = self.random.choice((0, 0, 0, 1, 900))
            message.shown_at = began + delay if delay else 0.0
            message.padding = self.random.choice(("", "", " " + "x" * 300, " " + "y" * 30_000))
            entries.append({"MessageBody": body + message.padding, "DelaySeconds": delay})
            sent.append(message)
        self.acknowledge(sent, self.batch("standard", entries))

    def acknowledge(self, sent, ids):
        with self.oracle.lock:
            for message, message_id in zip(sent, ids, strict=True):
                doubtful = message.lane is not None and message.lane.doubtful
                assert doubtful or message.id in (None, message_id), "a message has got two ids"
                message.sent, message.id = True, message_id

    def send_ordered(self):
        lane = next(iter(self.again), None) or self.random.choice(self.lanes)
        clock = self.oracle.clock
        if lane in self.again and clock.at_most() - self.again[lane][1] > DEDUPLICATION_S - 2 * STEP_S:
            # Too late to send it again. Whether it was sent stays open, so nothing may follow it.
            del self.again[lane]
            self.lanes[self.lanes.index(lane)] = lane = Lane(f"{lane.name}'")
        if lane not in self.again:
            first = len(lane.messages)
            numbers = range(first, first + self.count())
            sent = [self.oracle.new(f"{lane.name}/{n}", lane) for n in numbers]
            self.again[lane] = sent, clock.at_least()
        sent, since = self.again[lane]
        entries = [
            {
                "MessageBody": f"{lane.name}/{m.number}",
                "MessageGroupId": lane.name,
                "MessageDeduplicationId": f"{lane.name}-{m.number}",
            }
            for m in sent
        ]
        ids = self.batch("order.fifo", entries)
        if clock.at_most() - since >= DEDUPLICATION_S:
            with self.oracle.lock:
                lane.doubtful = True
            ids = [None] * len(ids)
        self.acknowledge(sent, ids)
        del self.again[lane]
        if self.random.random() < 0.3:
            # The same ids again, maybe in the cloud's next life: nothing is sent.
            doubled = [dict(entry, MessageBody="double") for entry in entries]
            again = self.batch("order.fifo", doubled)
            if clock.at_most() - since < DEDUPLICATION_S:
                assert again == ids, "a deduplication id was forgotten"

    # Receiving

    def receive(self):
        if len(self.held) >= HELD_MAX:
            return self.delete()
        queue = self.random.choice(("standard", "standard", "order.fifo", "order.fifo", "dead"))
        if queue == "order.fifo":
            visibility = self.random.choice((0, 1, 30, 150))
        else:
            visibility = self.random.choice((0, 1, 150, 3600))
        asked = self.oracle.asked()
        life = self.oracle.lives
        answer = self.call(
            "receive_message",
            queue,
            MaxNumberOfMessages=self.random.choice((1, 3, 10)),
            VisibilityTimeout=visibility,
            AttributeNames=["All"],
        )
        answer = answer.get("Messages", [])
        self.oracle.received(queue, answer, asked, visibility)
        for entry in answer:
            one = Held(queue, name_of(entry), entry["ReceiptHandle"], asked[1] + visibility, life)
            (self.held if visibility > 1 else self.late).append(one)

    def take(self):
        """Some of what is held and surely still hidden."""
        queue = self.random.choice(self.held).queue
        taken = [one for one in self.held if one.queue == queue][: self.count()]
        self.held = [one for one in self.held if one not in taken]
        now = self.oracle.clock.at_most()
        self.late += [one for one in taken if one.until <= now]
        return [one for one in taken if one.until > now]

    def delete(self):
        if not self.held:
            return
        taken = self.take()
        if taken:
            self.delete_these(taken)

    def delete_these(self, taken):
        with self.oracle.lock:
            for one in taken:
                self.oracle.messages[one.name].deleting = True
        queue = taken[0].queue
        failed = []
        if len(taken) == 1:
            try:
                self.call("delete_message", queue, ReceiptHandle=taken[0].handle)
            except Refused as error:
                failed = [error]
        else:
            answer = self.call(
                "delete_message_batch",
                queue,
                Entries=[{"Id": str(n), "ReceiptHandle": one.handle} for n, one in enumerate(taken)],
            )
            failed = answer.get("Failed", [])
        now, now_cloud = time.monotonic(), self.oracle.clock.at_most()
        in_time = [one for one in taken if one.until > now_cloud]
        if len(in_time) == len(taken):
            assert not failed, failed
        if failed:
            return
        with self.oracle.lock:
            for one in in_time:
                self.oracle.messages[one.name].deleted_at = now
                self.old_handles += one.life < self.oracle.lives

    def forget_late(self):
        """A deletion with a handle that came too late, which standard queues may still honour."""
        if not self.late:
            return
        one = self.late.popleft()
        with self.oracle.lock:
            self.oracle.messages[one.name].deleting = True
        try:
            self.call("delete_message", one.queue, ReceiptHandle=one.handle)
        except Refused:
            assert one.queue == "order.fifo"

    def change(self):
        taken = self.take()
        if not taken:
            return
        visibility = self.random.choice((0, 1, 150))
        with self.oracle.lock:
            for one in taken:
                # Whatever is true from now on, it is not the old time.
                self.oracle.messages[one.name].hidden = None
        began = self.oracle.clock.at_least()
        try:
            answer = self.call(
                "change_message_visibility_batch",
                taken[0].queue,
                Entries=[
                    {"Id": str(n), "ReceiptHandle": one.handle, "VisibilityTimeout": visibility}
                    for n, one in enumerate(taken)
                ],
            )
        except Unanswered:
            self.late += taken
            raise
        now, now_cloud = time.monotonic(), self.oracle.clock.at_most()
        if any(one.until <= now_cloud for one in taken):
            self.late += taken
            return
        assert not answer.get("Failed"), answer
        with self.oracle.lock:
            for one in taken:
                if visibility > 1:
                    self.oracle.hide(self.oracle.messages[one.name], now, began, visibility)
                    self.held.append(one._replace(until=began + visibility))
                else:
                    self.late.append(one)

    # Purging

    def send_to_purged(self):
        bodies = self.bodies(self.count())
        sent = [self.oracle.new(body) for body in bodies]
        self.generations[-1] += sent
        ids = self.batch("purged", [{"MessageBody": body} for body in bodies])
        self.acknowledge(sent, ids)

    def purge(self):
        with self.oracle.lock:
            for message in self.generations[-1]:
                message.deleting = True
        try:
            self.call("purge_queue", "purged")
        except Refused as error:
            assert "PurgeQueueInProgress" in str(error), error
            with self.oracle.lock:
                for message in self.generations[-1]:
                    message.deleting = False
            return
        except Unanswered:
            self.generations.append([])
            raise
        now = time.monotonic()
        with self.oracle.lock:
            for message in sum(self.generations, []):
                message.deleted_at = now
        self.generations = [[]]


class End:
    """What is there when everything has come to rest."""

    def __init__(self, hearth, urls, oracle):
        self.sqs, self.urls, self.oracle = hearth.client("sqs"), urls, oracle
        self.found = {queue: [] for queue in urls}
        self.handles = {queue: [] for queue in urls}

    def counts(self, queue):
        shown = self.sqs.get_queue_attributes(QueueUrl=self.urls[queue], AttributeNames=["All"])
        names = ("", "NotVisible", "Delayed")
        return tuple(
            int(shown["Attributes"][f"ApproximateNumberOfMessages{name}"]) for name in names
        )

    def delete(self, queue, handles):
        for begin in range(0, len(handles), 10):
            answer = self.sqs.delete_message_batch(
                QueueUrl=self.urls[queue],
                Entries=[
                    {"Id": str(n), "ReceiptHandle": handle}
                    for n, handle in enumerate(handles[begin : begin + 10])
                ],
            )
            assert not answer.get("Failed"), answer

    def receive(self, queue, forget=False):
        """Takes all that can be received now, hidden for half a day or for ever."""
        while True:
            asked = self.oracle.asked()
            answer = self.sqs.receive_message(
                QueueUrl=self.urls[queue],
                MaxNumberOfMessages=10,
                VisibilityTimeout=HALF_DAY_S,
                AttributeNames=["All"],
            ).get("Messages", [])
            if not answer:
                return
            self.oracle.received(queue, answer, asked, HALF_DAY_S)
            self.found[queue] += [name_of(entry) for entry in answer]
            handles = [entry["ReceiptHandle"] for entry in answer]
            if forget:
                with self.oracle.lock:
                    for entry in answer:
                        self.oracle.messages[name_of(entry)].deleting = True
                self.delete(queue, handles)
            else:
                self.handles[queue] += handles


def name_of(entry):
    return entry["Body"].split(" ", 1)[0]


def check_end(hearth, urls, oracle, workers, clock):
    for worker in workers:
        for queue in urls:
            mine = [one for one in worker.held if one.queue == queue]
            in_time = [one for one in mine if one.until > clock.at_most()]
            for begin in range(0, len(in_time) // 2, 10):
                worker.delete_these(in_time[begin : begin + 10])
    with oracle.lock:
        must = {name for name, m in oracle.messages.items() if m.sent and not m.deleting}
        may = {name for name, m in oracle.messages.items() if m.deleted_at is None}

    # What is hidden or delayed now stays so.
    now = End(hearth, urls, oracle)
    for queue in ("standard", "dead", "order.fifo"):
        now.receive(queue)
        assert now.counts(queue)[0] == 0 or queue == "order.fifo"

    # Then everything is there, in the order of its group, and as much as is said.
    clock.advance(HALF_DAY_S + 3_700)
    end = End(hearth, urls, oracle)
    said = {queue: end.counts(queue) for queue in urls}
    assert all(rest == [0, 0] for _, *rest in said.values()), said
    end.receive("standard")
    both = said["standard"][0] + said["dead"][0]

    def dead_letters_came():
        end.receive("dead")
        return len(end.found["standard"]) + len(end.found["dead"]) >= both

    hearth_up.wait_for(dead_letters_came, f"all that {said} count")
    end.receive("order.fifo", forget=True)
    end.receive("purged")
    assert len(end.found["order.fifo"]) == said["order.fifo"][0]
    assert len(end.found["purged"]) == said["purged"][0]
    found = sum(end.found.values(), [])
    assert len(found) == len(set(found)) == sum(visible for visible, *_ in said.values())
    assert must <= set(found) <= may, (must - set(found), set(found) - may)
    # A purge without an answer took all or nothing.
    left = [
        {name in set(found) for name, m in oracle.messages.items() if m in generation and m.sent}
        for generation in workers[0].generations
    ]
    assert all(len(some) < 2 for some in left), left
    left = [True in some for some in left if some]
    assert left == sorted(left), left

    for queue in ("standard", "dead", "purged"):
        hearth_up.wait_for(
            lambda: end.counts(queue) == (0, len(end.found[queue]), 0),
            f"{queue} to count {len(end.found[queue])} in flight",
        )
        end.delete(queue, end.handles[queue])
    assert {end.counts(queue) for queue in urls} == {(0, 0, 0)}
    return len(found)


def test_queues_survive_kills():
    print(f"seed {SEED}")
    choice = random.Random(SEED)
    with hearth_up.Hearth(options=("--test-clock",)) as hearth:
        sqs = hearth.client("sqs")
        redrive = {
            "deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead",
            "maxReceiveCount": RECEIVES_MAX,
        }
        urls = {
            name: sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
            for name, attributes in (
                ("dead", {}),
                ("standard", {"RedrivePolicy": json.dumps(redrive)}),
                ("order.fifo", {"FifoQueue": "true"}),
                ("purged", {}),
            )
        }
        clock = CloudTime(hearth)
        oracle = Oracle(clock)
        stop = threading.Event()
        workers = [Worker(hearth, number, urls, oracle, stop) for number in range(WORKERS)]
        for worker in workers:
            worker.start()

        def wait_for_work(more):
            before = sum(oracle.acknowledged.values())
            hearth_up.wait_for(
                lambda: any(worker.failure for worker in workers)
                or sum(oracle.acknowledged.values()) >= before + more,
                "operations that are acknowledged",
            )

        try:
            for _ in range(KILLS):
                wait_for_work(60 + choice.randrange(100))
                # At any moment of whatever is under way.
                time.sleep(choice.random() * 0.02)
                oracle.lives += 1
                hearth.kill("cloud")
                hearth.wait_ready()
                clock.advance(STEP_S)
                if any(worker.failure for worker in workers):
                    break
            wait_for_work(60)
        finally:
            stop.set()
            for worker in workers:
                worker.join()
        for worker in workers:
            if worker.failure:
                raise worker.failure
        left = check_end(hearth, urls, oracle, workers, clock)
        old_handles = sum(worker.old_handles for worker in workers)
        assert old_handles > 0
        dead = sum(message.dead_at is not None for message in oracle.messages.values())
        print(
            f"{dict(oracle.acknowledged)}, {KILLS} kills; of {len(oracle.messages)} messages {left} "
            f"were left, {dead} died, {old_handles} were deleted with a handle of an earlier life"
        )
