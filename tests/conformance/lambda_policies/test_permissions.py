"""AddPermission, GetPolicy, RemovePermission: the documents they write and what they refuse."""

import contextlib
import json

import botocore.exceptions
import pytest

ACCOUNT = "000000000000"


def arn(name, qualifier=None):
    plain = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
    return f"{plain}:{qualifier}" if qualifier else plain


@contextlib.contextmanager
def refused(code, message=None, status=None):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        yield
    response = caught.value.response
    assert response["Error"]["Code"] == code, response
    if message is not None:
        assert response["Error"]["Message"] == message
    if status is not None:
        assert response["ResponseMetadata"]["HTTPStatusCode"] == status


def add(client, name, sid="sid", **more):
    request = {
        "FunctionName": name,
        "StatementId": sid,
        "Action": "lambda:InvokeFunction",
        "Principal": "s3.amazonaws.com",
    }
    request.update(more)
    return client.add_permission(**request)


def policy(client, name, **more):
    return client.get_policy(FunctionName=name, **more)["Policy"]


def test_the_text_is_as_aws_writes_it(client, deploy):
    name = deploy().name
    added = add(
        client, name, "s3-access", SourceArn="arn:aws:s3:::bucket", SourceAccount="123456789012"
    )
    assert added["ResponseMetadata"]["HTTPStatusCode"] == 201
    statement = (
        '{"Sid":"s3-access","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},'
        '"Action":"lambda:InvokeFunction","Resource":"' + arn(name) + '",'
        '"Condition":{"StringEquals":{"AWS:SourceAccount":"123456789012"},'
        '"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::bucket"}}}'
    )
    assert added["Statement"] == statement
    assert policy(client, name) == (
        '{"Version":"2012-10-17","Id":"default","Statement":[' + statement + "]}"
    )


@pytest.mark.parametrize(
    "members, element, condition",
    [
        ({"Principal": "*"}, "*", None),
        ({"Principal": "123456789012"}, {"AWS": "arn:aws:iam::123456789012:root"}, None),
        (
            {"Principal": "arn:aws:iam::123456789012:role/a/b"},
            {"AWS": "arn:aws:iam::123456789012:role/a/b"},
            None,
        ),
        (
            {"Principal": "*", "PrincipalOrgID": "o-abcdefghij"},
            "*",
            {"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}},
        ),
        (
            {
                "Principal": "*",
                "Action": "lambda:InvokeFunctionUrl",
                "FunctionUrlAuthType": "NONE",
            },
            "*",
            {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}},
        ),
        (
            {"Principal": "alexa-appkit.amazon.com.amazonaws.com", "EventSourceToken": "amzn1.x"},
            {"Service": "alexa-appkit.amazon.com.amazonaws.com"},
            {"StringEquals": {"lambda:EventSourceToken": "amzn1.x"}},
        ),
    ],
)
def test_principals_and_conditions(client, deploy, members, element, condition):
    statement = json.loads(add(client, deploy().name, **members)["Statement"])
    assert statement["Principal"] == element
    assert statement.get("Condition") == condition


def test_permission_by_way_of_a_url(raw, deploy):
    name = deploy().name
    status, _, answer = raw(
        "POST",
        f"/2015-03-31/functions/{name}/policy",
        {
            "StatementId": "url",
            "Action": "lambda:InvokeFunction",
            "Principal": "*",
            "InvokedViaFunctionUrl": True,
        },
    )
    assert status == 201
    assert json.loads(answer["Statement"])["Condition"] == {
        "Bool": {"lambda:InvokedViaFunctionUrl": "true"}
    }


def test_each_qualifier_has_its_own_policy(client, deploy):
    name = deploy().name
    version = client.publish_version(FunctionName=name)["Version"]
    client.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    add(client, name)
    for qualifier in (version, "live"):
        with refused(
            "ResourceNotFoundException", "No policy is associated with the given resource.", 404
        ):
            policy(client, name, Qualifier=qualifier)
        # The same statement id is free in each.
        added = json.loads(add(client, name, Qualifier=qualifier)["Statement"])
        assert added["Resource"] == arn(name, qualifier)
        assert arn(name, qualifier) in policy(client, name, Qualifier=qualifier)
        assert arn(name, qualifier) not in policy(client, name)
    # With the version and the alias their policies go.
    client.delete_alias(FunctionName=name, Name="live")
    client.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    with refused("ResourceNotFoundException"):
        policy(client, name, Qualifier="live")


