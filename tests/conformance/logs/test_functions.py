"""Functions' lines in CloudWatch Logs."""

import io
import re
import zipfile

import pytest

from hearth_up import wait_for
from logs_test_support import messages

CODE = '''
import sys

def handler(event, context):
    for number in range(event["lines"]):
        print(f"line {number:05}")
    return event["lines"]
'''


@pytest.fixture(scope="module")
def function(hearth):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("index.py", CODE)
    client = hearth.client("lambda")
    client.create_function(
        FunctionName="printer",
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/any",
        Handler="index.handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=120,
    )
    return client


def invoke(function, lines):
    answer = function.invoke(FunctionName="printer", Payload=b'{"lines": %d}' % lines)
    assert "FunctionError" not in answer, answer["Payload"].read()


def all_messages(logs):
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/printer")
    return [message for page in pages for message in messages(page)]


def test_ten_thousand_lines_are_all_there_in_order(logs, function):
    invoke(function, 10_000)
    wait_for(
        lambda: any(message.startswith("REPORT") for message in all_messages(logs)),
        "the report of the invocation",
    )
    lines = [message.strip() for message in all_messages(logs)]
    printed = [line for line in lines if line.startswith("line ")]
    assert printed == [f"line {number:05}" for number in range(10_000)]
    start = next(i for i, line in enumerate(lines) if line.startswith("START RequestId"))
    end = next(i for i, line in enumerate(lines) if line.startswith("END RequestId"))
    assert start < lines.index("line 00000") and lines.index("line 09999") < end


def test_names_are_those_of_aws(logs, function):
    invoke(function, 1)
    (stream,) = logs.describe_log_streams(logGroupName="/aws/lambda/printer")["logStreams"]
    assert re.fullmatch(
        r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream["logStreamName"]
    )


def test_no_other_account_reads_them(hearth, function):
    other = hearth.client("logs", key="222222222222", secret="x")
    assert other.describe_log_groups()["logGroups"] == []
    with pytest.raises(other.exceptions.ResourceNotFoundException):
        other.filter_log_events(logGroupName="/aws/lambda/printer")
