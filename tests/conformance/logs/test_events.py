"""Putting and getting events."""

import pytest

from logs_test_support import messages, put, refused

NO_GROUP = "The specified log group does not exist."
NO_STREAM = "The specified log stream does not exist."
DAY_MS = 24 * 3600 * 1000


def get(logs, group, stream, **more):
    return logs.get_log_events(logGroupName=group, logStreamName=stream, **more)


def test_life_of_a_stream(logs, group, now_ms):
    logs.create_log_stream(logGroupName=group, logStreamName="a/[$LATEST]b")
    with refused("ResourceAlreadyExistsException", "The specified log stream already exists"):
        logs.create_log_stream(logGroupName=group, logStreamName="a/[$LATEST]b")
    (shown,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert shown["logStreamName"] == "a/[$LATEST]b"
    assert shown["arn"].endswith(f":log-group:{group}:log-stream:a/[$LATEST]b")
    assert "lastEventTimestamp" not in shown
    put(logs, group, "a/[$LATEST]b", [(now_ms - 5, "x"), (now_ms, "y")])
    (shown,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert shown["firstEventTimestamp"] == now_ms - 5
    assert shown["lastEventTimestamp"] == now_ms
    assert shown["lastIngestionTime"] >= now_ms
    logs.delete_log_stream(logGroupName=group, logStreamName="a/[$LATEST]b")
    assert logs.describe_log_streams(logGroupName=group)["logStreams"] == []
    with refused("ResourceNotFoundException", NO_STREAM):
        logs.delete_log_stream(logGroupName=group, logStreamName="a/[$LATEST]b")
    with refused("ResourceNotFoundException", NO_GROUP):
        logs.create_log_stream(logGroupName=group + "x", logStreamName="a")


@pytest.mark.parametrize("name", ["", "a:b", "a*b", "x" * 513])
def test_stream_names_are_checked(unchecked, group, name):
    with refused("InvalidParameterException"):
        unchecked.create_log_stream(logGroupName=group, logStreamName=name)


def test_streams_by_name_and_by_time(logs, group, now_ms):
    for name, age in (("c", 3), ("a", 1), ("b", 2), ("empty", None)):
        logs.create_log_stream(logGroupName=group, logStreamName=name)
        if age is not None:
            put(logs, group, name, [(now_ms - age * 1000, "x")])

    def names(**more):
        found, token = [], {}
        while True:
            page = logs.describe_log_streams(logGroupName=group, limit=2, **more, **token)
            found += [stream["logStreamName"] for stream in page["logStreams"]]
            if "nextToken" not in page:
                return found
            token = {"nextToken": page["nextToken"]}

    assert names() == ["a", "b", "c", "empty"]
    assert names(descending=True) == ["empty", "c", "b", "a"]
    assert names(orderBy="LastEventTime", descending=True) == ["a", "b", "c", "empty"]
    assert names(orderBy="LastEventTime") == ["empty", "c", "b", "a"]
    assert names(logStreamNamePrefix="b") == ["b"]
    with refused(
        "InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix."
    ):
        names(orderBy="LastEventTime", logStreamNamePrefix="b")


def test_events_come_back(logs, group, stream, now_ms):
    answer = put(logs, group, stream, [(now_ms - 2, "one"), (now_ms - 1, "two\nlines"), (now_ms, "ü")])
    assert "rejectedLogEventsInfo" not in answer
    assert answer["nextSequenceToken"].isdigit()
    # Sequence tokens are accepted and ignored since 2023.
    logs.put_log_events(
        logGroupName=group,
        logStreamName=stream,
        sequenceToken="anything",
        logEvents=[{"timestamp": now_ms, "message": "four"}],
    )
    answer = get(logs, group, stream)
    assert messages(answer) == ["one", "two\nlines", "ü", "four"]
    assert [event["timestamp"] for event in answer["events"]] == [
        now_ms - 2, now_ms - 1, now_ms, now_ms,
    ]
    assert all(event["ingestionTime"] >= now_ms for event in answer["events"])


def test_forward_and_backward_tokens(logs, group, stream, now_ms):
    put(logs, group, stream, [(now_ms + i, f"{i}") for i in range(10)])
    # The default is the end of the stream.
    last = get(logs, group, stream, limit=3)
    assert messages(last) == ["7", "8", "9"]
    before = get(logs, group, stream, limit=3, nextToken=last["nextBackwardToken"])
    assert messages(before) == ["4", "5", "6"]
    # The end is reached when the token comes back as it was.
    end = get(logs, group, stream, nextToken=last["nextForwardToken"])
    assert messages(end) == [] and end["nextForwardToken"] == last["nextForwardToken"]
    put(logs, group, stream, [(now_ms + 20, "later")])
    more = get(logs, group, stream, nextToken=end["nextForwardToken"])
    assert messages(more) == ["later"]

    head = get(logs, group, stream, limit=4, startFromHead=True)
    assert messages(head) == ["0", "1", "2", "3"]
    following = get(
        logs, group, stream, limit=4, startFromHead=True, nextToken=head["nextForwardToken"]
    )
    assert messages(following) == ["4", "5", "6", "7"]
    start = get(logs, group, stream, nextToken=head["nextBackwardToken"])
    assert messages(start) == [] and start["nextBackwardToken"] == head["nextBackwardToken"]
    for token in ("nonsense", "f/1", "x/" + "0" * 56, "f/" + "a" * 56):
        with refused("InvalidParameterException", "The specified nextToken is invalid."):
            get(logs, group, stream, nextToken=token)


def test_time_ranges(logs, group, stream, now_ms):
    put(logs, group, stream, [(now_ms + i, f"{i}") for i in range(5)])
    # The end is exclusive here, and inclusive in FilterLogEvents.
    assert messages(get(logs, group, stream, startTime=now_ms + 1, endTime=now_ms + 3)) == ["1", "2"]
    answer = logs.filter_log_events(
        logGroupName=group, startTime=now_ms + 1, endTime=now_ms + 3
    )
    assert messages(answer) == ["1", "2", "3"]
    assert messages(get(logs, group, stream, startTime=now_ms + 9)) == []


def test_late_events_take_their_place(logs, group, stream, now_ms):
    put(logs, group, stream, [(now_ms, "b"), (now_ms + 10, "d")])
    put(logs, group, stream, [(now_ms - 3_600_000, "a"), (now_ms + 5, "c")])
    assert messages(get(logs, group, stream)) == ["a", "b", "c", "d"]
    assert messages(logs.filter_log_events(logGroupName=group)) == ["a", "b", "c", "d"]


def test_order_size_and_span_are_checked(logs, unchecked, group, stream, now_ms):
    with refused(
        "InvalidParameterException",
        "Log events in a single PutLogEvents request must be in chronological order.",
    ):
        put(logs, group, stream, [(now_ms, "b"), (now_ms - 1, "a")])
    with refused(
        "InvalidParameterException",
        "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
    ):
        put(logs, group, stream, [(now_ms - DAY_MS - 1, "a"), (now_ms, "b")])
    with refused(
        "InvalidParameterException", "Upload too large: 1048602 bytes exceeds limit of 1048576"
    ):
        put(logs, group, stream, [(now_ms, "x" * 524_275), (now_ms, "x" * 524_275)])
    put(logs, group, stream, [(now_ms, "x" * 524_262), (now_ms, "y" * 524_262)])
    with refused("InvalidParameterException"):
        put(unchecked, group, stream, [])
    with refused("InvalidParameterException"):
        put(unchecked, group, stream, [(now_ms, "")])
    with refused("InvalidParameterException"):
        put(unchecked, group, stream, [(now_ms, "x")] * 10_001)
    put(unchecked, group, stream, [(now_ms, "x")] * 10_000)


def test_too_old_and_too_new_are_named(logs, group, stream, now_ms):
    answer = put(logs, group, stream, [(now_ms - 15 * DAY_MS, "old")])
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    answer = put(
        logs, group, stream,
        [(now_ms, "good"), (now_ms + 3 * 3_600_000, "new"), (now_ms + 4 * 3_600_000, "newer")],
    )
    assert answer["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    logs.put_retention_policy(logGroupName=group, retentionInDays=1)
    answer = put(logs, group, stream, [(now_ms - 2 * DAY_MS, "expired")])
    assert answer["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}
    assert messages(get(logs, group, stream)) == ["good"]


def test_missing_group_and_stream(logs, group, now_ms):
    with refused("ResourceNotFoundException", NO_GROUP):
        put(logs, group + "x", "s", [(now_ms, "x")])
    with refused("ResourceNotFoundException", NO_STREAM):
        put(logs, group, "s", [(now_ms, "x")])
    with refused("ResourceNotFoundException", NO_STREAM):
        get(logs, group, "s")
    with refused("ResourceNotFoundException", NO_GROUP):
        logs.describe_log_streams(logGroupName=group + "x")


def test_an_answer_holds_one_mebibyte(logs, group, stream, now_ms):
    for i in range(3):
        put(logs, group, stream, [(now_ms + i, chr(97 + i) * 600_000)])
    first = get(logs, group, stream, startFromHead=True)
    assert [message[0] for message in messages(first)] == ["a"]
    second = get(logs, group, stream, startFromHead=True, nextToken=first["nextForwardToken"])
    assert [message[0] for message in messages(second)] == ["b"]
    assert [message[0] for message in messages(get(logs, group, stream))] == ["c"]


def test_a_stream_made_again_is_empty(logs, group, stream, now_ms):
    put(logs, group, stream, [(now_ms, "old")])
    logs.delete_log_stream(logGroupName=group, logStreamName=stream)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    assert messages(get(logs, group, stream)) == []
    assert messages(logs.filter_log_events(logGroupName=group)) == []
