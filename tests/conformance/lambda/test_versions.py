"""PublishVersion, ListVersionsByFunction, DeleteFunction of versions."""

from functions import arn, refused, zip_of

import pytest


def publish(client, name, **changes):
    return client.publish_version(FunctionName=name, **changes)


def test_a_version_is_what_latest_was(client, create):
    created = create(Environment={"Variables": {"AA": "1"}}, Description="of latest")
    name = created["FunctionName"]
    one = publish(client, name)
    assert one["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert one["Version"] == "1"
    assert one["FunctionArn"] == arn(name, "1")
    assert one["Description"] == "of latest"
    assert one["CodeSha256"] == created["CodeSha256"]
    assert one["RevisionId"] != created["RevisionId"]
    client.get_waiter("function_active_v2").wait(FunctionName=name, Qualifier="1")
    client.update_function_configuration(
        FunctionName=name, Environment={"Variables": {"AA": "2"}}
    )
    client.update_function_code(FunctionName=name, ZipFile=zip_of({"index.py": "# 2\n"}))
    kept = client.get_function_configuration(FunctionName=name, Qualifier="1")
    assert kept["Environment"] == {"Variables": {"AA": "1"}}
    assert kept["CodeSha256"] == created["CodeSha256"]
    assert kept["State"] == "Active"


def test_descriptions(client, create):
    name = create(Description="of latest")["FunctionName"]
    assert publish(client, name, Description="of 1")["Description"] == "of 1"
    assert client.get_function_configuration(FunctionName=name)["Description"] == "of latest"


def test_publishing_the_same_again(client, create):
    name = create()["FunctionName"]
    first = publish(client, name)
    again = publish(client, name, Description="ignored: nothing changed")
    assert (again["Version"], again["RevisionId"]) == ("1", first["RevisionId"])
    client.update_function_configuration(FunctionName=name, Timeout=5)
    assert publish(client, name)["Version"] == "2"
    client.update_function_configuration(FunctionName=name, Timeout=3)
    assert publish(client, name)["Version"] == "3", "only the last publication counts"


def test_numbers_are_never_used_again(client, create):
    name = create()["FunctionName"]
    publish(client, name)
    client.delete_function(FunctionName=name, Qualifier="1")
    assert publish(client, name)["Version"] == "2"
    assert [
        version["Version"]
        for version in client.list_versions_by_function(FunctionName=name)["Versions"]
    ] == ["$LATEST", "2"]


def test_publishing_changes_the_revision_of_latest(client, create):
    created = create()
    name = created["FunctionName"]
    publish(client, name, RevisionId=created["RevisionId"])
    assert (
        client.get_function_configuration(FunctionName=name)["RevisionId"]
        != created["RevisionId"]
    )


def test_code_sha256_guards(client, create):
    created = create()
    name = created["FunctionName"]
    with refused(
        "InvalidParameterValueException",
        f"CodeSHA256 (wrong) is different from current CodeSHA256 in $LATEST "
        f"({created['CodeSha256']}). Please try again with the CodeSHA256 in $LATEST.",
        400,
    ):
        publish(client, name, CodeSha256="wrong")
    assert publish(client, name, CodeSha256=created["CodeSha256"])["Version"] == "1"


@pytest.mark.parametrize("size", [1, 2, 5, 12])
def test_lists_in_numerical_order(client, create, size):
    name = create()["FunctionName"]
    for number in range(11):
        client.update_function_configuration(FunctionName=name, Description=str(number))
        publish(client, name)
    pages = client.get_paginator("list_versions_by_function").paginate(
        FunctionName=name, PaginationConfig={"PageSize": size}
    )
    listed = [version for page in pages for version in page["Versions"]]
    assert [version["Version"] for version in listed] == ["$LATEST", *map(str, range(1, 12))]
    assert [version["FunctionArn"] for version in listed[:2]] == [
        arn(name, "$LATEST"),
        arn(name, "1"),
    ]


def test_nothing_to_publish(client):
    with refused("ResourceNotFoundException", f"Function not found: {arn('nothing')}", 404):
        publish(client, "nothing")
    with refused("ResourceNotFoundException", f"Function not found: {arn('nothing')}", 404):
        client.list_versions_by_function(FunctionName="nothing")


def test_deleting_versions(client, create):
    name = create(Publish=True)["FunctionName"]
    with refused(
        "InvalidParameterValueException",
        "$LATEST version cannot be deleted without deleting the function.",
        400,
    ):
        client.delete_function(FunctionName=name, Qualifier="$LATEST")
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    with refused(
        "ResourceConflictException",
        "Unable to delete version because the following aliases reference it: [live]",
        409,
    ):
        client.delete_function(FunctionName=name, Qualifier="1")
    with refused("InvalidParameterValueException", status=400):
        client.delete_function(FunctionName=name, Qualifier="live")
    client.delete_alias(FunctionName=name, Name="live")
    answer = client.delete_function(FunctionName=name, Qualifier="1")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    client.delete_function(FunctionName=name, Qualifier="1")
    with refused("ResourceNotFoundException", f"Function not found: {arn(name, '1')}", 404):
        client.get_function(FunctionName=name, Qualifier="1")
    assert client.get_function(FunctionName=name)["Configuration"]["Version"] == "$LATEST"


def test_deleting_a_function_takes_all_of_it(client, create):
    name = create(Publish=True, Tags={"a": "b"})["FunctionName"]
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    answer = client.delete_function(FunctionName=name)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    for call in ({}, {"Qualifier": "1"}, {"Qualifier": "live"}):
        with refused("ResourceNotFoundException", status=404):
            client.get_function(FunctionName=name, **call)
    with refused("ResourceNotFoundException", f"Function not found: {arn(name)}", 404):
        client.delete_function(FunctionName=name)
    # A new life under the old name starts from the beginning.
    create(name)
    assert "Tags" not in client.get_function(FunctionName=name)
    assert client.list_aliases(FunctionName=name)["Aliases"] == []
    assert publish(client, name)["Version"] == "1"


def test_a_function_with_many_versions(client, create):
    name = create()["FunctionName"]
    for number in range(120):
        client.update_function_configuration(FunctionName=name, Description=str(number))
        publish(client, name)
    client.delete_function(FunctionName=name)
    create(name)
    assert len(client.list_versions_by_function(FunctionName=name)["Versions"]) == 1
