"""Aliases and their weights."""

import re

from functions import arn, refused

import pytest


@pytest.fixture
def function(client, create):
    name = create(Publish=True)["FunctionName"]
    client.update_function_configuration(FunctionName=name, Timeout=5)
    assert client.publish_version(FunctionName=name)["Version"] == "2"
    return name


def test_life_of_an_alias(client, function):
    made = client.create_alias(
        FunctionName=function, Name="live", FunctionVersion="1", Description="the one"
    )
    assert made["ResponseMetadata"].pop("HTTPStatusCode") == 201
    made.pop("ResponseMetadata")
    revision = made.pop("RevisionId")
    assert re.fullmatch(r"[0-9a-f-]{36}", revision)
    assert made == {
        "AliasArn": arn(function, "live"),
        "Name": "live",
        "FunctionVersion": "1",
        "Description": "the one",
    }
    changed = client.update_alias(FunctionName=function, Name="live", FunctionVersion="2")
    assert changed["FunctionVersion"] == "2"
    assert changed["Description"] == "the one"
    assert changed["RevisionId"] != revision
    shown = client.get_alias(FunctionName=function, Name="live")
    assert shown["RevisionId"] == changed["RevisionId"]
    assert client.get_function(FunctionName=function, Qualifier="live")["Configuration"][
        "FunctionArn"
    ] == arn(function, "live")
    answer = client.delete_alias(FunctionName=function, Name="live")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    client.delete_alias(FunctionName=function, Name="live")
    with refused(
        "ResourceNotFoundException", f"Cannot find alias arn: {arn(function, 'live')}", 404
    ):
        client.get_alias(FunctionName=function, Name="live")


def test_alias_of_latest(client, function):
    made = client.create_alias(FunctionName=function, Name="dev", FunctionVersion="$LATEST")
    assert made["FunctionVersion"] == "$LATEST"
    assert made["Description"] == ""


def test_weights(client, function):
    made = client.create_alias(
        FunctionName=function,
        Name="live",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.25}},
    )
    assert made["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.25}}
    shown = client.get_alias(FunctionName=function, Name="live")
    assert shown["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.25}}
    kept = client.update_alias(FunctionName=function, Name="live", Description="x")
    assert kept["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.25}}
    cleared = client.update_alias(
        FunctionName=function, Name="live", RoutingConfig={"AdditionalVersionWeights": {}}
    )
    assert "RoutingConfig" not in cleared
    with refused("ResourceConflictException", contains="[live]"):
        client.delete_function(FunctionName=function, Qualifier="1")


def test_weighted_versions_cannot_be_deleted(client, function):
    client.create_alias(
        FunctionName=function,
        Name="live",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}},
    )
    with refused("ResourceConflictException", contains="[live]"):
        client.delete_function(FunctionName=function, Qualifier="2")


@pytest.mark.parametrize(
    "version, weights, error, message",
    [
        (
            "1",
            {"2": 0.1, "3": 0.1},
            "InvalidParameterValueException",
            "Number of items in AdditionalVersionWeights cannot be greater than 1",
        ),
        (
            "1",
            {"1": 0.1},
            "InvalidParameterValueException",
            "Invalid function version 1. Function version 1 is already included in routing "
            "configuration.",
        ),
        (
            "$LATEST",
            {"1": 0.1},
            "InvalidParameterValueException",
            "$LATEST is not supported for an alias pointing to more than 1 version",
        ),
        ("1", {"$LATEST": 0.1}, "ValidationException", None),
        ("1", {"2": 1.5}, "ValidationException", None),
        ("1", {"2": -0.5}, "ValidationException", None),
        ("1", {"9": 0.5}, "ResourceNotFoundException", None),
    ],
)
def test_bad_weights(unchecked, function, version, weights, error, message):
    with refused(error, message):
        unchecked.create_alias(
            FunctionName=function,
            Name="live",
            FunctionVersion=version,
            RoutingConfig={"AdditionalVersionWeights": weights},
        )


def test_conflicts_and_misses(client, function):
    client.create_alias(FunctionName=function, Name="live", FunctionVersion="1")
    with refused(
        "ResourceConflictException", f"Alias already exists: {arn(function, 'live')}", 409
    ):
        client.create_alias(FunctionName=function, Name="live", FunctionVersion="2")
    with refused("ResourceNotFoundException", f"Function not found: {arn(function, '9')}", 404):
        client.create_alias(FunctionName=function, Name="other", FunctionVersion="9")
    with refused("ResourceNotFoundException", f"Function not found: {arn(function, '9')}", 404):
        client.update_alias(FunctionName=function, Name="live", FunctionVersion="9")
    with refused("ResourceNotFoundException", f"Alias not found: {arn(function, 'no')}", 404):
        client.update_alias(FunctionName=function, Name="no", FunctionVersion="1")
    with refused("PreconditionFailedException", status=412):
        client.update_alias(FunctionName=function, Name="live", RevisionId="old")


def test_names_are_no_numbers(unchecked, function):
    with refused("ValidationException", contains="at 'name' failed to satisfy constraint"):
        unchecked.create_alias(FunctionName=function, Name="123", FunctionVersion="1")


@pytest.mark.parametrize("size", [1, 3, 50])
def test_lists(client, function, size):
    for name, version in (("a", "1"), ("b", "2"), ("c", "1"), ("d", "$LATEST")):
        client.create_alias(FunctionName=function, Name=name, FunctionVersion=version)

    def listed(**filters):
        pages = client.get_paginator("list_aliases").paginate(
            FunctionName=function, PaginationConfig={"PageSize": size}, **filters
        )
        return [alias["Name"] for page in pages for alias in page["Aliases"]]

    assert listed() == ["a", "b", "c", "d"]
    assert listed(FunctionVersion="1") == ["a", "c"]
