"""Messages as boto3 of Debian sees them: what goes in comes out, with its sums; what may not is told why."""

import hashlib
import json
import struct

import pytest

HEARTH_OPTIONS = ("--test-clock",)
NON_EXISTENT = "AWS.SimpleQueueService.NonExistentQueue"
MESSAGE_BYTES_MAX = 1024 * 1024


def advance(hearth, by):
    with hearth.get(f"/_hearth/clock/advance?by={by}", "POST", b"") as answer:
        return json.load(answer)


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def attributes_md5(attributes):
    """The documented form: lengths of four bytes, names, types, 1 or 2, values, in order of names."""
    hashed = hashlib.md5()
    for name in sorted(attributes):
        value = attributes[name]
        binary = value["DataType"].startswith("Binary")
        content = value["BinaryValue"] if binary else value["StringValue"].encode()
        for part in (name.encode(), value["DataType"].encode()):
            hashed.update(struct.pack(">I", len(part)) + part)
        hashed.update(b"\2" if binary else b"\1")
        hashed.update(struct.pack(">I", len(content)) + content)
    return hashed.hexdigest()


ATTRIBUTES = {
    "text": {"DataType": "String", "StringValue": "hällo <&> \"x\" \r\n\t😀"},
    "text.more": {"DataType": "String.custom", "StringValue": "x"},
    "number": {"DataType": "Number", "StringValue": "-12.5e3"},
    "bytes": {"DataType": "Binary.png", "BinaryValue": bytes(range(256))},
}


def receive_one(sqs, queue, **arguments):
    messages = sqs.receive_message(QueueUrl=queue, **arguments).get("Messages", [])
    assert len(messages) == 1, messages
    return messages[0]


@pytest.mark.parametrize("body", ["x", "  spaces stay  ", "ä漢😀", "<xml attr=\"1\">&amp;'</xml>", "\t\r\n", "line\r\nline\n"])
def test_bodies_come_back_as_they_were(sqs, queue, body):
    sent = sqs.send_message(QueueUrl=queue, MessageBody=body)
    assert sent["MD5OfMessageBody"] == md5(body)
    assert "MD5OfMessageAttributes" not in sent and "SequenceNumber" not in sent
    message = receive_one(sqs, queue)
    assert message["Body"] == body
    assert message["MessageId"] == sent["MessageId"]
    assert message["MD5OfBody"] == md5(body)
    assert "Attributes" not in message and "MessageAttributes" not in message


def test_a_message_is_hidden_deleted_and_never_seen_again(hearth, sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    first = receive_one(sqs, queue)
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
    advance(hearth, "31s")
    second = receive_one(sqs, queue, AttributeNames=["ApproximateReceiveCount"])
    assert second["MessageId"] == first["MessageId"]
    assert second["ReceiptHandle"] != first["ReceiptHandle"]
    assert second["Attributes"] == {"ApproximateReceiveCount": "2"}
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=second["ReceiptHandle"])
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=second["ReceiptHandle"])
    advance(hearth, "31s")
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)


def test_attributes_come_back_with_their_sum(sqs, queue):
    sent = sqs.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes=ATTRIBUTES)
    assert sent["MD5OfMessageAttributes"] == attributes_md5(ATTRIBUTES)
    message = receive_one(sqs, queue, MessageAttributeNames=["All"])
    assert message["MessageAttributes"] == ATTRIBUTES
    assert message["MD5OfMessageAttributes"] == attributes_md5(ATTRIBUTES)


@pytest.mark.parametrize(
    "patterns, names",
    [
        ([".*"], {"text", "text.more", "number", "bytes"}),
        (["text"], {"text"}),
        (["text.*"], {"text", "text.more"}),
        (["number", "bytes", "never"], {"number", "bytes"}),
        (["never"], set()),
        ([], set()),
    ],
)
def test_receivers_choose_attributes_and_the_sum_is_of_those(sqs, queue, patterns, names):
    sqs.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes=ATTRIBUTES)
    message = receive_one(sqs, queue, MessageAttributeNames=patterns)
    chosen = {name: ATTRIBUTES[name] for name in names}
    assert message.get("MessageAttributes", {}) == chosen
    assert message.get("MD5OfMessageAttributes") == (attributes_md5(chosen) if chosen else None)


