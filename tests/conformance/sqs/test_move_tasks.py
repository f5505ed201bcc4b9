"""Redriving dead letters. The query protocol of Debian's boto3 is older than these operations: raw JSON."""

import json
import urllib.error

import pytest

import hearth_up

HEARTH_OPTIONS = ("--test-clock",)


@pytest.fixture
def call(hearth):
    def send(operation, **members):
        headers = {"x-amz-target": f"AmazonSQS.{operation}", "content-type": "application/x-amz-json-1.0"}
        try:
            with hearth.get("/", "POST", json.dumps(members).encode(), headers) as answer:
                return 200, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    return send


@pytest.fixture
def letters(hearth, sqs, make_queue, redrive, arn_of):
    """(source, dead): five messages have failed and wait among the dead letters."""
    dead = make_queue()
    source = make_queue(RedrivePolicy=redrive(dead))
    for n in range(5):
        sqs.send_message(QueueUrl=source, MessageBody=f"m{n}")
    seen = []
    while len(seen) < 5:
        seen += sqs.receive_message(QueueUrl=source, MaxNumberOfMessages=10, VisibilityTimeout=0)["Messages"]
    hearth_up.wait_for(
        lambda: "Messages" not in sqs.receive_message(QueueUrl=source, MaxNumberOfMessages=10, VisibilityTimeout=0)
        and visible(sqs, dead) == 5,
        "five dead letters",
    )
    return source, dead


def visible(sqs, url):
    shown = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(shown["Attributes"]["ApproximateNumberOfMessages"])


def ended(call, arn):
    def look():
        tasks = call("ListMessageMoveTasks", SourceArn=arn)[1]["Results"]
        return tasks[0] if tasks[0]["Status"] != "RUNNING" else None

    return hearth_up.wait_for(look, "the move task to end")


def test_letters_go_back_where_they_came_from(call, sqs, letters, arn_of):
    source, dead = letters
    status, started = call("StartMessageMoveTask", SourceArn=arn_of(dead))
    assert status == 200 and started["TaskHandle"]
    task = ended(call, arn_of(dead))
    assert task["Status"] == "COMPLETED"
    assert task["SourceArn"] == arn_of(dead)
    assert task["ApproximateNumberOfMessagesMoved"] == 5
    assert "TaskHandle" not in task and "DestinationArn" not in task
    assert task["StartedTimestamp"] > 1_700_000_000_000
    assert visible(sqs, dead) == 0
    assert visible(sqs, source) == 5


def test_letters_go_where_they_are_sent(call, sqs, letters, arn_of, make_queue):
    _, dead = letters
    elsewhere = make_queue()
    assert call("StartMessageMoveTask", SourceArn=arn_of(dead), DestinationArn=arn_of(elsewhere))[0] == 200
    task = ended(call, arn_of(dead))
    assert task["DestinationArn"] == arn_of(elsewhere)
    assert visible(sqs, elsewhere) == 5


def test_tasks_are_checked(call, letters, arn_of, make_queue):
    source, dead = letters
    never = arn_of(dead) + "-never"
    for members, kind, message in [
        ({}, "MissingRequiredParameterException", "SourceArn"),
        ({"SourceArn": never}, "ResourceNotFoundException", "SourceArn parameter doesn't exist."),
        (
            {"SourceArn": arn_of(dead), "DestinationArn": never},
            "ResourceNotFoundException",
            "DestinationArn parameter doesn't exist.",
        ),
        ({"SourceArn": arn_of(source)}, "InvalidParameterValueException", "must be configured as a Dead Letter Queue."),
        (
            {"SourceArn": arn_of(dead), "DestinationArn": arn_of(dead)},
            "InvalidParameterValueException",
            "cannot be the same",
        ),
        (
            {"SourceArn": arn_of(dead), "MaxNumberOfMessagesPerSecond": 501},
            "InvalidParameterValueException",
            "between 1 and 500",
        ),
    ]:
        status, answer = call("StartMessageMoveTask", **members)
        assert status >= 400
        assert answer["__type"].endswith("#" + kind), answer
        assert message in answer["message"]
    status, answer = call("CancelMessageMoveTask", TaskHandle="nonsense")
    assert answer["message"] == "Value for parameter TaskHandle is invalid."
    assert call("ListMessageMoveTasks", SourceArn=arn_of(dead), MaxResults=11)[0] == 400


def test_a_slow_task_is_cancelled(call, letters, arn_of):
    _, dead = letters
    _, started = call("StartMessageMoveTask", SourceArn=arn_of(dead), MaxNumberOfMessagesPerSecond=1)
    (task,) = call("ListMessageMoveTasks", SourceArn=arn_of(dead))[1]["Results"]
    assert task["Status"] == "RUNNING"
    assert task["TaskHandle"] == started["TaskHandle"]
    assert task["MaxNumberOfMessagesPerSecond"] == 1
    assert task["ApproximateNumberOfMessagesToMove"] == 5
    status, answer = call("StartMessageMoveTask", SourceArn=arn_of(dead))
    assert status == 400, answer
    status, answer = call("CancelMessageMoveTask", TaskHandle=started["TaskHandle"])
    assert status == 200
    assert answer["ApproximateNumberOfMessagesMoved"] < 5
    done = hearth_up.wait_for(
        lambda: next(
            (
                one
                for one in call("ListMessageMoveTasks", SourceArn=arn_of(dead))[1]["Results"]
                if one["Status"] not in ("RUNNING", "CANCELLING")
            ),
            None,
        ),
        "the task to be cancelled",
    )
    assert done["Status"] == "CANCELLED"
