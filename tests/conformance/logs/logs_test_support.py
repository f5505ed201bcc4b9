"""What the tests of CloudWatch Logs share."""

import contextlib

import botocore.exceptions


@contextlib.contextmanager
def refused(code, message=None):
    """The call inside must fail with this code and, if given, exactly this message."""
    try:
        yield
    except botocore.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        if message is not None:
            assert error.response["Error"]["Message"] == message
    else:
        raise AssertionError(f"not refused with {code}")


def put(logs, group, stream, events):
    """events: (timestamp in ms, message), ..."""
    return logs.put_log_events(
        logGroupName=group,
        logStreamName=stream,
        logEvents=[{"timestamp": at, "message": message} for at, message in events],
    )


def messages(answer):
    return [event["message"] for event in answer["events"]]
