"""The day of somebody with the aws command."""

import json

from functions import ROLE, arn, zip_of


def test_a_day(hearth, unique, tmp_path):
    name = unique("cli")
    archive = tmp_path / "code.zip"
    archive.write_bytes(zip_of({"index.py": "def handler(event, context): return 1\n"}))
    made = hearth.aws(
        "lambda",
        "create-function",
        "--function-name",
        name,
        "--runtime",
        "python3.11",
        "--handler",
        "index.handler",
        "--role",
        ROLE,
        "--zip-file",
        f"fileb://{archive}",
        "--environment",
        "Variables={AA=1}",
        "--tags",
        "team=blue",
    )
    assert made["FunctionArn"] == arn(name)
    hearth.aws("lambda", "wait", "function-active-v2", "--function-name", name)
    assert hearth.aws("lambda", "get-function", "--function-name", name)["Tags"] == {"team": "blue"}
    hearth.aws(
        "lambda", "update-function-configuration", "--function-name", name, "--timeout", "30"
    )
    hearth.aws("lambda", "wait", "function-updated-v2", "--function-name", name)
    hearth.aws(
        "lambda",
        "update-function-code",
        "--function-name",
        name,
        "--zip-file",
        f"fileb://{archive}",
        "--publish",
    )
    alias = hearth.aws(
        "lambda",
        "create-alias",
        "--function-name",
        name,
        "--name",
        "live",
        "--function-version",
        "1",
        "--routing-config",
        json.dumps({"AdditionalVersionWeights": {}}),
    )
    assert alias["AliasArn"] == arn(name, "live")
    listed = hearth.aws("lambda", "list-functions")["Functions"]
    assert name in [function["FunctionName"] for function in listed]
    failed = hearth.aws_raw("lambda", "get-function", "--function-name", "nothing")
    assert failed.returncode == 254
    assert (
        "An error occurred (ResourceNotFoundException) when calling the GetFunction operation"
        in failed.stderr
    )
    assert f": Function not found: {arn('nothing')}\n" in failed.stderr
    hearth.aws("lambda", "delete-function", "--function-name", name)


def test_missing_operations_say_so(hearth):
    failed = hearth.aws_raw(
        "lambda",
        "put-provisioned-concurrency-config",
        *("--function-name", "f", "--qualifier", "1", "--provisioned-concurrent-executions", "1"),
    )
    assert failed.returncode != 0
    assert "Hearth" in failed.stderr or "not implemented" in failed.stderr.lower(), failed.stderr
