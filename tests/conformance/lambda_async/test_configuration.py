"""Put, update, get, list and delete of event invoke configurations, and DeadLetterConfig."""

import datetime

import pytest
from lambda_async_support import ACCOUNT, ECHOES, REGION, arn, refused

NONE = {"OnSuccess": {}, "OnFailure": {}}


def shown(answer):
    answer.pop("ResponseMetadata", None)
    assert isinstance(answer.pop("LastModified"), datetime.datetime)
    return answer


def test_put_get_update_delete(client, deploy, queue):
    function = deploy(ECHOES)
    target = {"OnFailure": {"Destination": queue.arn}}
    assert shown(function.configure(retries=0)) == {
        "FunctionArn": arn(function.name, "$LATEST"),
        "MaximumRetryAttempts": 0,
        "DestinationConfig": NONE,
    }
    updated = client.update_function_event_invoke_config(
        FunctionName=function.name, MaximumEventAgeInSeconds=60, DestinationConfig=target
    )
    expected = {
        "FunctionArn": arn(function.name, "$LATEST"),
        "MaximumRetryAttempts": 0,
        "MaximumEventAgeInSeconds": 60,
        "DestinationConfig": {**NONE, **target},
    }
    assert shown(updated) == expected
    for qualifier in ({}, {"Qualifier": "$LATEST"}):
        got = client.get_function_event_invoke_config(FunctionName=function.name, **qualifier)
        assert shown(got) == expected
    # Put replaces all of it.
    function.configure(age=21600)
    assert shown(client.get_function_event_invoke_config(FunctionName=function.name)) == {
        "FunctionArn": arn(function.name, "$LATEST"),
        "MaximumEventAgeInSeconds": 21600,
        "DestinationConfig": NONE,
    }
    deleted = client.delete_function_event_invoke_config(FunctionName=function.name)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    message = f"The function {arn(function.name, '$LATEST')} doesn't have an EventInvokeConfig"
    for call in (
        client.get_function_event_invoke_config,
        client.delete_function_event_invoke_config,
    ):
        with refused("ResourceNotFoundException", message, 404):
            call(FunctionName=function.name)
    with refused("ResourceNotFoundException", message, 404):
        client.update_function_event_invoke_config(
            FunctionName=function.name, MaximumRetryAttempts=1
        )


def test_each_qualifier_has_its_own(client, deploy):
    function = deploy(ECHOES)
    client.publish_version(FunctionName=function.name)
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    for retries, qualifier in enumerate((None, "1", "live")):
        function.configure(retries=retries, qualifier=qualifier)
    found, marker = [], {}
    while True:
        page = client.list_function_event_invoke_configs(
            FunctionName=function.name, MaxItems=1, **marker
        )
        assert len(page["FunctionEventInvokeConfigs"]) == 1
        found += page["FunctionEventInvokeConfigs"]
        if "NextMarker" not in page:
            break
        marker = {"Marker": page["NextMarker"]}
    assert {one["FunctionArn"]: one["MaximumRetryAttempts"] for one in found} == {
        arn(function.name, "$LATEST"): 0,
        arn(function.name, "1"): 1,
        arn(function.name, "live"): 2,
    }
    # They go with what they belong to.
    client.delete_alias(FunctionName=function.name, Name="live")
    client.delete_function(FunctionName=function.name, Qualifier="1")
    left = client.list_function_event_invoke_configs(FunctionName=function.name)
    assert [one["FunctionArn"] for one in left["FunctionEventInvokeConfigs"]] == [
        arn(function.name, "$LATEST")
    ]


def test_what_is_not_there(client, deploy):
    function = deploy(ECHOES)
    with refused("ResourceNotFoundException", "The function doesn't exist.", 404):
        client.put_function_event_invoke_config(FunctionName="nobody", MaximumRetryAttempts=1)
    with refused("ResourceNotFoundException", "The function doesn't exist.", 404):
        function.configure(retries=1, qualifier="nothing")
    with refused("ResourceNotFoundException", "The function doesn't exist.", 404):
        client.list_function_event_invoke_configs(FunctionName="nobody")
    with refused(
        "ResourceNotFoundException",
        f"The function {arn('nobody', '$LATEST')} doesn't have an EventInvokeConfig",
        404,
    ):
        client.get_function_event_invoke_config(FunctionName="nobody")


