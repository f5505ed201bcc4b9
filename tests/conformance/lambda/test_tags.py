"""Tags of functions."""

from functions import arn, refused

import pytest


def test_life_of_tags(client, create):
    name = create(Tags={"team": "blue"})["FunctionName"]
    assert client.list_tags(Resource=arn(name))["Tags"] == {"team": "blue"}
    answer = client.tag_resource(Resource=arn(name), Tags={"team": "red", "cost": "7", "empty": ""})
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    expected = {"team": "red", "cost": "7", "empty": ""}
    assert client.list_tags(Resource=arn(name))["Tags"] == expected
    assert client.get_function(FunctionName=name)["Tags"] == expected
    answer = client.untag_resource(Resource=arn(name), TagKeys=["team", "nobody"])
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert client.list_tags(Resource=arn(name))["Tags"] == {"cost": "7", "empty": ""}
    client.untag_resource(Resource=arn(name), TagKeys=["cost", "empty"])
    assert "Tags" not in client.get_function(FunctionName=name)


def test_tags_do_not_change_the_revision(client, create):
    created = create()
    client.tag_resource(Resource=created["FunctionArn"], Tags={"a": "b"})
    shown = client.get_function_configuration(FunctionName=created["FunctionName"])
    assert shown["RevisionId"] == created["RevisionId"]


def test_fifty_at_most(client, create):
    name = create()["FunctionName"]
    client.tag_resource(Resource=arn(name), Tags={f"k{i}": "v" for i in range(50)})
    client.tag_resource(Resource=arn(name), Tags={"k0": "again"})
    with refused(
        "InvalidParameterValueException", "Number of tags exceeds resource tag limit.", 400
    ):
        client.tag_resource(Resource=arn(name), Tags={"one-more": "v"})


@pytest.mark.parametrize("qualifier", ["$LATEST", "1", "live"])
def test_only_functions_have_tags(client, create, qualifier):
    name = create()["FunctionName"]
    for call in (
        lambda resource: client.list_tags(Resource=resource),
        lambda resource: client.tag_resource(Resource=resource, Tags={"a": "b"}),
        lambda resource: client.untag_resource(Resource=resource, TagKeys=["a"]),
    ):
        with refused(
            "InvalidParameterValueException",
            "Tags on function aliases and versions are not supported. Please specify a function "
            "ARN.",
            400,
        ):
            call(arn(name, qualifier))


def test_not_there(client, unchecked):
    with refused("ResourceNotFoundException", f"Function not found: {arn('nothing')}", 404):
        client.list_tags(Resource=arn("nothing"))
    with refused("ResourceNotFoundException", f"Function not found: {arn('nothing')}", 404):
        client.tag_resource(Resource=arn("nothing"), Tags={"a": "b"})
    for resource in ("no-arn", arn("f").replace(":function:", ":layer:"), "arn:aws:iam::1:user/u"):
        with refused(
            "ValidationException",
            contains=f"1 validation error detected: Value '{resource}' at 'resource' failed to "
            "satisfy constraint: Member must satisfy regular expression pattern: arn:",
            status=400,
        ):
            unchecked.list_tags(Resource=resource)