def test_system_attributes(sqs, queue):
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
    header = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}}
    sent = sqs.send_message(QueueUrl=queue, MessageBody="x", MessageSystemAttributes=header, MessageGroupId="tenant")
    assert sent["MD5OfMessageSystemAttributes"] == attributes_md5(header)
    shown = receive_one(sqs, queue, AttributeNames=["All"])["Attributes"]
    assert 0 <= int(shown["ApproximateFirstReceiveTimestamp"]) - int(shown["SentTimestamp"]) < 60_000
    assert {name: shown[name] for name in shown if "Timestamp" not in name} == {
        "SenderId": "000000000000",
        "ApproximateReceiveCount": "1",
        "AWSTraceHeader": trace,
        "MessageGroupId": "tenant",
    }


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"MaxNumberOfMessages": 0}, "Value 0 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10"),
        ({"MaxNumberOfMessages": 11}, "Value 11 for parameter MaxNumberOfMessages is invalid."),
        ({"WaitTimeSeconds": 21}, "Value 21 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20"),
        ({"VisibilityTimeout": 43201}, "Value 43201 for parameter VisibilityTimeout is invalid."),
        ({"VisibilityTimeout": -1}, "Value -1 for parameter VisibilityTimeout is invalid."),
    ],
)
def test_receives_are_checked(sqs, queue, fails, arguments, message):
    with fails("InvalidParameterValue", message):
        sqs.receive_message(QueueUrl=queue, **arguments)


def test_names_of_system_attributes_are_checked(sqs, queue, fails):
    with fails("InvalidAttributeName", "Unknown Attribute Nonsense."):
        sqs.receive_message(QueueUrl=queue, AttributeNames=["Nonsense"])


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        ({"MessageBody": ""}, "MissingParameter", "The request must contain the parameter MessageBody."),
        ({"MessageBody": "a\x01"}, "InvalidMessageContents", "Invalid characters found."),
        ({"MessageBody": "a\uffff"}, "InvalidMessageContents", "Invalid characters found."),
        (
            {"DelaySeconds": 901},
            "InvalidParameterValue",
            "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.",
        ),
        ({"DelaySeconds": -1}, "InvalidParameterValue", "Value -1 for parameter DelaySeconds is invalid."),
        ({"MessageDeduplicationId": "d"}, "InvalidParameterValue", "not valid for this queue type"),
        ({"MessageGroupId": "has space"}, "InvalidParameterValue", "1 to 128 in length."),
        (
            {"MessageBody": "x" * (MESSAGE_BYTES_MAX + 1)},
            "InvalidParameterValue",
            "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
        ),
        (
            {"MessageAttributes": {"n": {"DataType": "Text", "StringValue": "x"}}},
            "InvalidParameterValue",
            "set of supported type prefixes is Binary, Number, and String",
        ),
        (
            {"MessageAttributes": {"n": {"DataType": "Number", "StringValue": "x"}}},
            "InvalidParameterValue",
            "Can't cast the value of message (user) attribute 'n' to a number.",
        ),
        ({"MessageAttributes": {"aws.x": {"DataType": "String", "StringValue": "x"}}}, "InvalidParameterValue", "AWS."),
        (
            {"MessageAttributes": {f"n{n}": {"DataType": "String", "StringValue": "x"} for n in range(11)}},
            "InvalidParameterValue",
            "Number of message attributes [11] exceeds the allowed maximum [10].",
        ),
    ],
)
def test_sends_are_checked(sqs, queue, fails, arguments, code, message):
    with fails(code, message):
        sqs.send_message(**{"QueueUrl": queue, "MessageBody": "x", **arguments})
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)


