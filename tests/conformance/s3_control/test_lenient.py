"""--lenient: configurations that Hearth cannot honour are checked, kept, and named as ignored."""

import pytest
from s3_control_support import refused

HEARTH_OPTIONS = ("--lenient",)

WANTED = {
    "TopicConfigurations": [
        {
            "Id": "t",
            "TopicArn": "arn:aws:sns:us-east-1:000000000000:t",
            "Events": ["s3:ObjectCreated:*"],
            "Filter": {"Key": {"FilterRules": [{"Name": "Prefix", "Value": "x/"}]}},
        }
    ],
    "EventBridgeConfiguration": {},
}


def test_topics_and_event_bridge_are_kept_and_named(s3, bucket):
    put = s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=WANTED
    )
    headers = put["ResponseMetadata"]["HTTPHeaders"]
    ignored = {name.strip() for name in headers["x-hearth-ignored"].split(",")}
    assert ignored == {"TopicConfiguration", "EventBridgeConfiguration"}
    got = s3.get_bucket_notification_configuration(Bucket=bucket)
    assert got["TopicConfigurations"] == WANTED["TopicConfigurations"]
    assert "EventBridgeConfiguration" in got
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert "TopicConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)


@pytest.mark.parametrize(
    "change",
    [
        {"TopicArn": "arn:aws:sqs:us-east-1:000000000000:q"},
        {"Filter": {"Key": {"FilterRules": [{"Name": "infix", "Value": "x"}]}}},
    ],
)
def test_notifications_are_checked(unchecked, bucket, change):
    wrong = {"TopicConfigurations": [WANTED["TopicConfigurations"][0] | change]}
    with refused("InvalidArgument", 400):
        unchecked.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration=wrong
        )


def test_acceleration_is_kept_and_named(s3, bucket):
    put = s3.put_bucket_accelerate_configuration(
        Bucket=bucket, AccelerateConfiguration={"Status": "Enabled"}
    )
    headers = put["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-hearth-ignored"] == "AccelerateConfiguration"
    assert s3.get_bucket_accelerate_configuration(Bucket=bucket)["Status"] == "Enabled"
