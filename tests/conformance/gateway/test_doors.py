"""What a function is to Hearth when it calls it: its role, verified; never anybody else."""

import io
import json
import zipfile

import pytest

import hearth_up

ACCOUNT = "000000000000"
CODE = '''
import json, os, urllib.error, urllib.request

import boto3


def fetch(path, body=None, headers=None):
    request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"] + path, body, headers or {})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return {"status": answer.status, "body": answer.read().decode()}
    except urllib.error.HTTPError as error:
        return {"status": error.code, "body": error.read().decode()}


def handler(event, context):
    if "path" in event:
        return fetch(event["path"])
    if "unsigned" in event:
        return fetch("/", b"Action=GetCallerIdentity&Version=2011-06-15",
                     {"Content-Type": "application/x-www-form-urlencoded"})
    arguments = event.get("key", {})
    client = boto3.client("sts", endpoint_url=os.environ["AWS_ENDPOINT_URL"], **arguments)
    try:
        answer = client.get_caller_identity()
        return {"arn": answer["Arn"], "account": answer["Account"], "id": answer["UserId"]}
    except client.exceptions.ClientError as error:
        return {"code": error.response["Error"]["Code"]}
'''


def zipped(code):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", code)
    return buffer.getvalue()


@pytest.fixture(scope="module", params=["open", "enforce"])
def cloud(request):
    with hearth_up.Hearth(options=["--auth", request.param]) as hearth:
        iam = hearth.client("iam")
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        role = iam.create_role(
            RoleName="door-role", Path="/app/", AssumeRolePolicyDocument=json.dumps(trust)
        )["Role"]
        functions = hearth.client("lambda")
        functions.create_function(
            FunctionName="door",
            Runtime="python3.11",
            Handler="index.handler",
            Role=role["Arn"],
            Timeout=120,
            MemorySize=256,
            Code={"ZipFile": zipped(CODE)},
        )
        functions.get_waiter("function_active_v2").wait(FunctionName="door")

        def invoke(**event):
            answer = functions.invoke(FunctionName="door", Payload=json.dumps(event))
            payload = json.loads(answer["Payload"].read())
            assert "FunctionError" not in answer, payload
            return payload

        hearth.mode = request.param
        hearth.role = role
        hearth.invoke = invoke
        yield hearth


def test_its_credentials_are_its_role(cloud):
    who = cloud.invoke()
    assert who["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/door-role/door"
    assert who["account"] == ACCOUNT
    assert who["id"] == f"{cloud.role['RoleId']}:door"


def test_an_unknown_key_is_its_role_or_refused(cloud):
    key = {"aws_access_key_id": "111122223333", "aws_secret_access_key": "x"}
    who = cloud.invoke(key=key)
    if cloud.mode == "enforce":
        assert who == {"code": "InvalidClientTokenId"}
    else:
        assert who["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/door-role/door"


def test_no_key_is_its_role_or_refused(cloud):
    answer = cloud.invoke(unsigned=True)
    if cloud.mode == "enforce":
        assert answer["status"] == 403
        assert "MissingAuthenticationToken" in answer["body"]
    else:
        assert f"arn:aws:sts::{ACCOUNT}:assumed-role/door-role/door" in answer["body"]


def test_a_known_key_is_always_verified(cloud):
    root, secret = cloud.root_key()
    wrong = {"aws_access_key_id": root, "aws_secret_access_key": "guess"}
    assert cloud.invoke(key=wrong) == {"code": "SignatureDoesNotMatch"}
    right = {"aws_access_key_id": root, "aws_secret_access_key": secret}
    assert cloud.invoke(key=right)["arn"] == f"arn:aws:iam::{ACCOUNT}:root"


def test_functions_are_no_operators(cloud):
    assert cloud.invoke(path="/_hearth/health")["status"] == 200
    for path in ("/_hearth/metrics", "/_hearth/status", "/_hearth/functions"):
        assert cloud.invoke(path=path)["status"] == 404
