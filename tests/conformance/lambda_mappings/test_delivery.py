"""What functions get from queues, and what becomes of messages."""

import json

import hearth_up


def test_the_event(sqs, queue, recorder, mapping):
    source, function = queue(), recorder()
    sent = sqs.send_message(
        QueueUrl=source.url,
        MessageBody='say "hi"',
        MessageAttributes={
            "text": {"DataType": "String", "StringValue": "abc"},
            "bytes": {"DataType": "Binary", "BinaryValue": b"\x01\x02"},
            "number": {"DataType": "Number.int", "StringValue": "7"},
        },
    )
    mapping(source, function)
    function.wait_bodies(['say "hi"'])
    ((record,),) = [event["Records"] for event in function.events()]
    assert record["messageId"] == sent["MessageId"]
    assert record["md5OfBody"] == sent["MD5OfMessageBody"]
    assert record["md5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert record["receiptHandle"]
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"] == source.arn
    assert record["awsRegion"] == "us-east-1"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert {"SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp"} <= set(record["attributes"])
    empty = {"stringListValues": [], "binaryListValues": []}
    assert record["messageAttributes"] == {
        "text": {"stringValue": "abc", "dataType": "String", **empty},
        "bytes": {"binaryValue": "AQI=", "dataType": "Binary", **empty},
        "number": {"stringValue": "7", "dataType": "Number.int", **empty},
    }
    source.wait_counts((0, 0))


def test_messages_without_attributes(queue, recorder, mapping):
    source, function = queue(), recorder()
    mapping(source, function)
    source.send("plain")
    function.wait_bodies(["plain"])
    record = function.events()[0]["Records"][0]
    assert record["messageAttributes"] == {}
    assert "md5OfMessageAttributes" not in record


def test_filters(queue, recorder, mapping):
    source, function = queue(), recorder()
    patterns = [{"body": {"kind": ["order"], "price": [{"numeric": [">", 10]}]}}, {"body": ["text"]}]
    mapping(
        source,
        function,
        FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)} for pattern in patterns]},
    )
    wanted = [json.dumps({"kind": "order", "price": 11}), "text"]
    unwanted = [json.dumps({"kind": "order", "price": 9}), json.dumps({"kind": "x"}), "other"]
    for body in [*unwanted, *wanted]:
        source.send(body)
    function.wait_bodies(wanted)
    # What does not match is deleted, not kept.
    source.wait_counts((0, 0))


def test_batches(sqs, queue, recorder, mapping):
    source, function = queue(), recorder()
    for start in range(0, 30, 10):
        sqs.send_message_batch(
            QueueUrl=source.url,
            Entries=[{"Id": str(n), "MessageBody": str(n)} for n in range(start, start + 10)],
        )
    mapping(source, function, BatchSize=7)
    function.wait_bodies([str(n) for n in range(30)])
    sizes = [len(event["Records"]) for event in function.events()]
    assert max(sizes) <= 7
    source.wait_counts((0, 0))


def test_a_failed_batch_stays_in_flight(queue, recorder, mapping):
    source, function = queue(), recorder()
    mapping(source, function)
    source.send("raise")
    function.wait_bodies(["raise"])
    source.wait_counts((0, 1))


def test_partial_failures(client, queue, recorder, mapping):
    source, function = queue(), recorder()
    uuid = mapping(
        source, function, FunctionResponseTypes=["ReportBatchItemFailures"], Enabled=False
    )["UUID"]
    for body in ("item 1", "fine 1", "item 2", "fine 2"):
        source.send(body)
    client.update_event_source_mapping(UUID=uuid, Enabled=True)
    function.wait_bodies(["item 1", "fine 1", "item 2", "fine 2"])
    source.wait_counts((0, 2))


def test_answers_that_fail_the_whole_batch(queue, recorder, mapping):
    source, function = queue(), recorder()
    mapping(source, function, FunctionResponseTypes=["ReportBatchItemFailures"], BatchSize=1)
    bad = [
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"id": "x"}]},
        {"batchItemFailures": [{"itemIdentifier": "nobody"}]},
        "text",
    ]
    good = [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}]
    bodies = ["answer " + json.dumps(answer) for answer in [*bad, *good]]
    for body in bodies:
        source.send(body)
    function.wait_bodies(bodies)
    source.wait_counts((0, len(bad)))


def test_a_disabled_mapping_keeps_its_backlog(client, queue, recorder, mapping):
    source, function = queue(), recorder()
    uuid = mapping(source, function)["UUID"]
    source.send("first")
    function.wait_bodies(["first"])
    client.update_event_source_mapping(UUID=uuid, Enabled=False)
    for n in range(20):
        source.send(f"later {n}")
    source.wait_counts((20, 0))
    assert function.bodies() == ["first"]
    client.update_event_source_mapping(UUID=uuid, Enabled=True)
    function.wait_bodies(["first", *(f"later {n}" for n in range(20))])
    source.wait_counts((0, 0))


