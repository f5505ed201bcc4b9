"""What a notification configuration may be. Source: S3 API Reference, PutBucketNotificationConfiguration."""

import base64
import re

import pytest
from s3_notifications_support import configuration, only, refused, tell

CREATED = ["s3:ObjectCreated:*"]


def put(s3, bucket, wanted, **more):
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=wanted, **more
    )


def test_what_was_put_comes_back_with_an_id(s3, bucket, queue):
    put(s3, bucket, configuration(queue, CREATED, Filter=only("prefix", "in/")))
    got = s3.get_bucket_notification_configuration(Bucket=bucket)
    (kept,) = got["QueueConfigurations"]
    # AWS makes a UUID in base64, and writes names of filter rules with a capital.
    assert re.fullmatch(r"[0-9a-f-]{36}", base64.b64decode(kept["Id"]).decode())
    assert kept["QueueArn"] == queue.arn
    assert kept["Events"] == CREATED
    assert kept["Filter"]["Key"]["FilterRules"] == [{"Name": "Prefix", "Value": "in/"}]
    put(s3, bucket, {})
    assert set(s3.get_bucket_notification_configuration(Bucket=bucket)) == {"ResponseMetadata"}


def test_a_queue_gets_the_test_event(s3, bucket, queue):
    test = tell(s3, bucket, queue, CREATED)
    assert set(test) == {"Service", "Event", "Time", "Bucket", "RequestId", "HostId"}
    assert test["Service"] == "Amazon S3"
    assert test["Bucket"] == bucket
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", test["Time"])


@pytest.mark.parametrize(
    "change, code, message",
    [
        (
            {"Events": ["s3:ObjectCreated:Nothing"]},
            "InvalidArgument",
            "The event 's3:ObjectCreated:Nothing' is not supported for notifications",
        ),
        ({"Events": []}, "MalformedXML", None),
        (
            {"Id": "i" * 256},
            "InvalidArgument",
            "ID length should not exceed allowed limit of 255",
        ),
        (
            {"Filter": only("suffix", "x" * 1025)},
            "InvalidArgument",
            "Size of filter rule value cannot exceed 1024 bytes in UTF-8 representation",
        ),
        (
            {"Filter": only("infix", "x")},
            "InvalidArgument",
            "filter rule name must be either prefix or suffix",
        ),
        (
            {
                "Filter": {
                    "Key": {
                        "FilterRules": [
                            {"Name": "prefix", "Value": "a"},
                            {"Name": "Prefix", "Value": "b"},
                        ]
                    }
                }
            },
            "InvalidArgument",
            "Cannot specify more than one prefix rule in a filter.",
        ),
        (
            {"QueueArn": "arn:aws:sns:us-east-1:000000000000:t"},
            "InvalidArgument",
            "The ARN could not be parsed",
        ),
        ({"QueueArn": "queue"}, "InvalidArgument", "The ARN could not be parsed"),
        (
            {"QueueArn": "arn:aws:sqs:eu-west-1:000000000000:q"},
            "InvalidArgument",
            "The notification destination service region is not valid for the bucket location "
            "constraint",
        ),
    ],
)
def test_what_is_wrong_is_said_as_aws_says_it(unchecked, bucket, queue, change, code, message):
    wanted = configuration(queue, CREATED)
    wanted["QueueConfigurations"][0] |= change
    with refused(code, message):
        put(unchecked, bucket, wanted)
    got = unchecked.get_bucket_notification_configuration(Bucket=bucket)
    assert "QueueConfigurations" not in got


def test_one_event_has_one_destination(s3, bucket, queue):
    two = {
        "QueueConfigurations": [
            {"QueueArn": queue.arn, "Events": ["s3:ObjectCreated:*"]},
            {"QueueArn": queue.arn, "Events": ["s3:ObjectCreated:Put"]},
        ]
    }
    with refused(
        "InvalidArgument",
        "Configurations overlap. Configurations on the same bucket cannot share a common event type.",
    ):
        put(s3, bucket, two)
    two["QueueConfigurations"][0]["Filter"] = only("prefix", "a")
    two["QueueConfigurations"][1]["Filter"] = only("prefix", "ab")
    with refused(
        "InvalidArgument",
        "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the "
        "prefixes are overlapping for the same event type.",
    ):
        put(s3, bucket, two)
    two["QueueConfigurations"][1]["Filter"] = only("prefix", "b")
    put(s3, bucket, two)


def test_ids_are_unique(s3, bucket, queue):
    two = {
        "QueueConfigurations": [
            {"Id": "one", "QueueArn": queue.arn, "Events": ["s3:ObjectCreated:Put"]},
            {"Id": "one", "QueueArn": queue.arn, "Events": ["s3:ObjectCreated:Copy"]},
        ]
    }
    with refused(
        "InvalidArgument", "Same ID used for multiple configurations. IDs must be unique"
    ):
        put(s3, bucket, two)


MISSING = "Unable to validate the following destination configurations"


def test_a_queue_that_is_not_there_is_refused(s3, bucket, queue):
    wanted = configuration(queue, CREATED)
    wanted["QueueConfigurations"][0]["QueueArn"] = queue.arn + "-none"
    with refused("InvalidArgument", MISSING) as raised:
        put(s3, bucket, wanted)
    error = raised.value.response["Error"]
    assert error["ArgumentName1"] == queue.arn + "-none"
    assert error["ArgumentValue1"] == "The destination queue does not exist"
    # Who knows better may say so.
    put(s3, bucket, wanted, SkipDestinationValidation=True)
    got = s3.get_bucket_notification_configuration(Bucket=bucket)
    assert got["QueueConfigurations"][0]["QueueArn"] == queue.arn + "-none"


def test_a_function_that_is_not_there_is_refused(s3, bucket):
    arn = "arn:aws:lambda:us-east-1:000000000000:function:none"
    with refused("InvalidArgument", MISSING) as raised:
        put(
            s3,
            bucket,
            {"LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": CREATED}]},
        )
    assert raised.value.response["Error"]["ArgumentName1"] == arn


def test_fifo_queues_are_no_destinations(s3, bucket, sqs, unique):
    name = unique("f") + ".fifo"
    url = sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"})["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    with refused("InvalidArgument", MISSING):
        put(s3, bucket, {"QueueConfigurations": [{"QueueArn": arn, "Events": CREATED}]})
    sqs.delete_queue(QueueUrl=url)


@pytest.mark.parametrize(
    "wanted",
    [
        {
            "TopicConfigurations": [
                {"TopicArn": "arn:aws:sns:us-east-1:000000000000:t", "Events": CREATED}
            ]
        },
        {"EventBridgeConfiguration": {}},
    ],
)
def test_what_is_not_there_yet_says_so(s3, bucket, wanted):
    with refused("NotImplemented"):
        put(s3, bucket, wanted)
