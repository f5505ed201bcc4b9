"""--lenient: configurations that Hearth cannot honour are checked, kept, and named as ignored."""

import pytest
from s3_control_support import refused

HEARTH_OPTIONS = ("--lenient",)

WANTED = {
    "QueueConfigurations": [
        {
            "Id": "q",
            "QueueArn": "arn:aws:sqs:us-east-1:000000000000:q",
            "Events": ["s3:ObjectCreated:*"],
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "x/"}]}},
        }
    ]
}


def test_notifications_are_kept_and_named(s3, bucket):
    put = s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=WANTED
    )
    headers = put["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-hearth-ignored"] == "NotificationConfiguration"
    got = s3.get_bucket_notification_configuration(Bucket=bucket)
    assert got["QueueConfigurations"] == WANTED["QueueConfigurations"]
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)


@pytest.mark.parametrize(
    "change, code",
    [
        ({"QueueArn": "arn:aws:sns:us-east-1:000000000000:t"}, "InvalidArgument"),
        # On AWS InvalidArgument: docs/compatibility/s3-control.md.
        ({"Filter": {"Key": {"FilterRules": [{"Name": "infix", "Value": "x"}]}}}, "MalformedXML"),
    ],
)
def test_notifications_are_checked(unchecked, bucket, change, code):
    wrong = {"QueueConfigurations": [WANTED["QueueConfigurations"][0] | change]}
    with refused(code, 400):
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
