"""GetFunction, GetFunctionConfiguration, ListFunctions: names in every form, paging, what is not there."""

from functions import ACCOUNT, REGION, arn, refused

import pytest


@pytest.fixture(scope="module")
def function(hearth, client):
    from functions import ROLE, code

    client.create_function(
        FunctionName="read-me",
        Runtime="python3.12",
        Role=ROLE,
        Handler="index.handler",
        Code=code(),
        Publish=True,
    )
    client.create_alias(FunctionName="read-me", Name="live", FunctionVersion="1")
    return "read-me"


@pytest.mark.parametrize(
    "form",
    [
        "{name}",
        "function:{name}",
        f"{ACCOUNT}:function:{{name}}",
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{{name}}",
    ],
)
@pytest.mark.parametrize("qualifier, version", [("$LATEST", "$LATEST"), ("1", "1"), ("live", "1")])
def test_forms_of_a_name(client, function, form, qualifier, version):
    plain = form.format(name=function)
    for read in (
        lambda **call: client.get_function(**call)["Configuration"],
        client.get_function_configuration,
    ):
        assert read(FunctionName=plain)["Version"] == "$LATEST"
        assert read(FunctionName=plain)["FunctionArn"] == arn(function)
        for shown in (
            read(FunctionName=f"{plain}:{qualifier}"),
            read(FunctionName=plain, Qualifier=qualifier),
            read(FunctionName=f"{plain}:{qualifier}", Qualifier=qualifier),
        ):
            assert shown["Version"] == version
            assert shown["FunctionArn"] == arn(function, qualifier)


def test_two_qualifiers(client, function):
    with refused(
        "InvalidParameterValueException",
        "The derived qualifier from the function name does not match the specified qualifier.",
        400,
    ):
        client.get_function(FunctionName=f"{function}:1", Qualifier="2")


@pytest.mark.parametrize("qualifier", [None, "$LATEST", "7", "nobody"])
def test_not_there(client, function, qualifier):
    call = {"Qualifier": qualifier} if qualifier else {}
    with refused(
        "ResourceNotFoundException", f"Function not found: {arn('nothing', qualifier)}", 404
    ):
        client.get_function(FunctionName="nothing", **call)
    with refused(
        "ResourceNotFoundException", f"Function not found: {arn('nothing', qualifier)}", 404
    ):
        client.get_function_configuration(FunctionName="nothing", **call)
    if qualifier and qualifier != "$LATEST":
        with refused(
            "ResourceNotFoundException", f"Function not found: {arn(function, qualifier)}", 404
        ):
            client.get_function(FunctionName=function, Qualifier=qualifier)


def test_nonsense(unchecked):
    with refused(
        "ValidationException",
        contains="1 validation error detected: Value 'a b' at 'functionName' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: ",
    ):
        unchecked.get_function(FunctionName="a b")
    with refused("ValidationException", contains="Value 'a$b!' at 'qualifier' failed"):
        unchecked.get_function(FunctionName="f", Qualifier="a$b!")


def test_code_can_be_fetched(hearth, client, function):
    from functions import code

    location = client.get_function(FunctionName=function)["Code"]["Location"]
    assert location.startswith(hearth.endpoint)
    assert hearth.get(location[len(hearth.endpoint) :]).read() == code()["ZipFile"]


def test_lists_in_pages(client, create, unique):
    made = sorted(create(unique("page"))["FunctionName"] for _ in range(7))
    pages = client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 3})
    pages = list(pages)
    assert all(len(page["Functions"]) <= 3 for page in pages)
    listed = [function["FunctionName"] for page in pages for function in page["Functions"]]
    assert listed == sorted(listed)
    assert [name for name in listed if name in made] == made
    everything = client.list_functions(MaxItems=50)
    assert "NextMarker" not in everything
    shown = next(f for f in everything["Functions"] if f["FunctionName"] == made[0])
    for member in ("State", "LastUpdateStatus", "RuntimeVersionConfig"):
        assert member not in shown, "AWS leaves it out of lists"
    assert shown["FunctionArn"] == arn(made[0])


def test_lists_all_versions(client, create, unique):
    names = sorted(unique("all") for _ in range(3))
    for number, name in enumerate(names):
        create(name)
        for version in range(number):
            client.update_function_configuration(FunctionName=name, Description=str(version))
            client.publish_version(FunctionName=name)
    expected = [
        arn(name, version)
        for number, name in enumerate(names)
        for version in ["$LATEST", *map(str, range(1, number + 1))]
    ]
    for size in (1, 2, 3, 50):
        pages = client.get_paginator("list_functions").paginate(
            FunctionVersion="ALL", PaginationConfig={"PageSize": size}
        )
        listed = [f["FunctionArn"] for page in pages for f in page["Functions"]]
        assert [one for one in listed if one.split(":")[6] in names] == expected, size


def test_markers_are_checked(client):
    for marker in ("nonsense", "!!!!", "AAAA"):
        with refused("InvalidParameterValueException", status=400):
            client.list_functions(Marker=marker)


def test_no_edge_replicas(client, function):
    assert client.list_functions(MasterRegion="us-east-1", FunctionVersion="ALL")["Functions"] == []


def test_account_settings(client, function):
    settings = client.get_account_settings()
    assert settings["AccountLimit"] == {
        "TotalCodeSize": 80530636800,
        "CodeSizeUnzipped": 262144000,
        "CodeSizeZipped": 52428800,
        "ConcurrentExecutions": 1000,
        "UnreservedConcurrentExecutions": 1000,
    }
    assert settings["AccountUsage"]["FunctionCount"] >= 1
    assert settings["AccountUsage"]["TotalCodeSize"] > 0


def test_regions_and_accounts_are_apart(hearth, function):
    assert hearth.client("lambda", region="eu-west-1").list_functions()["Functions"] == []
    # In open mode a twelve-digit key id is the account.
    other = hearth.client("lambda", key="111122223333", secret="x")
    assert other.list_functions()["Functions"] == []
    with refused("ResourceNotFoundException"):
        other.get_function(FunctionName=function)
