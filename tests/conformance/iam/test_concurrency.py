"""Calls at the same time: each is whole, and quotas and counts hold."""

import concurrent.futures

import botocore.exceptions

from iam_help import READ_BUCKET, TRUST_LAMBDA, text

CALLERS = 8


def together(calls):
    """Runs all calls at once; returns each one's error code, or None."""

    def run(call):
        try:
            call()
        except botocore.exceptions.ClientError as error:
            return error.response["Error"]["Code"]
        return None

    with concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(run, calls))


def test_a_name_is_given_once(iam, unique, later):
    name = unique("role")
    codes = together([
        lambda: iam.create_role(RoleName=name, AssumeRolePolicyDocument=text(TRUST_LAMBDA))] * CALLERS)
    later(iam.delete_role, RoleName=name)
    assert sorted(codes, key=str) == ["EntityAlreadyExists"] * (CALLERS - 1) + [None]


def test_the_quota_of_keys_holds(iam, make_user):
    name = make_user()["UserName"]
    codes = together([lambda: iam.create_access_key(UserName=name)] * CALLERS)
    assert codes.count(None) == 2 and codes.count("LimitExceeded") == CALLERS - 2
    keys = [key["AccessKeyId"] for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]]
    assert len(keys) == 2
    for key in keys:
        iam.delete_access_key(UserName=name, AccessKeyId=key)


def test_attachments_of_many_are_all_counted(iam, make_role, make_policy):
    arn = make_policy(READ_BUCKET)["Arn"]
    roles = [make_role()["RoleName"] for _ in range(CALLERS)]
    codes = together([lambda role=role: iam.attach_role_policy(RoleName=role, PolicyArn=arn) for role in roles])
    assert codes == [None] * CALLERS
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == CALLERS
    codes = together([lambda role=role: iam.detach_role_policy(RoleName=role, PolicyArn=arn) for role in roles])
    assert codes == [None] * CALLERS
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 0


def test_an_attached_policy_is_never_deleted(iam, make_role, make_policy):
    """Of a delete and an attach at the same time one wins, and the other says so."""
    role = make_role()["RoleName"]
    for _ in range(5):
        arn = make_policy(READ_BUCKET)["Arn"]
        codes = together([
            lambda: iam.attach_role_policy(RoleName=role, PolicyArn=arn),
            lambda: iam.delete_policy(PolicyArn=arn)])
        attached = [p["PolicyArn"] for p in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]]
        if codes[0] is None:
            assert codes[1] == "DeleteConflict" and attached == [arn]
            iam.detach_role_policy(RoleName=role, PolicyArn=arn)
        else:
            assert codes == ["NoSuchEntity", None] and attached == []


def test_tags_of_many_are_all_there(iam, make_role):
    role = make_role()["RoleName"]
    codes = together([
        lambda n=n: iam.tag_role(RoleName=role, Tags=[{"Key": f"k{n}", "Value": str(n)}]) for n in range(20)])
    assert codes == [None] * 20
    tags = {tag["Key"]: tag["Value"] for tag in iam.list_role_tags(RoleName=role)["Tags"]}
    assert tags == {f"k{n}": str(n) for n in range(20)}
