"""The same day's work with queues by Debian's aws (query) and the AWS SDK for JavaScript v3 (JSON)."""

import json
import os
import subprocess

import pytest

import hearth_up


def sdk_directory():
    """The SDK that functions see as well; npm installs it with the build."""
    directory = os.path.join(hearth_up.build_directory(), "runtimes", "node")
    if not os.path.isdir(os.path.join(directory, "node_modules", "@aws-sdk", "client-sqs")):
        pytest.skip("the npm SDK is not installed (the build had no npm registry)")
    return directory


def test_the_aws_command_line(hearth, unique):
    name = unique("cli")
    url = hearth.aws("sqs", "create-queue", "--queue-name", name, "--attributes", "VisibilityTimeout=60")["QueueUrl"]
    assert hearth.aws("sqs", "get-queue-url", "--queue-name", name)["QueueUrl"] == url
    sent = hearth.aws(
        "sqs", "send-message", "--queue-url", url, "--message-body", "hello",
        "--message-attributes", '{"n":{"DataType":"Number","StringValue":"7"}}',
    )
    shown = hearth.aws("sqs", "get-queue-attributes", "--queue-url", url, "--attribute-names", "All")["Attributes"]
    assert (shown["VisibilityTimeout"], shown["ApproximateNumberOfMessages"]) == ("60", "1")
    (message,) = hearth.aws(
        "sqs", "receive-message", "--queue-url", url, "--attribute-names", "All",
        "--message-attribute-names", "All", "--wait-time-seconds", "1",
    )["Messages"]
    assert message["MessageId"] == sent["MessageId"]
    assert message["MessageAttributes"]["n"]["StringValue"] == "7"
    hearth.aws(
        "sqs", "change-message-visibility", "--queue-url", url,
        "--receipt-handle", message["ReceiptHandle"], "--visibility-timeout", "0",
    )
    (message,) = hearth.aws("sqs", "receive-message", "--queue-url", url)["Messages"]
    hearth.aws("sqs", "delete-message", "--queue-url", url, "--receipt-handle", message["ReceiptHandle"])
    hearth.aws("sqs", "tag-queue", "--queue-url", url, "--tags", "team=red")
    assert hearth.aws("sqs", "list-queue-tags", "--queue-url", url) == {"Tags": {"team": "red"}}
    assert hearth.aws("sqs", "list-queues", "--queue-name-prefix", name) == {"QueueUrls": [url]}
    hearth.aws("sqs", "delete-queue", "--queue-url", url)
    refused = hearth.aws_raw("sqs", "get-queue-url", "--queue-name", name)
    assert refused.returncode != 0
    assert "(AWS.SimpleQueueService.NonExistentQueue)" in refused.stderr


def test_sdk_v3(hearth, unique):
    done = subprocess.run(
        ["/usr/bin/node", os.path.join(os.path.dirname(__file__), "sdk_v3_queues.cjs"), sdk_directory(), unique("v3")],
        env=hearth.aws_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["listed"] == [seen["url"]]
    assert seen["sent"]["id"] == seen["received"]["id"]
    assert seen["received"]["body"] == "hello ä"
    assert seen["received"]["attributes"] == {"text": "x", "bytes": [0, 1, 255]}
    assert seen["received"]["count"] == "1"
    assert seen["batch"] == {"successful": ["a", "b"], "failed": [["c", "InvalidMessageContents"]]}
    assert seen["deleted"] == ["0", "1"]
    assert seen["empty"] is None
    assert seen["fifo"] == ["one", "two"]
    assert seen["missing"] == {
        "name": "QueueDoesNotExist",
        "code": "AWS.SimpleQueueService.NonExistentQueue",
        "status": 400,
        "message": "The specified queue does not exist.",
    }
    assert seen["invalid"]["message"].startswith("Value 901 for parameter DelaySeconds is invalid.")
