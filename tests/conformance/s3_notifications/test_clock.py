"""What S3 does by itself is told, too; and a destination that comes back gets what waited."""

import json

import deployed
import hearth_up
from s3_notifications_support import tell

HEARTH_OPTIONS = ("--test-clock",)


def advance(hearth, by):
    with hearth.get(f"/_hearth/clock/advance?by={by}", "POST", b"") as answer:
        assert answer.status == 200


def test_lifecycle_rules_are_told(hearth, s3, told, queue):
    s3.put_object(Bucket=told, Key="old/a", Body=b"1")
    s3.put_object(Bucket=told, Key="cold/a", Body=b"x" * 200_000)
    queue.events(2)
    s3.put_bucket_lifecycle_configuration(
        Bucket=told,
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "old",
                    "Status": "Enabled",
                    "Filter": {"Prefix": "old/"},
                    "Expiration": {"Days": 1},
                },
                {
                    "ID": "cold",
                    "Status": "Enabled",
                    "Filter": {"Prefix": "cold/"},
                    "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}],
                },
            ]
        },
    )
    advance(hearth, "3d")
    by_name = {record["eventName"]: record for record in queue.events(2)}
    assert set(by_name) == {"LifecycleExpiration:Delete", "LifecycleTransition"}
    for record in by_name.values():
        assert record["eventVersion"] == "2.3"
        assert record["userIdentity"] == {"principalId": "s3.amazonaws.com"}
        assert record["requestParameters"] == {"sourceIPAddress": "s3.amazonaws.com"}
    assert by_name["LifecycleTransition"]["lifecycleEventData"] == {
        "transitionEventData": {"destinationStorageClass": "GLACIER"}
    }
    s3.restore_object(
        Bucket=told,
        Key="cold/a",
        RestoreRequest={"Days": 1, "GlacierJobParameters": {"Tier": "Standard"}},
    )
    assert queue.event()["eventName"] == "ObjectRestore:Post"
    advance(hearth, "6h")
    completed = queue.event()
    assert completed["eventName"] == "ObjectRestore:Completed"
    data = completed["glacierEventData"]["restoreEventData"]
    assert data["lifecycleRestoreStorageClass"] == "GLACIER"
    assert data["lifecycleRestorationExpiryTime"].endswith("T00:00:00.000Z")
    advance(hearth, "3d")
    assert queue.event()["eventName"] == "ObjectRestore:Delete"


def test_what_waits_for_a_destination_comes_when_it_is_back(hearth, s3, sqs, bucket, queue):
    tell(s3, bucket, queue, ["s3:ObjectCreated:*"])
    sqs.delete_queue(QueueUrl=queue.url)
    for number in range(5):
        s3.put_object(Bucket=bucket, Key=str(number), Body=b"1")
    # A name can be used again after a minute.
    advance(hearth, "2h")
    name = queue.arn.rsplit(":", 1)[1]
    sqs.create_queue(QueueName=name)
    advance(hearth, "10m")
    keys = {
        json.loads(message["Body"])["Records"][0]["s3"]["object"]["key"]
        for message in queue.messages(5)
    }
    assert keys == {"0", "1", "2", "3", "4"}


def test_after_a_day_it_is_given_up(hearth, s3, sqs, bucket, queue):
    tell(s3, bucket, queue, ["s3:ObjectCreated:*"])
    sqs.delete_queue(QueueUrl=queue.url)
    s3.put_object(Bucket=bucket, Key="lost", Body=b"1")
    advance(hearth, "25h")
    sqs.create_queue(QueueName=queue.arn.rsplit(":", 1)[1])
    s3.put_object(Bucket=bucket, Key="kept", Body=b"1")
    advance(hearth, "10m")
    assert queue.event()["s3"]["object"]["key"] == "kept"
    assert f"an event of {bucket} for {queue.arn} is dropped" in hearth.log()


LOOP = '''
import boto3

s3 = boto3.client("s3")

def handler(event, context):
    for record in event["Records"]:
        bucket = record["s3"]["bucket"]["name"]
        number = int(record["s3"]["object"]["key"]) + 1
        s3.put_object(Bucket=bucket, Key=str(number), Body=b"again")
'''


def test_a_function_that_calls_itself_through_a_bucket_is_stopped(hearth, s3, bucket):
    client = hearth.client("lambda")
    deployed.function(client, "loop", LOOP)
    client.add_permission(
        FunctionName="loop",
        StatementId="s3",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
    )
    arn = client.get_function(FunctionName="loop")["Configuration"]["FunctionArn"]
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [
                {"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}
            ]
        },
    )
    s3.put_object(Bucket=bucket, Key="0", Body=b"begin")

    def count():
        return s3.list_objects_v2(Bucket=bucket)["KeyCount"]

    # AWS stops a chain after about 16 runs. Moving the clock waits for what is under way.
    hearth_up.wait_for(lambda: count() >= 16, "a chain of 16 runs")
    advance(hearth, "1s")
    stopped = count()
    assert stopped <= 20
    advance(hearth, "1s")
    assert count() == stopped