def test_bad_values(client, deploy, s3, unique):
    function = deploy(ECHOES)
    with refused(
        "InvalidParameterValueException",
        "You must specify at least one of error handling or destination setting.",
        400,
    ):
        function.configure()
    with refused(
        "InvalidParameterValueException",
        "You can't specify the function as a destination for itself.",
        400,
    ):
        function.configure(success=function.arn)
    for missing in (arn("nobody"), f"arn:aws:sqs:{REGION}:{ACCOUNT}:nothing", "arn:aws:s3:::no-such-bucket-here"):
        with refused(
            "InvalidParameterValueException", f"The destination ARN {missing} is invalid.", 400
        ):
            function.configure(failure=missing)
    role = f"arn:aws:iam::{ACCOUNT}:role/test"
    with refused(
        "InvalidParameterValueException",
        "The provided destination config DestinationConfig(onSuccess=null, "
        f"onFailure=OnFailure(destination={role})) is invalid.",
        400,
    ):
        function.configure(failure=role)
    # Buckets take failures alone.
    bucket = unique("destination")
    s3.create_bucket(Bucket=bucket)
    with refused(
        "InvalidParameterValueException",
        f"The provided destination config DestinationConfig(onSuccess=OnSuccess(destination=arn:aws:s3:::{bucket}), "
        "onFailure=null) is invalid.",
        400,
    ):
        function.configure(success=f"arn:aws:s3:::{bucket}")
    function.configure(failure=f"arn:aws:s3:::{bucket}")


@pytest.mark.parametrize(
    "target, what",
    [
        (f"arn:aws:sns:{REGION}:{ACCOUNT}:topic", "SNS topics as destinations"),
        (
            f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default",
            "EventBridge event buses as destinations",
        ),
    ],
)
def test_services_that_are_not_there_say_so(deploy, target, what):
    function = deploy(ECHOES)
    with refused(
        "InvalidParameterValueException", f"Hearth does not support {what} yet.", 400
    ):
        function.configure(failure=target)


def test_limits_of_numbers(client, deploy, hearth):
    function = deploy(ECHOES)
    import boto3
    import botocore.config

    key, secret = hearth.root_key()
    unchecked = boto3.client(
        "lambda",
        endpoint_url=hearth.endpoint,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=botocore.config.Config(parameter_validation=False, retries={"max_attempts": 0}),
    )
    for change in (
        {"MaximumRetryAttempts": 3},
        {"MaximumRetryAttempts": -1},
        {"MaximumEventAgeInSeconds": 59},
        {"MaximumEventAgeInSeconds": 21601},
    ):
        with refused("ValidationException", status=400, contains="1 validation error detected"):
            unchecked.put_function_event_invoke_config(FunctionName=function.name, **change)


def test_dead_letter_config(client, deploy, queue, sqs, unique):
    function = deploy(ECHOES)

    def update(target):
        return client.update_function_configuration(
            FunctionName=function.name, DeadLetterConfig={"TargetArn": target}
        )

    assert update(queue.arn)["DeadLetterConfig"] == {"TargetArn": queue.arn}
    client.get_waiter("function_updated_v2").wait(FunctionName=function.name)
    got = client.get_function_configuration(FunctionName=function.name)
    assert got["DeadLetterConfig"] == {"TargetArn": queue.arn}
    missing = f"arn:aws:sqs:{REGION}:{ACCOUNT}:nothing"
    with refused(
        "InvalidParameterValueException",
        f"The dead letter target ARN {missing} is invalid: there is no such queue.",
        400,
    ):
        update(missing)
    with refused(
        "InvalidParameterValueException",
        "Hearth does not support SNS topics as dead-letter queues yet.",
        400,
    ):
        update(f"arn:aws:sns:{REGION}:{ACCOUNT}:topic")
    with refused("InvalidParameterValueException", status=400, contains="FIFO"):
        update(f"arn:aws:sqs:{REGION}:{ACCOUNT}:q.fifo")
    with refused("InvalidParameterValueException", status=400):
        update(f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f")
    assert "DeadLetterConfig" not in update("")
