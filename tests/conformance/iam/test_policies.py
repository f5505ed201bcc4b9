"""Inline and managed policies, their versions and attachments."""

import pytest

from iam_help import ACCOUNT, BASIC_EXECUTION, READ_BUCKET, all_pages, refused, text


def header(answer, name):
    return answer["ResponseMetadata"]["HTTPHeaders"].get(name)


def statement(**changes):
    one = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    one.update(changes)
    return {"Version": "2012-10-17", "Statement": {key: value for key, value in one.items() if value is not None}}


def test_inline_policies_of_users_roles_and_groups(iam, make_user, make_role, unique, later):
    group = unique("group")
    iam.create_group(GroupName=group)
    later(iam.delete_group, GroupName=group)
    for kind, name in (("user", make_user()["UserName"]), ("role", make_role()["RoleName"]), ("group", group)):
        who = {f"{kind.title()}Name": name}
        put, get = getattr(iam, f"put_{kind}_policy"), getattr(iam, f"get_{kind}_policy")
        delete, names = getattr(iam, f"delete_{kind}_policy"), getattr(iam, f"list_{kind}_policies")
        stored = put(**who, PolicyName="one", PolicyDocument=text(READ_BUCKET))
        assert header(stored, "x-hearth-not-enforced") == "policy"
        put(**who, PolicyName="two", PolicyDocument=text(statement()))
        assert names(**who)["PolicyNames"] == ["one", "two"]
        got = get(**who, PolicyName="one")
        assert got["PolicyDocument"] == READ_BUCKET and got["PolicyName"] == "one"
        with refused("NoSuchEntity", f"The {kind} policy with name three cannot be found.", 404):
            get(**who, PolicyName="three")
        with refused("DeleteConflict", "Cannot delete entity, must delete policies first.", 409):
            getattr(iam, f"delete_{kind}")(**who)
        delete(**who, PolicyName="one")
        delete(**who, PolicyName="two")
        with refused("NoSuchEntity"):
            delete(**who, PolicyName="two")


@pytest.mark.parametrize("document, message", [
    ("{", None),
    ("null", None),
    (statement(Action=None), "Policy statement must contain actions."),
    (statement(Resource=None), "Policy statement must contain resources."),
    (statement(Principal="*"), "Policy document should not specify a principal."),
    (statement(Action="GetObject"), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
    (statement(Resource="bucket"), 'Resource bucket must be in ARN format or "*".'),
    (statement(Effect="allow"), None),
    (statement(Action=5), None),
    (statement(Condition=[]), None),
    (statement(Condition={"StringSortOf": {"aws:x": "y"}}), None),
    (statement(NotAction="s3:*"), None),
    ({"Version": "2008-10-17", "Statement": statement()["Statement"]},
     "Policy document must be version 2012-10-17 or greater."),
    ({"Version": "2012-10-17", "Statement": [statement(Sid="a")["Statement"]] * 2},
     "Statement IDs (SID) in a single policy must be unique."),
])
def test_broken_documents_are_refused(iam, make_role, document, message):
    name = make_role()["RoleName"]
    with refused("MalformedPolicyDocument", message, 400):
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=text(document))
    with refused("MalformedPolicyDocument", message):
        iam.create_policy(PolicyName="never", PolicyDocument=text(document))
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == []


@pytest.mark.parametrize("document", [
    READ_BUCKET,
    statement(Condition={"StringLike": {"s3:prefix": ["a/*", "b/*"]}, "Bool": {"aws:SecureTransport": "true"}}),
    statement(Condition={"ForAnyValue:StringEqualsIfExists": {"aws:TagKeys": "k"}}),
    statement(Action=None, NotAction=["iam:*"], Resource=None, NotResource="arn:aws:s3:::x"),
    dict(statement(), Id="policy-1"),
    statement(Action="*"),
    statement(Resource="arn:aws:s3:::${aws:username}/*"),
])
def test_good_documents_are_kept_as_they_are(iam, make_policy, document):
    arn = make_policy(document)["Arn"]
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"] == document


def test_a_managed_policy(iam, make_policy, unique):
    name = unique("policy")
    policy = make_policy(READ_BUCKET, PolicyName=name, Path="/p/", Description="reads", Tags=[
        {"Key": "k", "Value": "v"}])
    assert policy["Arn"] == f"arn:aws:iam::{ACCOUNT}:policy/p/{name}"
    assert policy["PolicyId"].startswith("ANPA") and len(policy["PolicyId"]) == 21
    assert (policy["DefaultVersionId"], policy["AttachmentCount"], policy["IsAttachable"]) == ("v1", 0, True)
    got = iam.get_policy(PolicyArn=policy["Arn"])["Policy"]
    assert got["Description"] == "reads" and got["Tags"] == [{"Key": "k", "Value": "v"}]
    message = f"A policy called {name} already exists. Duplicate names are not allowed."
    with refused("EntityAlreadyExists", message, 409):
        iam.create_policy(PolicyName=name, PolicyDocument=text(READ_BUCKET))


