"""Functions and layers whose code lies in S3."""

import contextlib
import os

import botocore.exceptions
import pytest

import deployed

SOURCE = "def handler(event, context):\n    return {version}\n"


@pytest.fixture(scope="module")
def s3(hearth):
    return hearth.client("s3")


@pytest.fixture(scope="module")
def client(hearth):
    return hearth.client("lambda")


@pytest.fixture
def bucket(s3, unique):
    name = unique("code")
    s3.create_bucket(Bucket=name)
    return name


def zipped(version):
    return deployed.zipped({"app.py": SOURCE.format(version=version)})


def create(client, name, **code):
    return client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=deployed.ROLE,
        Handler="app.handler",
        Timeout=60,
        Code=code,
    )


@contextlib.contextmanager
def refused(message):
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        yield
    error = raised.value.response["Error"]
    assert error["Code"] == "InvalidParameterValueException"
    assert error["Message"] == message
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def s3_error(code, message):
    return (
        f"Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"
    )


def test_create_update_and_call(hearth, s3, client, bucket, unique):
    name = unique("from-s3")
    s3.put_object(Bucket=bucket, Key="path/code.zip", Body=zipped(1))
    made = create(client, name, S3Bucket=bucket, S3Key="path/code.zip")
    assert made["CodeSize"] == len(zipped(1))
    client.get_waiter("function_active_v2").wait(FunctionName=name)
    function = deployed.Function(client, name)
    assert function.invoke({}).json() == 1
    # What becomes of the object does not matter to the function.
    s3.delete_object(Bucket=bucket, Key="path/code.zip")
    assert function.invoke({}).json() == 1
    s3.put_object(Bucket=bucket, Key="new.zip", Body=zipped(2))
    updated = client.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="new.zip")
    assert updated["CodeSha256"] != made["CodeSha256"]
    client.get_waiter("function_updated_v2").wait(FunctionName=name)
    assert function.invoke({}).json() == 2


def test_versions(s3, client, bucket, unique):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=bucket, Key="code.zip", Body=zipped(1))["VersionId"]
    s3.put_object(Bucket=bucket, Key="code.zip", Body=zipped(2))
    name = unique("versioned")
    create(client, name, S3Bucket=bucket, S3Key="code.zip", S3ObjectVersion=old)
    client.get_waiter("function_active_v2").wait(FunctionName=name)
    assert deployed.Function(client, name).invoke({}).json() == 1


def test_larger_than_a_request_may_be(hearth, s3, client, bucket, unique):
    # 50 MB is the limit of a zip in a request.
    files = {"app.py": SOURCE.format(version=3), "data.bin": os.urandom(60 * 1024 * 1024)}
    s3.put_object(Bucket=bucket, Key="large.zip", Body=deployed.zipped(files))
    name = unique("large")
    create(client, name, S3Bucket=bucket, S3Key="large.zip")
    client.get_waiter("function_active_v2").wait(FunctionName=name)
    assert deployed.Function(client, name).invoke({}).json() == 3


def test_layers(s3, client, bucket, unique):
    s3.put_object(
        Bucket=bucket, Key="layer.zip", Body=deployed.zipped({"python/words.py": "word = 'layer'\n"})
    )
    layer = client.publish_layer_version(
        LayerName=unique("layer"), Content={"S3Bucket": bucket, "S3Key": "layer.zip"}
    )
    function = deployed.function(
        client,
        unique("layered"),
        "import words\ndef handler(event, context):\n    return words.word\n",
        Layers=[layer["LayerVersionArn"]],
    )
    assert function.invoke({}).json() == "layer"


def test_errors(hearth, s3, client, bucket, unique):
    name = unique("none")
    with refused(s3_error("NoSuchKey", "The specified key does not exist.")):
        create(client, name, S3Bucket=bucket, S3Key="nothing")
    with refused(s3_error("NoSuchBucket", "The specified bucket does not exist")):
        create(client, name, S3Bucket="no-such-bucket-anywhere", S3Key="nothing")
    s3.put_object(Bucket=bucket, Key="no.zip", Body=b"this is no zip")
    with refused(
        "Could not unzip uploaded file. Please check your file, then try to upload again."
    ):
        create(client, name, S3Bucket=bucket, S3Key="no.zip")
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    with refused("Uploaded file must be a non-empty zip"):
        create(client, name, S3Bucket=bucket, S3Key="empty")
    elsewhere = hearth.client("lambda", region="eu-west-1")
    with refused(
        s3_error(
            "PermanentRedirect",
            "The bucket is in this region: us-east-1. Please use this region to retry the request",
        )
    ):
        create(elsewhere, name, S3Bucket=bucket, S3Key="no.zip")
