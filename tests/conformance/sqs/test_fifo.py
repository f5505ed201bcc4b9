"""FIFO queues: order in groups, deduplication, and what they want of a message."""

import json

import pytest

HEARTH_OPTIONS = ("--test-clock",)


def advance(hearth, by):
    with hearth.get(f"/_hearth/clock/advance?by={by}", "POST", b"") as answer:
        return json.load(answer)


@pytest.fixture
def fifo(make_queue):
    return make_queue(fifo=True)


def send(sqs, url, body, group="g", deduplication=None):
    more = {} if deduplication == "" else {"MessageDeduplicationId": deduplication or body}
    return sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group, **more)


def receive(sqs, url, maximum=10, **arguments):
    return sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=maximum, **arguments).get("Messages", [])


def bodies(messages):
    return [message["Body"] for message in messages]


def test_messages_come_in_order_with_growing_numbers(sqs, fifo):
    numbers = [send(sqs, fifo, f"m{n}")["SequenceNumber"] for n in range(12)]
    assert numbers == sorted(numbers) and len(set(numbers)) == 12
    assert all(len(number) == 20 for number in numbers)
    messages = receive(sqs, fifo, AttributeNames=["All"])
    assert bodies(messages) == [f"m{n}" for n in range(10)]
    assert [message["Attributes"]["SequenceNumber"] for message in messages] == numbers[:10]
    assert messages[0]["Attributes"]["MessageGroupId"] == "g"
    assert messages[0]["Attributes"]["MessageDeduplicationId"] == "m0"
    # The group waits for the first ten.
    assert receive(sqs, fifo) == []
    for message in messages:
        sqs.delete_message(QueueUrl=fifo, ReceiptHandle=message["ReceiptHandle"])
    assert bodies(receive(sqs, fifo)) == ["m10", "m11"]


def test_groups_do_not_wait_for_each_other(sqs, fifo):
    send(sqs, fifo, "a1", "a")
    send(sqs, fifo, "a2", "a")
    send(sqs, fifo, "b1", "b")
    assert bodies(receive(sqs, fifo, 1)) == ["a1"]
    assert bodies(receive(sqs, fifo)) == ["b1"]
    assert receive(sqs, fifo) == []


def test_what_was_not_deleted_comes_first_again(hearth, sqs, fifo):
    for body in ("m1", "m2", "m3"):
        send(sqs, fifo, body)
    assert bodies(receive(sqs, fifo, 1)) == ["m1"]
    advance(hearth, "31s")
    assert bodies(receive(sqs, fifo)) == ["m1", "m2", "m3"]


def test_duplicates_are_taken_once_in_five_minutes(hearth, sqs, fifo):
    first = send(sqs, fifo, "one", deduplication="d")
    again = send(sqs, fifo, "other", deduplication="d")
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    messages = receive(sqs, fifo)
    assert bodies(messages) == ["one"]
    sqs.delete_message(QueueUrl=fifo, ReceiptHandle=messages[0]["ReceiptHandle"])
    send(sqs, fifo, "still", deduplication="d")
    assert receive(sqs, fifo) == []
    advance(hearth, "301s")
    send(sqs, fifo, "after", deduplication="d")
    assert bodies(receive(sqs, fifo)) == ["after"]


def test_deduplication_by_content(sqs, make_queue):
    url = make_queue(fifo=True, ContentBasedDeduplication="true")
    send(sqs, url, "same", deduplication="")
    send(sqs, url, "same", deduplication="")
    send(sqs, url, "same", deduplication="explicit")
    assert bodies(receive(sqs, url)) == ["same", "same"]


def test_deduplication_by_group(sqs, make_queue):
    by_queue = make_queue(fifo=True)
    by_group = make_queue(fifo=True, DeduplicationScope="messageGroup")
    for url, expected in ((by_queue, 1), (by_group, 2)):
        send(sqs, url, "x", "a", "d")
        send(sqs, url, "y", "b", "d")
        assert len(receive(sqs, url)) == expected


def test_batches_keep_their_order(sqs, fifo):
    entries = [
        {"Id": str(n), "MessageBody": f"m{n}", "MessageGroupId": "g", "MessageDeduplicationId": str(n)}
        for n in range(10)
    ]
    answer = sqs.send_message_batch(QueueUrl=fifo, Entries=entries)
    numbers = [entry["SequenceNumber"] for entry in answer["Successful"]]
    assert numbers == sorted(numbers)
    assert bodies(receive(sqs, fifo)) == [f"m{n}" for n in range(10)]


def test_what_a_fifo_queue_wants(sqs, fifo, fails):
    with fails("MissingParameter", "The request must contain the parameter MessageGroupId."):
        sqs.send_message(QueueUrl=fifo, MessageBody="x")
    with fails("InvalidParameterValue", "ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"):
        sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="g")
    with fails("InvalidParameterValue", "not valid for this queue type"):
        sqs.send_message(
            QueueUrl=fifo, MessageBody="x", MessageGroupId="g", MessageDeduplicationId="d", DelaySeconds=1
        )
    with fails("InvalidParameterValue", "MessageGroupId can only include alphanumeric and punctuation characters."):
        send(sqs, fifo, "x", "has space")
    with fails("InvalidParameterValue", "MessageDeduplicationId can only include alphanumeric and punctuation"):
        send(sqs, fifo, "x", "g", "d" * 129)


def test_an_attempt_may_be_repeated(sqs, fifo):
    send(sqs, fifo, "m1")
    first = receive(sqs, fifo, ReceiveRequestAttemptId="try")
    again = receive(sqs, fifo, ReceiveRequestAttemptId="try")
    assert bodies(first) == bodies(again) == ["m1"]
    assert receive(sqs, fifo, ReceiveRequestAttemptId="another") == []


def test_dead_letters_of_fifo_queues(hearth, sqs, make_queue, redrive):
    dead = make_queue(fifo=True)
    source = make_queue(fifo=True, VisibilityTimeout="5", RedrivePolicy=redrive(dead))
    send(sqs, source, "poison")
    send(sqs, source, "next")
    assert bodies(receive(sqs, source, 1)) == ["poison"]
    advance(hearth, "6s")
    assert bodies(receive(sqs, source, WaitTimeSeconds=20)) == ["next"]
    assert bodies(receive(sqs, dead, WaitTimeSeconds=20)) == ["poison"]


def test_handles_of_fifo_queues_end_with_their_visibility(hearth, sqs, fifo, fails):
    send(sqs, fifo, "m1")
    handle = receive(sqs, fifo)[0]["ReceiptHandle"]
    advance(hearth, "31s")
    with fails("InvalidParameterValue", "expired"):
        sqs.delete_message(QueueUrl=fifo, ReceiptHandle=handle)
