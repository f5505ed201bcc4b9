"""Users, their access keys and tags."""

import datetime
import re

import botocore.exceptions
import pytest

from iam_help import ACCOUNT, all_pages, refused


def test_a_user_has_an_id_an_arn_and_a_date_without_fraction(iam, make_user, unique):
    name = unique("user")
    before = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    user = make_user(UserName=name, Path="/team/a/", Tags=[{"Key": "k", "Value": "v"}])
    assert re.fullmatch("AIDA[A-Z2-7]{17}|AIDA[A-Z0-9]{17}", user["UserId"])
    assert user["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/team/a/{name}"
    assert user["Path"] == "/team/a/"
    assert user["Tags"] == [{"Key": "k", "Value": "v"}]
    assert user["CreateDate"] >= before and user["CreateDate"].microsecond == 0
    assert iam.get_user(UserName=name)["User"] == user


def test_names_are_unique_whatever_their_case(iam, make_user, unique):
    name = unique("User")
    make_user(UserName=name)
    with refused("EntityAlreadyExists", f"User with name {name} already exists.", 409):
        iam.create_user(UserName=name)
    with refused("EntityAlreadyExists"):
        iam.create_user(UserName=name.upper())


def test_missing_users_are_not_found(iam):
    message = "The user with name nobody cannot be found."
    with refused("NoSuchEntity", message, 404):
        iam.get_user(UserName="nobody")
    for call in (iam.delete_user, iam.list_access_keys, iam.create_access_key, iam.list_user_policies,
                 iam.list_attached_user_policies, iam.list_groups_for_user, iam.list_user_tags):
        with refused("NoSuchEntity", message):
            call(UserName="nobody")


def test_names_are_checked(iam):
    with refused(
        "ValidationError",
        "1 validation error detected: Value 'a b' at 'userName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [\\w+=,.@-]+",
        400,
    ):
        iam.create_user(UserName="a b")
    with refused("ValidationError"):
        iam.create_user(UserName="u", Path="no-slash")


def test_listing_pages_in_order_and_filters_by_path(iam, make_user, unique):
    path = f"/{unique('path')}/"
    names = sorted(make_user(Path=path)["UserName"] for _ in range(5))
    make_user()
    users, pages = all_pages(iam.list_users, "Users", PathPrefix=path, MaxItems=2)
    assert [user["UserName"] for user in users] == names
    assert pages == 3
    assert [user["UserName"] for user in iam.list_users(PathPrefix=path)["Users"]] == names


def test_a_marker_of_somebody_else_is_refused(iam):
    with refused("ValidationError"):
        iam.list_users(Marker="not a marker")


def test_update_renames_and_moves(iam, make_user, unique):
    name, new_name = unique("user"), unique("renamed")
    user = make_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    iam.update_user(UserName=name, NewUserName=new_name, NewPath="/x/")
    moved = iam.get_user(UserName=new_name)["User"]
    assert moved["UserId"] == user["UserId"]
    assert moved["Arn"].endswith(f":user/x/{new_name}")
    with refused("NoSuchEntity"):
        iam.get_user(UserName=name)
    assert [k["AccessKeyId"] for k in iam.list_access_keys(UserName=new_name)["AccessKeyMetadata"]] == [
        key["AccessKeyId"]]
    iam.delete_access_key(UserName=new_name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=new_name)


def test_update_does_not_overwrite_another_user(iam, make_user):
    one, two = make_user()["UserName"], make_user()["UserName"]
    with refused("EntityAlreadyExists"):
        iam.update_user(UserName=one, NewUserName=two)


def test_tags_replace_and_go(iam, make_user):
    name = make_user(Tags=[{"Key": "a", "Value": "1"}])["UserName"]
    iam.tag_user(UserName=name, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    tags = sorted(iam.list_user_tags(UserName=name)["Tags"], key=lambda tag: tag["Key"])
    assert tags == [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}]
    iam.untag_user(UserName=name, TagKeys=["a", "never-there"])
    assert iam.list_user_tags(UserName=name)["Tags"] == [{"Key": "b", "Value": ""}]


def test_keys_work_and_stop_working(hearth, iam, make_user):
    """A user's key signs calls: as that user, until it is made inactive or deleted."""
    user = make_user()
    key = iam.create_access_key(UserName=user["UserName"])["AccessKey"]
    assert re.fullmatch("AKIA[A-Z0-9]{16}", key["AccessKeyId"])
    assert len(key["SecretAccessKey"]) == 40 and key["Status"] == "Active"
    sts = hearth.client("sts", key["AccessKeyId"], key["SecretAccessKey"])
    assert sts.get_caller_identity()["Arn"] == user["Arn"]
    assert sts.get_caller_identity()["UserId"] == user["UserId"]
    own = hearth.client("iam", key["AccessKeyId"], key["SecretAccessKey"])
    assert own.get_user()["User"]["UserName"] == user["UserName"]

    wrong = hearth.client("sts", key["AccessKeyId"], "x" * 40)
    with refused("SignatureDoesNotMatch", status=403):
        wrong.get_caller_identity()

    iam.update_access_key(UserName=user["UserName"], AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert iam.list_access_keys(UserName=user["UserName"])["AccessKeyMetadata"][0]["Status"] == "Inactive"
    with refused("InvalidClientTokenId", status=403):
        sts.get_caller_identity()
    iam.update_access_key(UserName=user["UserName"], AccessKeyId=key["AccessKeyId"], Status="Active")
    sts.get_caller_identity()
    iam.delete_access_key(UserName=user["UserName"], AccessKeyId=key["AccessKeyId"])
    assert iam.list_access_keys(UserName=user["UserName"])["AccessKeyMetadata"] == []


def test_last_use_of_a_key_is_known(hearth, iam, make_user):
    name = make_user()["UserName"]
    key = iam.create_access_key(UserName=name)["AccessKey"]
    fresh = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])
    assert fresh["UserName"] == name
    assert fresh["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}
    hearth.client("sts", key["AccessKeyId"], key["SecretAccessKey"]).get_caller_identity()
    used = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]
    assert used["ServiceName"] == "sts" and used["Region"] == "us-east-1" and "LastUsedDate" in used
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])


