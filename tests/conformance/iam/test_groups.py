"""Groups and who is in them."""

import pytest

from iam_help import ACCOUNT, READ_BUCKET, refused


@pytest.fixture
def group(iam, unique, later):
    name = unique("group")
    iam.create_group(GroupName=name, Path="/g/")
    later(iam.delete_group, GroupName=name)
    return name


def test_a_group_and_its_members(iam, group, make_user):
    one, two = make_user()["UserName"], make_user()["UserName"]
    for user in (one, two, one):
        iam.add_user_to_group(GroupName=group, UserName=user)
    got = iam.get_group(GroupName=group)
    assert got["Group"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:group/g/{group}"
    assert got["Group"]["GroupId"].startswith("AGPA")
    assert [user["UserName"] for user in got["Users"]] == sorted([one, two])
    assert [g["GroupName"] for g in iam.list_groups_for_user(UserName=one)["Groups"]] == [group]
    with refused("DeleteConflict", "Cannot delete entity, must remove users from group first.", 409):
        iam.delete_group(GroupName=group)
    with refused("DeleteConflict", status=409):
        iam.delete_user(UserName=one)
    for user in (one, two):
        iam.remove_user_from_group(GroupName=group, UserName=user)
    assert iam.get_group(GroupName=group)["Users"] == []
    assert iam.list_groups_for_user(UserName=one)["Groups"] == []


def test_missing_ones_are_not_found(iam, group, make_user):
    with refused("NoSuchEntity", "The group with name nothing cannot be found.", 404):
        iam.get_group(GroupName="nothing")
    with refused("NoSuchEntity", "The user with name nobody cannot be found."):
        iam.add_user_to_group(GroupName=group, UserName="nobody")
    with refused("NoSuchEntity", "The group with name nothing cannot be found."):
        iam.add_user_to_group(GroupName="nothing", UserName=make_user()["UserName"])


def test_names_are_taken_once(iam, group):
    with refused("EntityAlreadyExists", f"Group with name {group} already exists.", 409):
        iam.create_group(GroupName=group)


def test_listing(iam, group):
    assert group in [g["GroupName"] for g in iam.list_groups(PathPrefix="/g/")["Groups"]]
    assert group not in [g["GroupName"] for g in iam.list_groups(PathPrefix="/other/")["Groups"]]


def test_managed_policies_of_groups(iam, group, make_policy):
    arn = make_policy(READ_BUCKET)["Arn"]
    iam.attach_group_policy(GroupName=group, PolicyArn=arn)
    assert [p["PolicyArn"] for p in iam.list_attached_group_policies(GroupName=group)["AttachedPolicies"]] == [arn]
    assert [g["GroupName"] for g in iam.list_entities_for_policy(PolicyArn=arn)["PolicyGroups"]] == [group]
    iam.detach_group_policy(GroupName=group, PolicyArn=arn)


def test_a_renamed_user_stays_in_its_groups(iam, group, make_user, unique):
    old, new = make_user()["UserName"], unique("renamed")
    iam.add_user_to_group(GroupName=group, UserName=old)
    iam.update_user(UserName=old, NewUserName=new)
    assert [user["UserName"] for user in iam.get_group(GroupName=group)["Users"]] == [new]
    iam.remove_user_from_group(GroupName=group, UserName=new)
    iam.delete_user(UserName=new)