def test_the_largest_message(sqs, queue):
    attributes = {"n": {"DataType": "String", "StringValue": "v" * 993}}
    body = "ä" * ((MESSAGE_BYTES_MAX - 1000) // 2)
    sqs.send_message(QueueUrl=queue, MessageBody=body, MessageAttributes=attributes)
    assert receive_one(sqs, queue)["Body"] == body


def test_a_message_whose_bytes_are_all_escaped(sqs, queue):
    body = "%" * MESSAGE_BYTES_MAX
    sqs.send_message(QueueUrl=queue, MessageBody=body)
    assert receive_one(sqs, queue)["Body"] == body


def test_a_queue_may_want_shorter_messages(sqs, make_queue, fails):
    url = make_queue(MaximumMessageSize="1024")
    sqs.send_message(QueueUrl=url, MessageBody="x" * 1024)
    with fails("InvalidParameterValue", "Message must be shorter than 1024 bytes."):
        sqs.send_message(QueueUrl=url, MessageBody="x" * 1025)


def test_batches(sqs, queue):
    entries = [{"Id": f"e{n}", "MessageBody": f"body {n}"} for n in range(10)]
    entries[3]["MessageAttributes"] = ATTRIBUTES
    answer = sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    assert "Failed" not in answer
    assert [entry["Id"] for entry in answer["Successful"]] == [entry["Id"] for entry in entries]
    for sent, entry in zip(answer["Successful"], entries):
        assert sent["MD5OfMessageBody"] == md5(entry["MessageBody"])
    assert answer["Successful"][3]["MD5OfMessageAttributes"] == attributes_md5(ATTRIBUTES)
    messages = {}
    while len(messages) < 10:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]:
            messages[message["MessageId"]] = message
    assert {message["Body"] for message in messages.values()} == {entry["MessageBody"] for entry in entries}
    handles = [message["ReceiptHandle"] for message in messages.values()]
    gone = sqs.delete_message_batch(
        QueueUrl=queue, Entries=[{"Id": str(n), "ReceiptHandle": handle} for n, handle in enumerate(handles)]
    )
    assert {entry["Id"] for entry in gone["Successful"]} == {str(n) for n in range(10)}


def test_entries_of_a_batch_fail_alone(sqs, queue):
    answer = sqs.send_message_batch(
        QueueUrl=queue,
        Entries=[
            {"Id": "good", "MessageBody": "x"},
            {"Id": "control", "MessageBody": "\x02"},
            {"Id": "delay", "MessageBody": "x", "DelaySeconds": 901},
            {"Id": "dedup", "MessageBody": "x", "MessageDeduplicationId": "d"},
        ],
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
    assert {entry["Id"]: (entry["Code"], entry["SenderFault"]) for entry in answer["Failed"]} == {
        "control": ("InvalidMessageContents", True),
        "delay": ("InvalidParameterValue", True),
        "dedup": ("InvalidParameterValue", True),
    }
    handle = receive_one(sqs, queue)["ReceiptHandle"]
    gone = sqs.delete_message_batch(
        QueueUrl=queue,
        Entries=[{"Id": "good", "ReceiptHandle": handle}, {"Id": "bad", "ReceiptHandle": "nonsense"}],
    )
    assert [entry["Id"] for entry in gone["Successful"]] == ["good"]
    assert [(entry["Id"], entry["Code"]) for entry in gone["Failed"]] == [("bad", "ReceiptHandleIsInvalid")]


def entry(identifier, body="x"):
    return {"Id": identifier, "MessageBody": body}


@pytest.mark.parametrize(
    "entries, code, message",
    [
        ([], "AWS.SimpleQueueService.EmptyBatchRequest", "There should be at least one SendMessageBatchRequestEntry in"),
        (
            [entry(str(n)) for n in range(11)],
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10. You have sent 11.",
        ),
        ([entry("a"), entry("a")], "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Id a repeated."),
        ([entry("a b")], "AWS.SimpleQueueService.InvalidBatchEntryId", "A batch entry id can only contain"),
        ([entry("x" * 81)], "AWS.SimpleQueueService.InvalidBatchEntryId", "at most 80 letters long."),
        (
            [entry("a", "x" * 600_000), entry("b", "x" * 600_000)],
            "AWS.SimpleQueueService.BatchRequestTooLong",
            "Batch requests cannot be longer than 1048576 bytes. You have sent 1200000 bytes.",
        ),
    ],
)
def test_batches_fail_as_a_whole(sqs, queue, fails, entries, code, message):
    with fails(code, message):
        sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)


