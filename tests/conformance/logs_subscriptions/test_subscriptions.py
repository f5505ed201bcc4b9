"""Subscription filters to functions. Source: CloudWatch Logs User Guide, "Subscription filters with Lambda"."""

import contextlib

import botocore.exceptions
import pytest
from logs_subscriptions_support import subscribe, wait_for_events, write

NONE = "arn:aws:lambda:us-east-1:000000000000:function:none"


@contextlib.contextmanager
def refused(code, message=None):
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        yield
    error = raised.value.response["Error"]
    assert error["Code"] == code, error
    if message is not None:
        assert error["Message"] == message


def test_events_reach_the_function_as_aws_sends_them(logs, group, listener):
    subscribe(logs, group, listener)
    write(logs, group, "one", "two\nlines", "drei ä")
    (message,) = wait_for_events(logs, group, 3)
    assert message["messageType"] == "DATA_MESSAGE"
    assert message["owner"] == "000000000000"
    assert message["logGroup"] == group
    assert message["logStream"] == "stream"
    assert message["subscriptionFilters"] == ["f"]
    assert [event["message"] for event in message["logEvents"]] == ["one", "two\nlines", "drei ä"]
    kept = logs.filter_log_events(logGroupName=group)["events"]
    assert [event["id"] for event in message["logEvents"]] == [event["eventId"] for event in kept]
    assert [event["timestamp"] for event in message["logEvents"]] == [
        event["timestamp"] for event in kept
    ]


def test_only_what_the_pattern_matches(logs, group, listener):
    subscribe(logs, group, listener, pattern='{ $.level = "error" }')
    write(logs, group, '{"level":"info"}', '{"level":"error","n":1}', "error")
    write(logs, group, '{"level":"error","n":2}')
    messages = wait_for_events(logs, group, 2)
    events = sorted(event["message"] for message in messages for event in message["logEvents"])
    assert events == ['{"level":"error","n":1}', '{"level":"error","n":2}']


def test_fields_are_extracted(logs, group, listener):
    subscribe(logs, group, listener, pattern="[ip, user, status=5*]")
    write(logs, group, "10.0.0.1 ann 503", "10.0.0.2 bob 200")
    (message,) = wait_for_events(logs, group, 1)
    (event,) = message["logEvents"]
    assert event["extractedFields"] == {"ip": "10.0.0.1", "user": "ann", "status": "503"}


def test_filters_are_described_changed_and_deleted(logs, group, listener):
    subscribe(logs, group, listener, name="b", pattern="x")
    subscribe(logs, group, listener, name="a", pattern="y", distribution="Random")
    with refused("LimitExceededException", "Resource limit exceeded."):
        subscribe(logs, group, listener, name="c")
    subscribe(logs, group, listener, name="b", pattern="z")
    described = logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"]
    assert [(one["filterName"], one["filterPattern"]) for one in described] == [
        ("a", "y"),
        ("b", "z"),
    ]
    assert described[0]["distribution"] == "Random"
    assert described[1]["distribution"] == "ByLogStream"
    assert described[0]["destinationArn"] == listener
    assert described[0]["logGroupName"] == group
    assert described[0]["creationTime"] > 1_700_000_000_000
    page = logs.describe_subscription_filters(logGroupName=group, limit=1)
    rest = logs.describe_subscription_filters(logGroupName=group, nextToken=page["nextToken"])
    assert [one["filterName"] for one in rest["subscriptionFilters"]] == ["b"]
    logs.delete_subscription_filter(logGroupName=group, filterName="a")
    with refused(
        "ResourceNotFoundException", "The specified subscription filter does not exist."
    ):
        logs.delete_subscription_filter(logGroupName=group, filterName="a")
    described = logs.describe_subscription_filters(logGroupName=group, filterNamePrefix="b")
    assert [one["filterName"] for one in described["subscriptionFilters"]] == ["b"]


def test_a_deleted_filter_hears_nothing(logs, group, listener):
    subscribe(logs, group, listener, name="old")
    logs.delete_subscription_filter(logGroupName=group, filterName="old")
    write(logs, group, "unheard")
    subscribe(logs, group, listener, name="new")
    write(logs, group, "heard")
    (message,) = wait_for_events(logs, group, 1)
    assert [event["message"] for event in message["logEvents"]] == ["heard"]
    assert message["subscriptionFilters"] == ["new"]


def test_a_group_made_again_has_no_filters(logs, group, listener):
    subscribe(logs, group, listener)
    logs.delete_log_group(logGroupName=group)
    logs.create_log_group(logGroupName=group)
    assert logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"] == []


EXECUTE = (
    "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to "
    "execute your function."
)


@pytest.mark.parametrize(
    "change, code, message",
    [
        ({"destinationArn": NONE}, "InvalidParameterException", EXECUTE),
        ({"logGroupName": "/none"}, "ResourceNotFoundException", None),
        ({"filterPattern": "{ $.a"}, "InvalidParameterException", "Invalid filter pattern"),
        (
            {"destinationArn": "arn:aws:sqs:us-east-1:000000000000:q"},
            "InvalidParameterException",
            "PutSubscriptionFilter operation cannot work with destinationArn for vendor sqs",
        ),
        (
            {"destinationArn": "arn:aws:kinesis:us-east-1:000000000000:stream/s"},
            "InvalidParameterException",
            "Hearth delivers log events to Lambda functions only; kinesis is not a destination yet.",
        ),
        ({"filterName": "a:b"}, "InvalidParameterException", None),
        (
            {"roleArn": "arn:aws:iam::000000000000:role/r"},
            "InvalidParameterException",
            "destinationArn for vendor lambda cannot be used with roleArn",
        ),
    ],
)
def test_what_is_wrong_is_refused(logs, group, listener, change, code, message):
    wanted = {
        "logGroupName": group,
        "filterName": "f",
        "filterPattern": "",
        "destinationArn": listener,
    }
    with refused(code, message):
        logs.put_subscription_filter(**(wanted | change))


def test_a_function_that_does_not_let_logs_in_is_refused(hearth, logs, group):
    import deployed

    client = hearth.client("lambda")
    deployed.function(client, "closed", "def handler(event, context): pass")
    arn = client.get_function(FunctionName="closed")["Configuration"]["FunctionArn"]
    with refused("InvalidParameterException", EXECUTE):
        subscribe(logs, group, arn)


def test_lines_of_functions_are_events_too(hearth, logs, listener):
    import deployed

    client = hearth.client("lambda")
    talker = deployed.function(client, "talker", 'def handler(event, context): print("hello ERROR")')
    logs.create_log_group(logGroupName="/aws/lambda/talker")
    subscribe(logs, "/aws/lambda/talker", listener, pattern="ERROR")
    talker.invoke({})
    (message,) = wait_for_events(logs, "/aws/lambda/talker", 1)
    assert [event["message"].strip() for event in message["logEvents"]] == ["hello ERROR"]


def test_nothing_is_lost_when_the_cloud_is_killed(hearth, logs, group, listener):
    subscribe(logs, group, listener)
    for number in range(20):
        write(logs, group, f"event {number}")
        if number % 10 == 5:
            hearth.kill("cloud")
            hearth.wait_ready()
    messages = wait_for_events(logs, group, 20)
    seen = {event["message"] for message in messages for event in message["logEvents"]}
    assert seen == {f"event {number}" for number in range(20)}
