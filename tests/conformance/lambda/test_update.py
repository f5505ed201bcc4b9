"""UpdateFunctionCode and UpdateFunctionConfiguration; RevisionId."""

import base64
import hashlib

from functions import arn, refused, zip_of

import pytest

MISMATCH = (
    "The Revision Id provided does not match the latest Revision Id. Call the "
    "GetFunction/GetAlias API to retrieve the latest Revision Id"
)


def sha256(archive):
    return base64.b64encode(hashlib.sha256(archive).digest()).decode()


def test_code(client, create):
    created = create()
    name = created["FunctionName"]
    archive = zip_of({"index.py": "def handler(event, context): return 2\n"})
    answer = client.update_function_code(FunctionName=name, ZipFile=archive)
    assert answer["CodeSha256"] == sha256(archive) != created["CodeSha256"]
    assert answer["CodeSize"] == len(archive)
    assert answer["RevisionId"] != created["RevisionId"]
    assert answer["State"] == "Active"
    assert answer["LastUpdateStatus"] == "InProgress"
    assert answer["LastUpdateStatusReason"] == "The function is being created."
    assert answer["LastUpdateStatusReasonCode"] == "Creating"
    client.get_waiter("function_updated_v2").wait(FunctionName=name)
    shown = client.get_function_configuration(FunctionName=name)
    assert shown["LastUpdateStatus"] == "Successful"
    assert shown["RevisionId"] == answer["RevisionId"]


def test_code_with_publish(client, create):
    name = create()["FunctionName"]
    archive = zip_of({"index.py": "# 2\n"})
    answer = client.update_function_code(FunctionName=name, ZipFile=archive, Publish=True)
    assert answer["Version"] == "1"
    assert answer["FunctionArn"] == arn(name, "1")
    again = client.update_function_code(FunctionName=name, ZipFile=archive, Publish=True)
    assert again["Version"] == "1", "nothing changed"


def test_dry_run_changes_nothing(client, create):
    created = create()
    name = created["FunctionName"]
    archive = zip_of({"index.py": "# other\n"})
    answer = client.update_function_code(
        FunctionName=name, ZipFile=archive, DryRun=True, Publish=True
    )
    assert answer["CodeSha256"] == sha256(archive)
    shown = client.get_function_configuration(FunctionName=name)
    assert shown["CodeSha256"] == created["CodeSha256"]
    assert shown["RevisionId"] == created["RevisionId"]
    assert len(client.list_versions_by_function(FunctionName=name)["Versions"]) == 1


def test_configuration(client, create):
    created = create(Environment={"Variables": {"AA": "1"}}, MemorySize=256)
    name = created["FunctionName"]
    answer = client.update_function_configuration(
        FunctionName=name, Timeout=30, Description="new", Runtime="nodejs20.x", Handler="a.b"
    )
    assert answer["LastUpdateStatus"] == "InProgress"
    shown = client.get_function_configuration(FunctionName=name)
    assert (shown["Timeout"], shown["Description"]) == (30, "new")
    assert (shown["Runtime"], shown["Handler"]) == ("nodejs20.x", "a.b")
    assert shown["MemorySize"] == 256
    assert shown["Environment"] == {"Variables": {"AA": "1"}}
    assert shown["CodeSha256"] == created["CodeSha256"]
    assert shown["LastModified"] >= created["LastModified"]


def test_variables_are_replaced_as_a_whole(client, create):
    name = create(Environment={"Variables": {"AA": "1", "BB": "2"}})["FunctionName"]
    answer = client.update_function_configuration(
        FunctionName=name, Environment={"Variables": {"CC": "3"}}
    )
    assert answer["Environment"] == {"Variables": {"CC": "3"}}
    client.update_function_configuration(FunctionName=name, Environment={"Variables": {}})
    shown = client.get_function_configuration(FunctionName=name)
    assert shown.get("Environment", {"Variables": {}}) == {"Variables": {}}


def test_revision_ids(client, create):
    created = create()
    name = created["FunctionName"]
    old = created["RevisionId"]
    current = client.update_function_configuration(
        FunctionName=name, RevisionId=old, Timeout=5
    )["RevisionId"]
    with refused("PreconditionFailedException", MISMATCH, 412):
        client.update_function_configuration(FunctionName=name, RevisionId=old, Timeout=6)
    with refused("PreconditionFailedException", MISMATCH, 412):
        client.update_function_code(
            FunctionName=name, RevisionId=old, ZipFile=zip_of({"index.py": ""})
        )
    with refused("PreconditionFailedException", MISMATCH, 412):
        client.publish_version(FunctionName=name, RevisionId=old)
    assert client.get_function_configuration(FunctionName=name)["Timeout"] == 5
    client.update_function_code(
        FunctionName=name, RevisionId=current, ZipFile=zip_of({"index.py": "# new\n"})
    )


def test_refusals_change_nothing(client, create):
    created = create()
    name = created["FunctionName"]
    for change, message in (
        (
            {"Environment": {"Variables": {"AWS_REGION": "x"}}, "Timeout": 60},
            None,
        ),
        ({"Runtime": "java21", "Timeout": 60}, "Hearth does not support the runtime java21 yet."),
        (
            {"VpcConfig": {"SubnetIds": ["subnet-1"]}, "Timeout": 60},
            "Hearth does not support VpcConfig yet.",
        ),
    ):
        with refused("InvalidParameterValueException", message, 400):
            client.update_function_configuration(FunctionName=name, **change)
    shown = client.get_function_configuration(FunctionName=name)
    assert shown["RevisionId"] == created["RevisionId"]
    assert shown["Timeout"] == 3


def test_nothing_to_update_with(client, create):
    name = create()["FunctionName"]
    with refused(
        "InvalidParameterValueException", "Please provide a source for function code.", 400
    ):
        client.update_function_code(FunctionName=name)
    with refused(
        "InvalidParameterValueException",
        "Please don't provide ImageUri when updating a function with packageType Zip.",
        400,
    ):
        client.update_function_code(FunctionName=name, ImageUri="x")


def test_functions_that_are_not_there(client):
    with refused("ResourceNotFoundException", f"Function not found: {arn('nothing')}", 404):
        client.update_function_configuration(FunctionName="nothing", Timeout=5)
    with refused("ResourceNotFoundException", f"Function not found: {arn('nothing')}", 404):
        client.update_function_code(FunctionName="nothing", ZipFile=zip_of({"a": ""}))


def test_versions_cannot_be_changed(client, create):
    name = create(Publish=True)["FunctionName"]
    with refused("InvalidParameterValueException", status=400):
        client.update_function_configuration(FunctionName=f"{name}:1", Timeout=5)
    client.update_function_configuration(FunctionName=f"{name}:$LATEST", Timeout=5)


@pytest.mark.parametrize("architectures", [["arm64"]])
def test_another_architecture(client, create, architectures):
    with refused(
        "InvalidParameterValueException",
        "Hearth does not support another architecture than the machine's own yet.",
    ):
        create(Architectures=architectures)
