"""Callers of other accounts: what a resource policy opens, and what stays closed."""

import json

import botocore.exceptions
import pytest

ACCOUNT = "000000000000"
# Of the fixture `stranger`.
OTHER = "444455556666"


def arn(name, qualifier=None):
    plain = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
    return f"{plain}:{qualifier}" if qualifier else plain


def allow(client, name, action="lambda:InvokeFunction", sid="s", **more):
    request = {"FunctionName": name, "StatementId": sid, "Action": action, "Principal": OTHER}
    request.update(more)
    client.add_permission(**request)


def denied(call, action, resource, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    assert error["Error"]["Code"] == "AccessDeniedException"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert error["Error"]["Message"] == (
        f"User: arn:aws:iam::{OTHER}:root is not authorized to perform: {action} on resource: "
        f"{resource} because no resource-based policy allows the {action} action"
    )


def invoke(client, name):
    return json.loads(client.invoke(FunctionName=name, Payload=b'"hello"')["Payload"].read())


def test_invoking_needs_a_statement(client, stranger, deploy):
    name = deploy().name
    denied(stranger.invoke, "lambda:InvokeFunction", arn(name), FunctionName=arn(name))
    allow(client, name)
    assert invoke(stranger, arn(name)) == "hello"
    # Nothing else was opened.
    denied(stranger.get_function, "lambda:GetFunction", arn(name), FunctionName=arn(name))
    denied(stranger.delete_function, "lambda:DeleteFunction", arn(name), FunctionName=arn(name))
    client.remove_permission(FunctionName=name, StatementId="s")
    denied(stranger.invoke, "lambda:InvokeFunction", arn(name), FunctionName=arn(name))


def test_a_function_that_is_not_there_looks_the_same(stranger):
    denied(stranger.invoke, "lambda:InvokeFunction", arn("absent"), FunctionName=arn("absent"))


def test_a_qualifier_has_its_own_door(client, stranger, deploy):
    name = deploy().name
    version = client.publish_version(FunctionName=name)["Version"]
    client.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    allow(client, name)
    for qualifier in (version, "live"):
        qualified = arn(name, qualifier)
        denied(stranger.invoke, "lambda:InvokeFunction", qualified, FunctionName=qualified)
        allow(client, name, Qualifier=qualifier)
        assert invoke(stranger, qualified) == "hello"


def test_other_principals_do_not_open_it(client, stranger, deploy):
    name = deploy().name
    allow(client, name, sid="a", Principal="777788889999")
    allow(client, name, sid="b", Principal=f"arn:aws:iam::{OTHER}:user/ann")
    allow(client, name, sid="c", Principal="s3.amazonaws.com")
    # Conditions that a direct call does not meet.
    allow(client, name, sid="d", Principal="*", SourceArn="arn:aws:s3:::bucket")
    allow(client, name, sid="e", Principal="*", PrincipalOrgID="o-abcdefghij")
    denied(stranger.invoke, "lambda:InvokeFunction", arn(name), FunctionName=arn(name))
    allow(client, name, sid="f", Principal="*")
    assert invoke(stranger, arn(name)) == "hello"


def test_other_operations_can_be_opened(client, stranger, deploy):
    name = deploy().name
    allow(client, name, "lambda:GetFunction", "get")
    assert stranger.get_function(FunctionName=arn(name))["Configuration"]["FunctionArn"] == arn(name)
    denied(stranger.get_policy, "lambda:GetPolicy", arn(name), FunctionName=arn(name))
    allow(client, name, "lambda:*", "all")
    assert "all" in stranger.get_policy(FunctionName=arn(name))["Policy"]
    assert stranger.list_versions_by_function(FunctionName=arn(name))["Versions"]
    stranger.tag_resource(Resource=arn(name), Tags={"by": OTHER})
    assert client.list_tags(Resource=arn(name))["Tags"] == {"by": OTHER}
    version = stranger.publish_version(FunctionName=arn(name))["Version"]
    assert version == "1"
    # Policies themselves are never changed from outside.
    denied(
        stranger.add_permission,
        "lambda:AddPermission",
        arn(name),
        FunctionName=arn(name),
        StatementId="mine",
        Action="lambda:*",
        Principal=OTHER,
    )
    stranger.delete_function(FunctionName=arn(name))
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_function(FunctionName=name)