def test_visibility_is_changed(hearth, sqs, queue, fails):
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    handle = receive_one(sqs, queue)["ReceiptHandle"]
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=100)
    advance(hearth, "90s")
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
    advance(hearth, "11s")
    handle = receive_one(sqs, queue)["ReceiptHandle"]
    changed = sqs.change_message_visibility_batch(
        QueueUrl=queue,
        Entries=[
            {"Id": "a", "ReceiptHandle": handle, "VisibilityTimeout": 0},
            {"Id": "b", "ReceiptHandle": handle, "VisibilityTimeout": 43201},
            {"Id": "c", "ReceiptHandle": "nonsense", "VisibilityTimeout": 0},
        ],
    )
    assert [one["Id"] for one in changed["Successful"]] == ["a"]
    assert {one["Id"]: one["Code"] for one in changed["Failed"]} == {
        "b": "InvalidParameterValue",
        "c": "ReceiptHandleIsInvalid",
    }
    receive_one(sqs, queue)
    with fails("InvalidParameterValue", "Value 43201 for parameter VisibilityTimeout is invalid."):
        sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=43201)


def test_handles_are_checked(sqs, queue, make_queue, fails):
    for handle in ("nonsense", "AAAA", "x" * 5000):
        with fails("ReceiptHandleIsInvalid") as refused:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle)
        assert refused.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    with fails("MissingParameter", "The request must contain the parameter ReceiptHandle."):
        sqs.delete_message(QueueUrl=queue, ReceiptHandle="")
    other = make_queue()
    sqs.send_message(QueueUrl=other, MessageBody="x")
    with fails("ReceiptHandleIsInvalid"):
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=receive_one(sqs, other)["ReceiptHandle"])


def test_delays(hearth, sqs, make_queue):
    url = make_queue(DelaySeconds="10")
    sqs.send_message(QueueUrl=url, MessageBody="queue's")
    sqs.send_message(QueueUrl=url, MessageBody="own", DelaySeconds=0)
    assert receive_one(sqs, url)["Body"] == "own"
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesDelayed"])
    assert counts["Attributes"] == {"ApproximateNumberOfMessagesDelayed": "1"}
    advance(hearth, "11s")
    assert receive_one(sqs, url)["Body"] == "queue's"


def test_dead_letters(hearth, sqs, make_queue, redrive, arn_of):
    dead = make_queue()
    source = make_queue(VisibilityTimeout="5", RedrivePolicy=redrive(dead, 2))
    sent = sqs.send_message(QueueUrl=source, MessageBody="poison", MessageAttributes=ATTRIBUTES)
    for _ in range(2):
        receive_one(sqs, source)
        advance(hearth, "6s")
    assert "Messages" not in sqs.receive_message(QueueUrl=source)
    letter = receive_one(sqs, dead, AttributeNames=["All"], MessageAttributeNames=["All"], WaitTimeSeconds=20)
    assert letter["MessageId"] == sent["MessageId"]
    assert letter["Body"] == "poison"
    assert letter["MessageAttributes"] == ATTRIBUTES
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == arn_of(source)


def test_a_long_poll_ends_with_the_message(sqs, hearth, queue):
    import threading

    got = []
    waiting = threading.Thread(
        target=lambda: got.extend(
            hearth.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=20).get("Messages", [])
        )
    )
    waiting.start()
    sqs.send_message(QueueUrl=queue, MessageBody="news")
    waiting.join(120)
    assert [message["Body"] for message in got] == ["news"]


def test_messages_and_handles_survive_a_restart(hearth, sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="kept", MessageAttributes=ATTRIBUTES)
    sqs.send_message(QueueUrl=queue, MessageBody="held")
    handle = receive_one(sqs, queue, VisibilityTimeout=600)
    hearth.stop(keep_data=True)
    hearth.start()
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle["ReceiptHandle"])
    left = receive_one(sqs, queue, MaxNumberOfMessages=10)
    assert {left["Body"], handle["Body"]} == {"kept", "held"}


def test_messages_of_a_queue_that_is_not_there(sqs, fails):
    url = "http://127.0.0.1/000000000000/never"
    for call in (
        lambda: sqs.send_message(QueueUrl=url, MessageBody="x"),
        lambda: sqs.receive_message(QueueUrl=url),
        lambda: sqs.delete_message(QueueUrl=url, ReceiptHandle="x"),
        lambda: sqs.purge_queue(QueueUrl=url),
        lambda: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]),
    ):
        with fails(NON_EXISTENT, "The specified queue does not exist for this wsdl version."):
            call()
    with fails("InvalidAddress", "is not valid for this endpoint."):
        sqs.send_message(QueueUrl="nonsense", MessageBody="x")
