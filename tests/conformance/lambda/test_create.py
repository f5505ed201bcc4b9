"""CreateFunction: what it answers, what it keeps, what it refuses."""

import base64
import hashlib
import re

from functions import ACCOUNT, REGION, ROLE, arn, code, refused, zip_of

import pytest


def test_answer_has_every_default(client, create, unique):
    name = unique("fn")
    archive = zip_of({"index.py": "def handler(event, context): pass\n"})
    answer = create(name, Code={"ZipFile": archive})
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    metadata = answer.pop("ResponseMetadata")
    assert re.fullmatch(r"[0-9a-f-]{36}", metadata["RequestId"])
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.pop("RevisionId"))
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", answer.pop("LastModified")
    )
    # Members that this botocore does not know are dropped by it.
    answer.pop("LoggingConfig", None)
    runtime_version = answer.pop("RuntimeVersionConfig", None)
    if runtime_version:
        assert re.fullmatch(
            rf"arn:aws:lambda:{REGION}::runtime:[0-9a-f]{{64}}", runtime_version["RuntimeVersionArn"]
        )
    assert answer == {
        "FunctionName": name,
        "FunctionArn": arn(name),
        "Runtime": "python3.12",
        "Role": ROLE,
        "Handler": "index.handler",
        "CodeSize": len(archive),
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "CodeSha256": base64.b64encode(hashlib.sha256(archive).digest()).decode(),
        "Version": "$LATEST",
        "TracingConfig": {"Mode": "PassThrough"},
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
    }


def test_it_is_active_afterwards(client, create):
    name = create()["FunctionName"]
    client.get_waiter("function_active_v2").wait(FunctionName=name)
    shown = client.get_function_configuration(FunctionName=name)
    assert shown["State"] == "Active"
    assert "StateReason" not in shown
    assert shown["LastUpdateStatus"] == "Successful"


def test_all_settings_are_kept(client, create):
    settings = {
        "Description": "what it does",
        "Timeout": 900,
        "MemorySize": 10240,
        "EphemeralStorage": {"Size": 1024},
        "Environment": {"Variables": {"AA": "1", "EMPTY": "", "UMLAUT": "grüß"}},
        "TracingConfig": {"Mode": "PassThrough"},
        "Architectures": ["x86_64"],
    }
    name = create(Tags={"team": "blue"}, **settings)["FunctionName"]
    shown = client.get_function(FunctionName=name)
    for member, value in settings.items():
        assert shown["Configuration"][member] == value
    assert shown["Tags"] == {"team": "blue"}
    assert shown["Code"]["RepositoryType"] == "S3"


def test_the_same_name_twice(client, create):
    name = create()["FunctionName"]
    with refused("ResourceConflictException", f"Function already exist: {name}", 409):
        create(name)


def test_publish_makes_version_1(client, create):
    answer = create(Publish=True)
    assert answer["Version"] == "1"
    versions = client.list_versions_by_function(FunctionName=answer["FunctionName"])["Versions"]
    assert [version["Version"] for version in versions] == ["$LATEST", "1"]


def test_names_may_be_arns(client, create, unique):
    first, second = unique("fn"), unique("fn")
    assert create(arn(first))["FunctionName"] == first
    assert create(f"{ACCOUNT}:function:{second}")["FunctionName"] == second


@pytest.mark.parametrize("qualifier", ["$LATEST", "1", "live"])
def test_names_must_not_be_qualified(client, create, unique, qualifier):
    with refused("InvalidParameterValueException", status=400):
        create(f"{unique('fn')}:{qualifier}")


def test_names_have_64_characters(create, unique):
    name = unique("fn").ljust(64, "x")
    create(name)
    with refused(
        "InvalidParameterValueException",
        f"1 validation error detected: Value '{name}x' at 'functionName' failed to satisfy "
        "constraint: Member must have length less than or equal to 64",
    ):
        create(name + "x")