def test_missing_policies_are_not_found(iam):
    arn = f"arn:aws:iam::{ACCOUNT}:policy/nothing"
    message = f"Policy {arn} was not found."
    for call in (iam.get_policy, iam.delete_policy, iam.list_policy_versions, iam.list_entities_for_policy):
        with refused("NoSuchEntity", message, 404):
            call(PolicyArn=arn)


@pytest.mark.parametrize("arn", [
    "x" * 20, f"arn:aws:iam::{ACCOUNT}:role/not-a-policy", "arn:aws:iam::1:policy/x", f"arn:aws:iam::{ACCOUNT}:policy/",
    f"arn:aws:iam::{ACCOUNT}:policy/" + "x" * 2000, "\u00e9" * 2000])
def test_what_is_no_arn_of_a_policy_is_refused(iam, make_role, arn):
    role = make_role()["RoleName"]
    for call in (iam.get_policy, iam.delete_policy, iam.list_policy_versions, iam.list_entities_for_policy):
        with refused("InvalidInput", f"ARN {arn} is not valid.", 400):
            call(PolicyArn=arn)
    for call in (iam.attach_role_policy, iam.detach_role_policy):
        with refused("InvalidInput", f"ARN {arn} is not valid.", 400):
            call(RoleName=role, PolicyArn=arn)


def test_versions(iam, make_policy, later):
    arn = make_policy(READ_BUCKET)["Arn"]
    made = iam.create_policy_version(PolicyArn=arn, PolicyDocument=text(statement()), SetAsDefault=True)
    assert made["PolicyVersion"]["VersionId"] == "v2" and made["PolicyVersion"]["IsDefaultVersion"]
    assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v2"
    for number in (3, 4, 5):
        version = iam.create_policy_version(PolicyArn=arn, PolicyDocument=text(statement()))["PolicyVersion"]
        assert (version["VersionId"], version["IsDefaultVersion"]) == (f"v{number}", False)
    with refused(
        "LimitExceeded",
        "A managed policy can have up to 5 versions. Before you create a new version, you must delete an "
        "existing version.",
        409,
    ):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=text(statement()))
    with refused("DeleteConflict", "Cannot delete the default version of a policy."):
        iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    with refused("DeleteConflict"):
        iam.delete_policy(PolicyArn=arn)
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    # Numbers are never used again.
    assert iam.create_policy_version(PolicyArn=arn, PolicyDocument=text(statement()))["PolicyVersion"][
        "VersionId"] == "v6"
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert {version["VersionId"]: version["IsDefaultVersion"] for version in versions} == {
        "v1": True, "v3": False, "v4": False, "v5": False, "v6": False}
    with refused("NoSuchEntity"):
        iam.get_policy_version(PolicyArn=arn, VersionId="v2")
    for number in (3, 4, 5, 6):
        iam.delete_policy_version(PolicyArn=arn, VersionId=f"v{number}")


def test_attachments_are_counted_and_hold_things(iam, make_policy, make_role, make_user):
    policy, role, user = make_policy(READ_BUCKET), make_role()["RoleName"], make_user()["UserName"]
    arn = policy["Arn"]
    iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    iam.attach_user_policy(UserName=user, PolicyArn=arn)
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == [
        {"PolicyName": policy["PolicyName"], "PolicyArn": arn}]
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 2
    entities = iam.list_entities_for_policy(PolicyArn=arn)
    assert [entity["RoleName"] for entity in entities["PolicyRoles"]] == [role]
    assert [entity["UserName"] for entity in entities["PolicyUsers"]] == [user]
    assert entities["PolicyGroups"] == []
    with refused("DeleteConflict", "Cannot delete a policy attached to entities.", 409):
        iam.delete_policy(PolicyArn=arn)
    with refused("DeleteConflict", "Cannot delete entity, must detach all policies first.", 409):
        iam.delete_role(RoleName=role)
    iam.detach_role_policy(RoleName=role, PolicyArn=arn)
    iam.detach_user_policy(UserName=user, PolicyArn=arn)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 0
    with refused("NoSuchEntity", f"Policy {arn} was not found.", 404):
        iam.detach_role_policy(RoleName=role, PolicyArn=arn)