def test_a_deleted_mapping_takes_nothing(client, queue, recorder, mapping):
    source, function = queue(), recorder()
    uuid = mapping(source, function)["UUID"]
    client.delete_event_source_mapping(UUID=uuid)
    source.send("nobody's")
    source.wait_counts((1, 0))
    assert function.bodies() == []


def test_fifo_in_order_by_group(queue, recorder, mapping):
    source, function = queue(FifoQueue="true", ContentBasedDeduplication="true"), recorder()
    mapping(source, function, BatchSize=3)
    expected = {}
    for n in range(30):
        group = f"g{n % 3}"
        source.send(f"{group} {n}", MessageGroupId=group)
        expected.setdefault(group, []).append(f"{group} {n}")
    function.wait_bodies([body for bodies in expected.values() for body in bodies])
    seen = {}
    for body in function.bodies():
        seen.setdefault(body.split()[0], []).append(body)
    assert seen == expected
    record = function.events()[0]["Records"][0]
    assert {"MessageGroupId", "MessageDeduplicationId", "SequenceNumber"} <= set(record["attributes"])
    source.wait_counts((0, 0))


def test_mappings_go_on_after_a_restart(hearth, client, sqs, queue, recorder, mapping):
    source, function = queue(), recorder()
    mapping(source, function)
    source.send("before")
    function.wait_bodies(["before"])
    hearth.kill("cloud")
    hearth_up.wait_for(lambda: answers(client), "the cloud to be there again")
    source.send("after")
    hearth_up.wait_for(lambda: "after" in function.bodies(), "the message after the restart")


def answers(client):
    try:
        client.list_event_source_mappings()
        return True
    except Exception:  # the connection is refused, or cut off
        return False


def test_two_functions_share_a_queue(queue, recorder, mapping):
    source, first, second = queue(), recorder(), recorder()
    mapping(source, first)
    mapping(source, second)
    for n in range(20):
        source.send(str(n))
    hearth_up.wait_for(
        lambda: sorted(first.bodies() + second.bodies()) == sorted(str(n) for n in range(20)),
        "each message to be seen once",
    )


def test_another_function(client, queue, recorder, mapping):
    source, first, second = queue(), recorder(), recorder()
    uuid = mapping(source, first)["UUID"]
    changed = client.update_event_source_mapping(UUID=uuid, FunctionName=second.name)
    assert changed["FunctionArn"].endswith(second.name)
    source.send("hello")
    second.wait_bodies(["hello"])
    assert first.bodies() == []


def test_many_queues_share_a_function(client, sqs, queue, recorder, mapping):
    function = recorder()
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=1)
    sources = [queue() for _ in range(20)]
    for number, source in enumerate(sources):
        source.send(f"of {number}")
        mapping(source, function)
    function.wait_bodies([f"of {number}" for number in range(len(sources))])
    for source in sources:
        source.wait_counts((0, 0))


LOOP = """
import boto3, os

sqs = boto3.client("sqs")

def handler(event, context):
    print("SAW " + __import__("json").dumps(event))
    for record in event["Records"]:
        sqs.send_message(QueueUrl=os.environ["QUEUE"], MessageBody=str(int(record["body"]) + 1))
"""


def test_a_loop_ends(queue, recorder, mapping):
    source = queue()
    function = recorder(LOOP, Environment={"Variables": {"QUEUE": source.url}})
    mapping(source, function)
    source.send("0")
    function.wait_bodies([str(n) for n in range(16)])
    # The seventeenth is not passed on, and there is no dead-letter queue that takes it.
    source.wait_counts((0, 0))
    assert len(function.bodies()) == 16


def test_pauses_while_there_is_no_function(client, queue, recorder, mapping):
    source, function = queue(VisibilityTimeout="10"), recorder()
    uuid = mapping(source, function)["UUID"]
    client.delete_function(FunctionName=function.name)
    source.send("nobody")

    def problem():
        shown = client.get_event_source_mapping(UUID=uuid)
        assert shown["State"] == "Enabled"
        return "Function not found" in shown.get("LastProcessingResult", "")

    hearth_up.wait_for(problem, "the mapping to say what is wrong")


def test_many_queues_take_turns(client, sqs, queue, recorder, mapping):
    """Each queue has a call before any has had many, and nobody is counted as received for waiting."""
    count, each = 30, 4
    function = recorder()
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=2)
    queues = [queue(VisibilityTimeout="900") for _ in range(count)]
    for number, one in enumerate(queues):
        sqs.send_message_batch(
            QueueUrl=one.url,
            Entries=[{"Id": str(n), "MessageBody": f"{number} {n}"} for n in range(each)],
        )
    for one in queues:
        mapping(one, function, BatchSize=1)
    expected = [f"{number} {n}" for number in range(count) for n in range(each)]
    function.wait_bodies(expected)
    records = [record for event in function.events() for record in event["Records"]]
    assert {record["attributes"]["ApproximateReceiveCount"] for record in records} == {"1"}
    # Events are shown by their time, which says when their call began up to a millisecond.
    first = {}
    for place, record in enumerate(records):
        first.setdefault(record["body"].split()[0], place)
    assert max(first.values()) < 2 * count, first