def test_other_regions_and_accounts(create):
    with refused(
        "ResourceNotFoundException",
        f"Functions from 'eu-west-1' are not reachable in this region ('{REGION}')",
        404,
    ):
        create(f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:f")
    with refused("AccessDeniedException", status=403, contains="is not authorized to perform"):
        create(f"arn:aws:lambda:{REGION}:999999999999:function:f")


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"Runtime": None},
            "Runtime and Handler are mandatory parameters for functions created with deployment "
            "packages.",
        ),
        (
            {"Handler": None},
            "Runtime and Handler are mandatory parameters for functions created with deployment "
            "packages.",
        ),
        ({"Runtime": "java21"}, "Hearth does not support the runtime java21 yet."),
        (
            {"Environment": {"Variables": {"AWS_REGION": "x", "LAMBDA_TASK_ROOT": "y"}}},
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided contains reserved keys that are currently not supported "
            "for modification. Reserved keys used in this request: AWS_REGION, LAMBDA_TASK_ROOT",
        ),
        (
            {"Code": {"ZipFile": b""}},
            "Uploaded file must be a non-empty zip",
        ),
        (
            {"Code": {"ZipFile": b"this is no zip"}},
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        ),
        ({"Code": {}}, "Please provide a source for function code."),
        (
            {"Code": {"S3Bucket": "no-such-bucket", "S3Key": "key"}},
            "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The "
            "specified bucket does not exist",
        ),
        (
            {"Code": {"ZipFile": b"PK", "S3Bucket": "bucket", "S3Key": "key"}},
            "Please do not provide other FunctionCode parameters when providing a ZipFile.",
        ),
        (
            {"PackageType": "Image", "Code": {"ImageUri": "x"}},
            "Hearth does not support container images (PackageType Image) yet.",
        ),
        (
            {"VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}},
            "Hearth does not support VpcConfig yet.",
        ),
        (
            {"DeadLetterConfig": {"TargetArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:t"}},
            "Hearth does not support SNS topics as dead-letter queues yet.",
        ),
        (
            {"KMSKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"},
            "Hearth does not support KMSKeyArn yet.",
        ),
        (
            {"TracingConfig": {"Mode": "Active"}},
            "Hearth does not support TracingConfig Mode Active yet.",
        ),
        (
            {"Tags": {f"k{i}": "v" for i in range(51)}},
            "Number of tags exceeds resource tag limit.",
        ),
        ({"Tags": {"aws:mine": "v"}}, "System tags cannot be added/updated by requester"),
    ],
)
def test_refused_settings(create, changes, message):
    with refused("InvalidParameterValueException", message, 400):
        create(**changes)


def test_unknown_runtimes_name_the_known_ones(create):
    with refused(
        "InvalidParameterValueException",
        contains="Value cobol85 at 'runtime' failed to satisfy constraint: Member must satisfy "
        "enum value set: [",
    ):
        create(Runtime="cobol85")


def test_variables_have_4_kb(create):
    create(Environment={"Variables": {"KK": "v" * (4096 - 9)}})
    with refused(
        "InvalidParameterValueException",
        "Lambda was unable to configure your environment variables because the environment "
        "variables you have provided exceeded the 4KB limit. String measured: "
        '{"KK":"' + "v" * (4096 - 8) + '"}',
    ):
        create(Environment={"Variables": {"KK": "v" * (4096 - 8)}})


@pytest.mark.parametrize(
    "changes, problem",
    [
        (
            {"MemorySize": 127},
            "Value '127' at 'memorySize' failed to satisfy constraint: Member must have value "
            "greater than or equal to 128",
        ),
        (
            {"MemorySize": 10241},
            "Value '10241' at 'memorySize' failed to satisfy constraint: Member must have value "
            "less than or equal to 10240",
        ),
        (
            {"Timeout": 0},
            "Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater "
            "than or equal to 1",
        ),
        (
            {"Timeout": 901},
            "Value '901' at 'timeout' failed to satisfy constraint: Member must have value less "
            "than or equal to 900",
        ),
        (
            {"EphemeralStorage": {"Size": 511}},
            "Value '511' at 'ephemeralStorage.size' failed to satisfy constraint: Member must have "
            "value greater than or equal to 512",
        ),
        (
            {"Description": "d" * 257},
            "Value '" + "d" * 257 + "' at 'description' failed to satisfy constraint: Member must "
            "have length less than or equal to 256",
        ),
        (
            {"Role": "not-an-arn"},
            "Value 'not-an-arn' at 'role' failed to satisfy constraint: Member must satisfy regular "
            r"expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
        ),
    ],
)
def test_constraints_of_the_model(unchecked, unique, changes, problem):
    request = {
        "FunctionName": unique("fn"),
        "Runtime": "python3.12",
        "Role": ROLE,
        "Handler": "index.handler",
        "Code": code(),
        **changes,
    }
    with refused("ValidationException", f"1 validation error detected: {problem}", 400):
        unchecked.create_function(**request)


def test_zips_above_the_limit(create):
    # Deflated noise does not shrink: the request itself is below its own limit.
    import random

    noise = random.Random(5).randbytes(52_428_801)
    with refused(
        "RequestEntityTooLargeException",
        "Zipped size must be smaller than 52428800 bytes",
        413,
    ):
        create(Code={"ZipFile": b"PK\x03\x04" + noise})


def test_what_a_failed_creation_left_is_nothing(client, create, unique):
    name = unique("fn")
    with refused("InvalidParameterValueException"):
        create(name, Code={"ZipFile": b"no"})
    with refused("ResourceNotFoundException", f"Function not found: {arn(name)}", 404):
        client.get_function(FunctionName=name)
    create(name)


def test_names_of_variables(create):
    with refused(
        "ValidationException",
        "1 validation error detected: Value at 'environment.variables' failed to satisfy constraint: "
        "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: "
        "[a-zA-Z]([a-zA-Z0-9_])+, Member must not be null]",
        400,
    ):
        create(Environment={"Variables": {"A": "one letter is not enough"}})
