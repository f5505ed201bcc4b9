"""Roles and their trust policies."""

import re

import pytest

from iam_help import ACCOUNT, READ_BUCKET, TRUST_LAMBDA, all_pages, refused, text, trust


def test_a_role_comes_back_as_it_was_made(iam, make_role, unique):
    name = unique("role")
    role = make_role(
        RoleName=name, Path="/service/", Description="does things", MaxSessionDuration=7200,
        Tags=[{"Key": "k", "Value": "v"}])
    assert re.fullmatch("AROA[A-Z0-9]{17}", role["RoleId"])
    assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/service/{name}"
    # boto3 takes the percent-encoding away.
    assert role["AssumeRolePolicyDocument"] == TRUST_LAMBDA
    got = iam.get_role(RoleName=name)["Role"]
    assert got["AssumeRolePolicyDocument"] == TRUST_LAMBDA
    assert got["MaxSessionDuration"] == 7200
    assert got["Description"] == "does things"
    assert got["Tags"] == [{"Key": "k", "Value": "v"}]
    assert got["RoleId"] == role["RoleId"] and got["CreateDate"] == role["CreateDate"]


def test_the_default_session_is_an_hour(iam, make_role):
    name = make_role()["RoleName"]
    assert iam.get_role(RoleName=name)["Role"]["MaxSessionDuration"] == 3600


def test_names_are_taken_once(iam, make_role):
    name = make_role()["RoleName"]
    with refused("EntityAlreadyExists", f"Role with name {name} already exists.", 409):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=text(TRUST_LAMBDA))


def test_missing_roles_are_not_found(iam):
    message = "The role with name nothing cannot be found."
    with refused("NoSuchEntity", message, 404):
        iam.get_role(RoleName="nothing")
    for call in (iam.delete_role, iam.list_role_policies, iam.list_attached_role_policies, iam.list_role_tags,
                 iam.list_instance_profiles_for_role):
        with refused("NoSuchEntity", message):
            call(RoleName="nothing")


def test_constraints_are_those_of_aws(iam):
    with refused(
        "ValidationError",
        f"1 validation error detected: Value '{'r' * 65}' at 'roleName' failed to satisfy constraint: "
        "Member must have length less than or equal to 64",
    ):
        iam.create_role(RoleName="r" * 65, AssumeRolePolicyDocument=text(TRUST_LAMBDA))


@pytest.mark.parametrize("document", [
    "{",
    "[]",
    {"Version": "2012-10-17"},
    {"Version": "2012-10-17", "Statement": []},
    {"Version": "2012-10-17", "Statement": [{"Effect": "Perhaps", "Principal": "*", "Action": "sts:AssumeRole"}]},
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]},
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}]},
    {"Version": "1999-01-01", "Statement": trust(Service="lambda.amazonaws.com")["Statement"]},
    dict(TRUST_LAMBDA, Surprise=1),
], ids=["not-json", "list", "no-statement", "empty", "effect", "no-principal", "no-action", "version", "member"])
def test_broken_trust_policies_are_refused(iam, document):
    with refused("MalformedPolicyDocument", status=400):
        iam.create_role(RoleName="never", AssumeRolePolicyDocument=text(document))


def test_a_trust_policy_has_no_resource(iam):
    document = trust(Service="lambda.amazonaws.com")
    document["Statement"][0]["Resource"] = "*"
    with refused("MalformedPolicyDocument", "Has prohibited field Resource"):
        iam.create_role(RoleName="never", AssumeRolePolicyDocument=text(document))


def test_the_trust_policy_can_change(iam, make_role):
    name = make_role()["RoleName"]
    other = trust(AWS=f"arn:aws:iam::{ACCOUNT}:root")
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=text(other))
    assert iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"] == other
    with refused("MalformedPolicyDocument"):
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=text(READ_BUCKET))
    assert iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"] == other


def test_description_and_session_can_change(iam, make_role):
    name = make_role(Description="one")["RoleName"]
    iam.update_role(RoleName=name, Description="two", MaxSessionDuration=43200)
    role = iam.get_role(RoleName=name)["Role"]
    assert (role["Description"], role["MaxSessionDuration"]) == ("two", 43200)
    described = iam.update_role_description(RoleName=name, Description="three")["Role"]
    assert described["Description"] == "three"


def test_tags(iam, make_role):
    name = make_role()["RoleName"]
    iam.tag_role(RoleName=name, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.untag_role(RoleName=name, TagKeys=["a"])
    assert iam.list_role_tags(RoleName=name)["Tags"] == [{"Key": "b", "Value": "2"}]
    with refused("LimitExceeded"):
        iam.tag_role(RoleName=name, Tags=[{"Key": f"k{i}", "Value": ""} for i in range(50)])


def test_listing_pages(iam, make_role, unique):
    path = f"/{unique('path')}/"
    names = sorted(make_role(Path=path)["RoleName"] for _ in range(5))
    roles, pages = all_pages(iam.list_roles, "Roles", PathPrefix=path, MaxItems=2)
    assert [role["RoleName"] for role in roles] == names and pages == 3
    assert all(role["AssumeRolePolicyDocument"] == TRUST_LAMBDA for role in roles)


def test_assumed_roles_are_who_they_are(hearth, iam, make_role):
    role = make_role(AssumeRolePolicyDocument=text(trust(AWS=f"arn:aws:iam::{ACCOUNT}:root")))
    sts = hearth.client("sts")
    assumed = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="session")
    assert assumed["AssumedRoleUser"]["AssumedRoleId"] == f"{role['RoleId']}:session"
    keys = assumed["Credentials"]
    session = hearth.client("sts", keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    identity = session.get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{role['RoleName']}/session"
    assert identity["UserId"] == f"{role['RoleId']}:session"


def test_a_role_that_does_not_trust_the_caller_is_denied(hearth, make_role):
    role = make_role()
    with refused("AccessDenied", status=403):
        hearth.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="session")


def test_a_role_that_cannot_be_is_nobody(hearth):
    with refused("ValidationError", status=400):
        hearth.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/" + "x" * 2015, RoleSessionName="session")
