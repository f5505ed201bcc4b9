"""FilterLogEvents: patterns, streams, paging."""

import json

import pytest

from logs_test_support import messages, put, refused

LINES = [
    "[ERROR 400] BAD REQUEST",
    "[ERROR 401] UNAUTHORIZED REQUEST",
    "[ERROR 419] MISSING ARGUMENTS",
    "[INFO] all is well",
    json.dumps({"eventType": "UpdateTrail", "status": 200, "tags": ["a", "b"], "none": None}),
    json.dumps({"eventType": "Other", "status": 503, "deep": {"ok": True}}),
    '127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534',
]


@pytest.fixture
def filled(logs, group, stream, now_ms):
    put(logs, group, stream, [(now_ms + i, line) for i, line in enumerate(LINES)])
    return group


@pytest.mark.parametrize(
    ("pattern", "indices"),
    [
        ("", [0, 1, 2, 3, 4, 5, 6]),
        ("ERROR", [0, 1, 2]),
        ("ERROR ARGUMENTS", [2]),
        ("?INFO ?ARGUMENTS", [2, 3]),
        ("ERROR -ARGUMENTS", [0, 1]),
        ('"BAD REQUEST"', [0]),
        ("%ERROR 4[01][01]%", [0, 1]),
        ('{ $.eventType = "Update*" }', [4]),
        ("{ $.status >= 500 }", [5]),
        ('{ $.tags[*] = "b" || $.deep.ok IS TRUE }', [4, 5]),
        ("{ $.none IS NULL }", [4]),
        ("{ $.deep NOT EXISTS }", [4]),
        ("[ip, name, user, time, request = *html*, status_code = 4*, bytes > 1000]", [6]),
        ("[..., status_code = 404, bytes]", [6]),
    ],
)
def test_patterns(logs, filled, pattern, indices):
    answer = logs.filter_log_events(logGroupName=filled, filterPattern=pattern)
    assert messages(answer) == [LINES[i] for i in indices]


@pytest.mark.parametrize("pattern", ["{ $.a = }", '"open', "[a", "{ a = 1 }", "%(%"])
def test_broken_patterns(logs, filled, pattern):
    with refused("InvalidParameterException", "Invalid filter pattern"):
        logs.filter_log_events(logGroupName=filled, filterPattern=pattern)


def test_streams_are_interleaved_and_paged(logs, group, now_ms):
    for name in ("x1", "x2", "y"):
        logs.create_log_stream(logGroupName=group, logStreamName=name)
    for i in range(30):
        name = ("x1", "x2", "y")[i % 3]
        put(logs, group, name, [(now_ms + i, f"{name} {i}")])
    expected = [f"{('x1', 'x2', 'y')[i % 3]} {i}" for i in range(30)]
    paginator = logs.get_paginator("filter_log_events")
    seen, ids = [], set()
    for page in paginator.paginate(logGroupName=group, limit=7, interleaved=True):
        assert len(page["events"]) <= 7
        seen += messages(page)
        ids |= {event["eventId"] for event in page["events"]}
        assert all(event["message"].startswith(event["logStreamName"]) for event in page["events"])
    assert seen == expected and len(ids) == 30
    only = logs.filter_log_events(logGroupName=group, logStreamNames=["y", "x2"])
    assert messages(only) == [line for line in expected if not line.startswith("x1")]
    prefixed = logs.filter_log_events(logGroupName=group, logStreamNamePrefix="x")
    assert messages(prefixed) == [line for line in expected if line.startswith("x")]


def test_parameters_are_checked(logs, unchecked, group, now_ms):
    with refused("InvalidParameterException"):
        logs.filter_log_events(logGroupName=group, logStreamNames=["a"], logStreamNamePrefix="b")
    with refused("ResourceNotFoundException", "The specified log stream does not exist."):
        logs.filter_log_events(logGroupName=group, logStreamNames=["nobody"])
    with refused("InvalidParameterException", "The specified nextToken is invalid."):
        logs.filter_log_events(logGroupName=group, nextToken="nonsense")
    with refused("InvalidParameterException"):
        logs.filter_log_events(logGroupName=group, startTime=now_ms, endTime=now_ms - 1)
    for limit in (0, 10_001):
        with refused("InvalidParameterException"):
            unchecked.filter_log_events(logGroupName=group, limit=limit)


def test_group_by_identifier(unchecked, hearth, group, stream, now_ms):
    # Debian's botocore does not know the parameter, so the request is written out.
    put(unchecked, group, stream, [(now_ms, "x")])
    arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{group}"
    for identifier in (group, arn):
        answer = call(hearth, "FilterLogEvents", {"logGroupIdentifier": identifier})
        assert [event["message"] for event in answer["events"]] == ["x"]
    answer = call(hearth, "FilterLogEvents", {"logGroupIdentifier": arn, "logGroupName": group})
    assert answer["__type"].endswith("InvalidParameterException")
    answer = call(hearth, "FilterLogEvents", {})
    assert answer["__type"].endswith("InvalidParameterException")
    other = arn.replace("000000000000", "222222222222")
    answer = call(hearth, "FilterLogEvents", {"logGroupIdentifier": other})
    assert answer["__type"].endswith("ResourceNotFoundException")


def call(hearth, operation, body):
    import urllib.error

    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials

    data = json.dumps(body).encode()
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"Logs_20140328.{operation}",
    }
    request = botocore.awsrequest.AWSRequest("POST", hearth.endpoint + "/", headers, data)
    key, secret = hearth.root_key()
    credentials = botocore.credentials.Credentials(key, secret)
    botocore.auth.SigV4Auth(credentials, "logs", "us-east-1").add_auth(request)
    try:
        with hearth.get("/", "POST", data, dict(request.headers)) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)
