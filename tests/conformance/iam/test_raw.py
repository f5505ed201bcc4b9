"""Requests that no SDK would send, and what stays after a crash."""

import urllib.error
import urllib.parse

from iam_help import READ_BUCKET, TRUST_LAMBDA, text


def post(hearth, body):
    """An unsigned call, which open mode takes; the host's name says which service is meant."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Host": "iam.localhost"}
    try:
        answer = hearth.get("/", "POST", body.encode(), headers)
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, answer.headers, answer.read().decode()


def test_errors_are_xml_of_the_query_protocol(hearth):
    status, headers, body = post(hearth, "Action=GetUser&Version=2010-05-08&UserName=nobody")
    assert status == 404
    assert headers["Content-Type"].startswith("text/xml")
    assert headers["x-amzn-RequestId"]
    assert body == (
        '<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type>'
        "<Code>NoSuchEntity</Code><Message>The user with name nobody cannot be found.</Message></Error>"
        f"<RequestId>{headers['x-amzn-RequestId']}</RequestId></ErrorResponse>")


def test_unknown_actions_and_versions(hearth):
    status, _, body = post(hearth, "Action=MakeCoffee&Version=2010-05-08")
    assert status == 400
    assert "<Code>InvalidAction</Code>" in body
    assert "Could not find operation MakeCoffee for version 2010-05-08" in body
    status, _, body = post(hearth, "Action=GetUser&Version=1999-01-01")
    assert (status, "<Code>InvalidAction</Code>" in body) == (400, True)


def test_markup_in_values_is_escaped(hearth):
    _, _, body = post(hearth, "Action=GetUser&Version=2010-05-08&UserName=" + urllib.parse.quote("<a>&'\""))
    assert "<a>" not in body and "&lt;a&gt;&amp;" in body


def test_broken_parameters(hearth):
    for body in ("Action=ListUsers&MaxItems=many", "Action=ListUsers&PathPrefix=%zz", "Action=ListUsers&MaxItems=0",
                 "Action=CreateRole&RoleName=r&AssumeRolePolicyDocument=x&MaxSessionDuration=60"):
        status, _, answer = post(hearth, body)
        assert status == 400 and "<Error>" in answer, body


def test_everything_is_there_after_kill_minus_nine(hearth, iam, make_user, make_role, make_policy):
    """What was acknowledged survives a crash of the cloud, with keys that still sign."""
    user, role, policy = make_user(), make_role(), make_policy(READ_BUCKET)
    key = iam.create_access_key(UserName=user["UserName"])["AccessKey"]
    iam.put_role_policy(RoleName=role["RoleName"], PolicyName="p", PolicyDocument=text(READ_BUCKET))
    iam.attach_role_policy(RoleName=role["RoleName"], PolicyArn=policy["Arn"])
    hearth.kill("cloud")
    # Connections of the old cloud break; the SDK's own retries are how its users see a crash.
    iam = hearth.client("iam", retries=10)
    assert iam.get_user(UserName=user["UserName"])["User"] == user
    got = iam.get_role(RoleName=role["RoleName"])["Role"]
    assert got["RoleId"] == role["RoleId"] and got["AssumeRolePolicyDocument"] == TRUST_LAMBDA
    assert iam.get_role_policy(RoleName=role["RoleName"], PolicyName="p")["PolicyDocument"] == READ_BUCKET
    assert iam.get_policy(PolicyArn=policy["Arn"])["Policy"]["AttachmentCount"] == 1
    identity = hearth.client("sts", key["AccessKeyId"], key["SecretAccessKey"], retries=10).get_caller_identity()
    assert identity["Arn"] == user["Arn"]
    iam.delete_access_key(UserName=user["UserName"], AccessKeyId=key["AccessKeyId"])
    iam.delete_role_policy(RoleName=role["RoleName"], PolicyName="p")
    iam.detach_role_policy(RoleName=role["RoleName"], PolicyArn=policy["Arn"])
