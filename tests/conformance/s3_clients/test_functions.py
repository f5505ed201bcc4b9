"""S3 from inside a function: the SDK of its runtime, its role's credentials, the door of its environment."""

import deployed
import hearth_up
import pytest

SOURCE = """
import boto3
from botocore.config import Config

def handler(event, context):
    s3 = boto3.client("s3", config=Config(s3={"addressing_style": event["style"]}))
    body = b"from a function" * 10000
    s3.put_object(Bucket=event["bucket"], Key=event["style"], Body=body)
    assert s3.get_object(Bucket=event["bucket"], Key=event["style"])["Body"].read() == body
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=event["bucket"])["Contents"]]
"""


TRUST = """{
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ]
}"""


@pytest.mark.parametrize("auth", ("open", "enforce"))
def test_a_function_uses_a_bucket(auth):
    with hearth_up.Hearth(options=("--auth", auth)) as hearth:
        s3 = hearth.client("s3")
        s3.create_bucket(Bucket="bucket")
        name = deployed.ROLE.split("/")[-1]
        hearth.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
        function = deployed.function(hearth.client("lambda"), "writer", SOURCE, MemorySize=512)
        for style, keys in (("path", ["path"]), ("virtual", ["path", "virtual"])):
            call = function.invoke({"bucket": "bucket", "style": style})
            assert call.error is None, call.body
            assert call.json() == keys
            assert s3.head_object(Bucket="bucket", Key=style)["ContentLength"] == 150000
