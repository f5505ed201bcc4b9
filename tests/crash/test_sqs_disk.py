"""A full disk under queues: what is refused is told, what was acknowledged is there, and once there is room all goes on."""

import os

import botocore.exceptions

import hearth_up
from test_s3_disk import small_disk

MIB = 1 << 20
BODY = "b" * 60_000


TOLD = set()  # messages of refusals


def attempt(call):
    """(answer, None) or (None, status); no answer counts as 503."""
    try:
        return call(), None
    except botocore.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] and error.response["Error"]["Message"], error.response
        TOLD.add(error.response["Error"]["Message"])
        return None, error.response["ResponseMetadata"]["HTTPStatusCode"]
    except botocore.exceptions.HTTPClientError:
        return None, 503


def fill(path):
    """To the last byte; what is written to it later fills what has become free since."""
    with open(path, "ab", buffering=0) as file:
        size = 4 * MIB
        while size >= 512:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2


def test_a_full_disk_under_a_queue():
    with small_disk(160) as data, hearth_up.Hearth(data=data) as hearth:
        sqs = hearth.client("sqs")
        urls = [
            sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
            for name, attributes in (("q", {}), ("q.fifo", {"FifoQueue": "true"}))
        ]

        def send(queue, body):
            more = {}
            if urls[queue].endswith(".fifo"):
                more = {"MessageGroupId": "g", "MessageDeduplicationId": body.split()[0]}
            return sqs.send_message(QueueUrl=urls[queue], MessageBody=body, **more)

        def receive(queue, visibility=3600):
            return attempt(
                lambda: sqs.receive_message(
                    QueueUrl=urls[queue], MaxNumberOfMessages=1, VisibilityTimeout=visibility
                ).get("Messages", [])
            )

        # Of each queue: number to its state, "there" or "open" (no clear answer) or "gone".
        state = [{}, {}]
        held = []
        for number in range(20):
            for queue in (0, 1):
                send(queue, f"{number} {BODY}")
                state[queue][number] = "there"
        # What will be deleted while the disk is full.
        for _ in range(5):
            held += receive(0)[0]

        filler = os.path.join(data, "filler")
        fill(filler)
        refused = 0
        for number in range(20, 3_000):
            queue = number % 2
            answer, status = attempt(lambda: send(queue, f"{number} {BODY}"))
            if status is None:
                assert answer["MessageId"]
                state[queue][number] = "there"
                continue
            assert status >= 500, status
            state[queue][number] = "open"
            refused += 1
            if refused == 20:
                break
        assert refused == 20, "the disk took everything"
        assert any("no room on the disk" in message for message in TOLD), TOLD

        # Nothing was kept from those who read, and whatever is refused is told as such.
        for queue in (0, 1):
            shown = sqs.get_queue_attributes(QueueUrl=urls[queue], AttributeNames=["All"])
            assert int(shown["Attributes"]["ApproximateNumberOfMessages"]) > 0
        for message in held:
            number = int(message["Body"].split()[0])
            _, status = attempt(
                lambda: sqs.delete_message(
                    QueueUrl=urls[0], ReceiptHandle=message["ReceiptHandle"]
                )
            )
            assert status is None or status >= 500
            state[0][number] = "gone" if status is None else "open"
        for queue in (0, 1):
            messages, status = receive(queue, 0)
            assert status is None or status >= 500
            for message in messages or []:
                assert state[queue][int(message["Body"].split()[0])] != "gone"

        os.unlink(filler)
        for queue in (0, 1):
            hearth_up.wait_for(
                lambda: attempt(lambda: send(queue, f"9000 {BODY}"))[1] is None,
                "messages that are taken once there is room",
            )
        for message in held:
            # Handles of before are good; what was deleted already may be deleted again.
            sqs.delete_message(QueueUrl=urls[0], ReceiptHandle=message["ReceiptHandle"])
            state[0][int(message["Body"].split()[0])] = "gone"

        # After a start the same.
        hearth.stop(keep_data=True)
        hearth.start()
        sqs = hearth.client("sqs")
        for queue in (0, 1):
            state[queue][9000] = "there"
            shown = sqs.get_queue_attributes(QueueUrl=urls[queue], AttributeNames=["All"])
            said = int(shown["Attributes"]["ApproximateNumberOfMessages"])
            found = []
            while True:
                messages, status = receive(queue)
                assert status is None
                if not messages:
                    break
                for message in messages:
                    number, body = message["Body"].split()
                    assert body == BODY
                    found.append(int(number))
                    sqs.delete_message(
                        QueueUrl=urls[queue], ReceiptHandle=message["ReceiptHandle"]
                    )
            there = {number for number, what in state[queue].items() if what == "there"}
            gone = {number for number, what in state[queue].items() if what == "gone"}
            assert there <= set(found) <= set(state[queue]) - gone, (queue, there - set(found))
            assert said == len(found)
            if queue == 1:
                assert found == sorted(set(found)), "order of the group"
            else:
                # The last one may be there of each attempt that had no answer.
                found = [number for number in found if number != 9000]
                assert len(found) == len(set(found))
