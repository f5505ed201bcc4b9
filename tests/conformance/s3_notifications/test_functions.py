"""Buckets that call functions."""

import json

import deployed
import hearth_up
import pytest
from s3_notifications_support import refused

SOURCE = '''
import json

def handler(event, context):
    print("EVENT " + json.dumps(event))
'''


@pytest.fixture(scope="module")
def function(hearth):
    client = hearth.client("lambda")
    deployed.function(client, "told", SOURCE)
    return client.get_function(FunctionName="told")["Configuration"]["FunctionArn"]


def allow(hearth, bucket):
    hearth.client("lambda").add_permission(
        FunctionName="told",
        StatementId=bucket,
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn=f"arn:aws:s3:::{bucket}",
    )


def events_of(hearth):
    logs = hearth.client("logs")
    found = []
    try:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/told")
        for page in pages:
            for event in page["events"]:
                if event["message"].startswith("EVENT "):
                    found.append(json.loads(event["message"][6:]))
    except logs.exceptions.ResourceNotFoundException:
        pass
    return found


def configuration(function):
    return {
        "LambdaFunctionConfigurations": [
            {"Id": "f", "LambdaFunctionArn": function, "Events": ["s3:ObjectCreated:*"]}
        ]
    }


def test_a_function_has_to_let_s3_in(hearth, s3, bucket, function):
    with refused(
        "InvalidArgument", "Unable to validate the following destination configurations"
    ) as raised:
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration=configuration(function)
        )
    assert raised.value.response["Error"]["ArgumentName1"] == function


def test_a_put_calls_the_function(hearth, s3, bucket, function):
    allow(hearth, bucket)
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=configuration(function)
    )
    s3.put_object(Bucket=bucket, Key="reads/1.fq", Body=b"@r\n")

    def called():
        return [
            record
            for event in events_of(hearth)
            for record in event["Records"]
            if record["s3"]["bucket"]["name"] == bucket
        ]

    (record,) = hearth_up.wait_for(called, "the function to be called")
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["s3"]["configurationId"] == "f"
    assert record["s3"]["object"]["key"] == "reads/1.fq"