def test_a_function_created_anew_has_no_policy(client, deploy):
    function = deploy()
    add(client, function.name)
    client.delete_function(FunctionName=function.name)
    with refused("ResourceNotFoundException", f"Function not found: {arn(function.name)}", 404):
        policy(client, function.name)
    with refused("ResourceNotFoundException", f"No policy found for: {arn(function.name)}", 404):
        client.remove_permission(FunctionName=function.name, StatementId="sid")
    client.create_function(
        FunctionName=function.name,
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/test",
        Handler="app.handler",
        Code={"ZipFile": __import__("deployed").zipped({"app.py": ""})},
    )
    with refused("ResourceNotFoundException", "No policy is associated with the given resource."):
        policy(client, function.name)


def test_revisions(client, deploy):
    name = deploy().name
    before = client.get_function_configuration(FunctionName=name)["RevisionId"]
    with refused(
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to "
        "retrieve the latest Revision Id",
        412,
    ):
        add(client, name, RevisionId="wrong")
    add(client, name, RevisionId=before)
    after = client.get_policy(FunctionName=name)["RevisionId"]
    assert after != before
    # It is the function's own.
    assert client.get_function_configuration(FunctionName=name)["RevisionId"] == after
    with refused(
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. Call the "
        "GetFunction/GetAlias API to retrieve the latest Revision Id",
        412,
    ):
        client.remove_permission(FunctionName=name, StatementId="sid", RevisionId=before)
    client.remove_permission(FunctionName=name, StatementId="sid", RevisionId=after)
    with refused("ResourceNotFoundException", "No policy is associated with the given resource."):
        policy(client, name)


def test_an_alias_has_a_revision_of_its_own(client, deploy):
    name = deploy().name
    version = client.publish_version(FunctionName=name)["Version"]
    alias = client.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    add(client, name, Qualifier="live", RevisionId=alias["RevisionId"])
    changed = client.get_alias(FunctionName=name, Name="live")["RevisionId"]
    assert changed != alias["RevisionId"]
    assert client.get_policy(FunctionName=name, Qualifier="live")["RevisionId"] == changed


def test_what_is_refused(client, deploy):
    name = deploy().name
    add(client, name)
    with refused(
        "ResourceConflictException",
        "The statement id (sid) provided already exists. Please provide a new statement id, or "
        "remove the existing statement.",
        409,
    ):
        add(client, name)
    with refused("ResourceNotFoundException", "Statement no is not found in resource policy.", 404):
        client.remove_permission(FunctionName=name, StatementId="no")
    with refused(
        "InvalidParameterValueException",
        "We currently do not support adding policies for $LATEST.",
        400,
    ):
        add(client, name, "b", Qualifier="$LATEST")
    for principal in ("nobody", "arn:aws:iam::1:root", "arn:aws:s3:::bucket", "S3.AMAZONAWS.COM"):
        with refused(
            "InvalidParameterValueException",
            "The provided principal was invalid. Please check the principal and try again.",
        ):
            add(client, name, "b", Principal=principal)
    with refused(
        "InvalidParameterValueException",
        "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action",
    ):
        add(client, name, "b", FunctionUrlAuthType="NONE")
    with refused("ResourceNotFoundException", f"Function not found: {arn('absent')}", 404):
        add(client, "absent")
    with refused("ResourceNotFoundException", f"Cannot find alias arn: {arn(name, 'no')}", 404):
        add(client, name, "b", Qualifier="no")
    with refused("ResourceNotFoundException", f"Function not found: {arn(name, '7')}", 404):
        add(client, name, "b", Qualifier="7")


def test_the_policy_has_a_limit(client, deploy):
    name = deploy().name
    added = 0
    long_arn = "arn:aws:s3:::" + "b" * 3000
    with refused("PolicyLengthExceededException", status=400) as _:
        for added in range(10):
            add(client, name, f"sid{added}", SourceArn=long_arn)
    assert added == 6
    # The one that did not fit is not there.
    assert len(json.loads(policy(client, name))["Statement"]) == 6


def test_policies_survive_a_restart(client, deploy, hearth):
    name = deploy().name
    add(client, name)
    before = policy(client, name)
    hearth.stop(keep_data=True)
    hearth.start()
    assert policy(client, name) == before