def test_two_keys_and_no_more(iam, make_user):
    name = make_user()["UserName"]
    ids = [iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"] for _ in range(2)]
    with refused("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2", 409):
        iam.create_access_key(UserName=name)
    listed = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
    assert [key["AccessKeyId"] for key in listed] == ids
    assert all("SecretAccessKey" not in key for key in listed)
    with refused("DeleteConflict", "Cannot delete entity, must delete access keys first.", 409):
        iam.delete_user(UserName=name)
    for key_id in ids:
        iam.delete_access_key(UserName=name, AccessKeyId=key_id)


def test_keys_of_others_cannot_be_named(iam, make_user):
    one, two = make_user()["UserName"], make_user()["UserName"]
    key_id = iam.create_access_key(UserName=one)["AccessKey"]["AccessKeyId"]
    message = f"The Access Key with id {key_id} cannot be found."
    with refused("NoSuchEntity", message):
        iam.delete_access_key(UserName=two, AccessKeyId=key_id)
    with refused("NoSuchEntity", message):
        iam.update_access_key(UserName=two, AccessKeyId=key_id, Status="Inactive")
    iam.delete_access_key(UserName=one, AccessKeyId=key_id)


def test_secrets_are_nowhere_on_disk_in_clear(hearth, iam, make_user):
    import os

    name = make_user()["UserName"]
    key = iam.create_access_key(UserName=name)["AccessKey"]
    secret = key["SecretAccessKey"].encode()
    for folder, _, files in os.walk(hearth.data):
        for file in files:
            with open(os.path.join(folder, file), "rb") as handle:
                assert secret not in handle.read(), file
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])


def test_the_root_user_sees_itself(iam):
    user = iam.get_user()["User"]
    assert user["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert user["UserId"] == ACCOUNT


def test_accounts_do_not_see_each_other(hearth, iam, make_user):
    """In open mode a twelve-digit key id is that account."""
    name = make_user()["UserName"]
    other = hearth.client("iam", "111122223333", "x")
    with refused("NoSuchEntity"):
        other.get_user(UserName=name)
    assert name not in [user["UserName"] for user in other.list_users()["Users"]]


@pytest.mark.parametrize("operation", ["get_account_summary", "list_mfa_devices", "list_virtual_mfa_devices"])
def test_what_is_not_there_says_so(iam, operation):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        getattr(iam, operation)()
    assert caught.value.response["Error"]["Code"] == "NotImplemented"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
