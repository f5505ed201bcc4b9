"""Permissions of layer versions, and what they let other accounts do."""

import json

import pytest

from layers import ACCOUNT, OTHER, layer_arn, refused

FILES = {"greeting": "hello"}
ACTION = "lambda:GetLayerVersion"
WRONG_REVISION = (
    "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to "
    "retrieve the latest Revision Id"
)


@pytest.fixture
def layer(publish):
    return publish(FILES)["LayerArn"].split(":")[-1]


def allow(client, layer, statement="s1", principal=OTHER, **more):
    return client.add_layer_version_permission(
        LayerName=layer,
        VersionNumber=1,
        StatementId=statement,
        Action=ACTION,
        Principal=principal,
        **more,
    )


def shown(statement, principal, layer):
    return {
        "Sid": statement,
        "Effect": "Allow",
        "Principal": principal,
        "Action": ACTION,
        "Resource": layer_arn(layer, 1),
    }


def test_life_of_a_policy(client, layer):
    with refused(
        "ResourceNotFoundException", "No policy is associated with the given resource.", 404
    ):
        client.get_layer_version_policy(LayerName=layer, VersionNumber=1)
    first = allow(client, layer, "s1", "*")
    assert first["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert json.loads(first["Statement"]) == shown("s1", "*", layer)
    second = allow(client, layer, "s2", OTHER, RevisionId=first["RevisionId"])
    root = {"AWS": f"arn:aws:iam::{OTHER}:root"}
    assert json.loads(second["Statement"]) == shown("s2", root, layer)
    third = allow(client, layer, "s3", "*", OrganizationId="o-0123456789")
    assert json.loads(third["Statement"])["Condition"] == {
        "StringEquals": {"aws:PrincipalOrgID": "o-0123456789"}
    }
    policy = client.get_layer_version_policy(LayerName=layer, VersionNumber=1)
    assert policy["RevisionId"] == third["RevisionId"]
    document = json.loads(policy["Policy"])
    assert [statement["Sid"] for statement in document["Statement"]] == ["s1", "s2", "s3"]
    assert (document["Version"], document["Id"]) == ("2012-10-17", "default")
    for statement in ("s1", "s2", "s3"):
        answer = client.remove_layer_version_permission(
            LayerName=layer, VersionNumber=1, StatementId=statement
        )
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused("ResourceNotFoundException"):
        client.get_layer_version_policy(LayerName=layer, VersionNumber=1)


def test_errors(client, layer):
    revision = allow(client, layer)["RevisionId"]
    with refused(
        "ResourceConflictException",
        "The statement id (s1) provided already exists. Please provide a new statement id, or "
        "remove the existing statement.",
        409,
    ):
        allow(client, layer)
    with refused("PreconditionFailedException", WRONG_REVISION, 412):
        allow(client, layer, "s2", RevisionId="other")
    with refused("PreconditionFailedException", WRONG_REVISION, 412):
        client.remove_layer_version_permission(
            LayerName=layer, VersionNumber=1, StatementId="s1", RevisionId="other"
        )
    with refused("ResourceNotFoundException", "Statement s2 is not found in resource policy.", 404):
        client.remove_layer_version_permission(
            LayerName=layer, VersionNumber=1, StatementId="s2", RevisionId=revision
        )
    for name, version in ((layer, 2), (layer + "-not", 1)):
        missing = f"Layer version {layer_arn(name, version)} does not exist."
        about = {"LayerName": name, "VersionNumber": version}
        with refused("ResourceNotFoundException", missing, 404):
            client.add_layer_version_permission(
                StatementId="s1", Action=ACTION, Principal="*", **about
            )
        with refused("ResourceNotFoundException", missing, 404):
            client.get_layer_version_policy(**about)
        with refused("ResourceNotFoundException", missing, 404):
            client.remove_layer_version_permission(StatementId="s1", **about)
    for members in (
        {"Action": "lambda:InvokeFunction"},
        {"Principal": "somebody"},
        {"Principal": f"arn:aws:iam::{OTHER}:user/x"},
        {"StatementId": "with space"},
        {"OrganizationId": "x"},
    ):
        request = {"StatementId": "s2", "Action": ACTION, "Principal": "*", **members}
        with refused("ValidationException", status=400):
            client.add_layer_version_permission(LayerName=layer, VersionNumber=1, **request)


def test_a_policy_has_a_limit(client, layer):
    for number in range(200):
        try:
            allow(client, layer, f"{number:0100}")
        except client.exceptions.PolicyLengthExceededException:
            break
    policy = client.get_layer_version_policy(LayerName=layer, VersionNumber=1)["Policy"]
    assert 19_000 < len(policy) <= 20_480


@pytest.mark.parametrize("principal", ["*", OTHER, f"arn:aws:iam::{OTHER}:root"])
def test_another_account_may_fetch_and_use_it(client, stranger, publish, deploy, principal):
    arn = publish(FILES)["LayerArn"]
    layer = arn.split(":")[-1]
    code = "def handler(event, context):\n    return open('/opt/greeting').read()\n"
    denied = (
        f"User: arn:aws:iam::{OTHER}:root is not authorized to perform: {ACTION} on resource: "
        f"{arn}:1 because no resource-based policy allows the {ACTION} action"
    )
    with refused("AccessDeniedException", denied, 403):
        deploy(code, by=stranger, Layers=[arn + ":1"])
    with refused("AccessDeniedException", denied, 403):
        stranger.get_layer_version_by_arn(Arn=arn + ":1")
    allow(client, layer, principal=principal)
    assert stranger.get_layer_version_by_arn(Arn=arn + ":1")["LayerArn"] == arn
    function = deploy(code, by=stranger, Layers=[arn + ":1"])
    # What was given once stays, whatever becomes of the permission and of the layer.
    client.remove_layer_version_permission(LayerName=layer, VersionNumber=1, StatementId="s1")
    client.delete_layer_version(LayerName=layer, VersionNumber=1)
    assert function.invoke({}).json() == "hello"
    with refused("AccessDeniedException", denied, 403):
        stranger.update_function_configuration(FunctionName=function.name, Layers=[arn + ":1"])


@pytest.mark.parametrize("members", [{"principal": "333344445555"}, {"principal": "*", "OrganizationId": "o-0123456789"}])
def test_others_may_not(client, stranger, layer, members):
    allow(client, layer, **members)
    with refused("AccessDeniedException"):
        stranger.get_layer_version(LayerName=layer_arn(layer), VersionNumber=1)
    assert client.get_layer_version(LayerName=layer, VersionNumber=1)["LayerArn"].split(":")[4] == ACCOUNT