@pytest.mark.parametrize("name", [
    "AdministratorAccess", "PowerUserAccess", "ReadOnlyAccess", "AmazonS3ReadOnlyAccess", "AmazonS3FullAccess",
    "AmazonDynamoDBFullAccess", "AmazonSQSFullAccess", "CloudWatchLogsFullAccess", "AWSXRayDaemonWriteAccess",
    "service-role/AWSLambdaBasicExecutionRole", "service-role/AWSLambdaVPCAccessExecutionRole",
    "service-role/AWSLambdaSQSQueueExecutionRole", "service-role/AWSLambdaDynamoDBExecutionRole",
    "service-role/AWSLambdaKinesisExecutionRole", "service-role/AWSLambdaRole"])
def test_policies_of_aws_exist_by_name(iam, make_role, name):
    arn = f"arn:aws:iam::aws:policy/{name}"
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    assert policy["PolicyName"] == name.split("/")[-1] and policy["IsAttachable"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]["Document"]
    assert document["Version"] == "2012-10-17" and document["Statement"]
    role = make_role()["RoleName"]
    iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"][0]["PolicyArn"] == arn
    iam.detach_role_policy(RoleName=role, PolicyArn=arn)


def test_policies_of_aws_cannot_be_changed(iam):
    with refused("AccessDenied", status=403):
        iam.delete_policy(PolicyArn=BASIC_EXECUTION)
    with refused("AccessDenied", status=403):
        iam.create_policy_version(PolicyArn=BASIC_EXECUTION, PolicyDocument=text(READ_BUCKET))


def test_unknown_policies_cannot_be_attached(iam, make_role):
    arn = "arn:aws:iam::aws:policy/NoSuchPolicyAtAll"
    with refused("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.", 404):
        iam.attach_role_policy(RoleName=make_role()["RoleName"], PolicyArn=arn)


def test_ten_attachments_and_no_more(iam, make_policy, make_role):
    role = make_role()["RoleName"]
    arns = [make_policy(READ_BUCKET)["Arn"] for _ in range(11)]
    for arn in arns[:10]:
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    with refused("LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10", 409):
        iam.attach_role_policy(RoleName=role, PolicyArn=arns[10])
    listed, pages = all_pages(iam.list_attached_role_policies, "AttachedPolicies", RoleName=role, MaxItems=4)
    assert pages == 3 and {policy["PolicyArn"] for policy in listed} == set(arns[:10])
    for arn in arns[:10]:
        iam.detach_role_policy(RoleName=role, PolicyArn=arn)


def test_sizes_are_limited_without_white_space(iam, make_role):
    role = make_role()["RoleName"]
    padded = text(READ_BUCKET) + " " * 20_000
    iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=padded)
    long = statement(Resource=[f"arn:aws:s3:::{'x' * 60}/{number}" for number in range(200)])
    with refused("LimitExceeded", status=409):
        iam.put_role_policy(RoleName=role, PolicyName="q", PolicyDocument=text(long))
    with refused("LimitExceeded", status=409):
        iam.create_policy(PolicyName="never", PolicyDocument=text(long))
    iam.delete_role_policy(RoleName=role, PolicyName="p")


def test_listing_by_scope(iam, make_policy, make_role, unique):
    path = f"/{unique('path')}/"
    policies = [make_policy(READ_BUCKET, Path=path) for _ in range(3)]
    local, pages = all_pages(iam.list_policies, "Policies", Scope="Local", PathPrefix=path, MaxItems=2)
    assert sorted(policy["Arn"] for policy in local) == sorted(policy["Arn"] for policy in policies) and pages == 2
    of_aws, _ = all_pages(iam.list_policies, "Policies", Scope="AWS")
    assert BASIC_EXECUTION in [policy["Arn"] for policy in of_aws]
    assert all(policy["Arn"].startswith("arn:aws:iam::aws:") for policy in of_aws)
    role = make_role()["RoleName"]
    iam.attach_role_policy(RoleName=role, PolicyArn=policies[1]["Arn"])
    attached, _ = all_pages(iam.list_policies, "Policies", OnlyAttached=True, PathPrefix=path)
    assert [policy["Arn"] for policy in attached] == [policies[1]["Arn"]]
    iam.detach_role_policy(RoleName=role, PolicyArn=policies[1]["Arn"])


def test_tags(iam, make_policy):
    arn = make_policy(READ_BUCKET)["Arn"]
    iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.untag_policy(PolicyArn=arn, TagKeys=["a"])
    assert iam.list_policy_tags(PolicyArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
