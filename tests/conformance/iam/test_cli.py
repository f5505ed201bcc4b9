"""What a person types: Debian's aws makes a role for a function, and takes it away again."""

import json

from iam_help import BASIC_EXECUTION, READ_BUCKET, TRUST_LAMBDA


def test_a_role_for_a_function(hearth, unique, tmp_path):
    name = unique("role")
    trust, policy = tmp_path / "trust.json", tmp_path / "policy.json"
    # As editors leave it: indented, with a line feed at the end.
    trust.write_text(json.dumps(TRUST_LAMBDA, indent=4) + "\n")
    policy.write_text(json.dumps(READ_BUCKET, indent=4) + "\n")
    made = hearth.aws(
        "iam", "create-role", "--role-name", name, "--assume-role-policy-document", f"file://{trust}",
        "--tags", "Key=team,Value=a b")["Role"]
    hearth.aws("iam", "wait", "role-exists", "--role-name", name)
    assert made["AssumeRolePolicyDocument"] == TRUST_LAMBDA
    assert hearth.aws("iam", "list-role-tags", "--role-name", name)["Tags"] == [{"Key": "team", "Value": "a b"}]
    hearth.aws("iam", "attach-role-policy", "--role-name", name, "--policy-arn", BASIC_EXECUTION)
    hearth.aws(
        "iam", "put-role-policy", "--role-name", name, "--policy-name", "read", "--policy-document",
        f"file://{policy}")
    attached = hearth.aws("iam", "list-attached-role-policies", "--role-name", name)["AttachedPolicies"]
    assert [one["PolicyArn"] for one in attached] == [BASIC_EXECUTION]
    got = hearth.aws("iam", "get-role-policy", "--role-name", name, "--policy-name", "read")
    assert got["PolicyDocument"] == READ_BUCKET

    refused = hearth.aws_raw("iam", "delete-role", "--role-name", name)
    assert refused.returncode == 254
    assert "An error occurred (DeleteConflict) when calling the DeleteRole operation" in refused.stderr
    assert "Cannot delete entity, must detach all policies first." in refused.stderr
    hearth.aws("iam", "detach-role-policy", "--role-name", name, "--policy-arn", BASIC_EXECUTION)
    hearth.aws("iam", "delete-role-policy", "--role-name", name, "--policy-name", "read")
    hearth.aws("iam", "delete-role", "--role-name", name)
    gone = hearth.aws_raw("iam", "get-role", "--role-name", name)
    assert "NoSuchEntity" in gone.stderr


def test_a_user_with_a_key(hearth, unique):
    name = unique("user")
    user = hearth.aws("iam", "create-user", "--user-name", name)["User"]
    hearth.aws("iam", "wait", "user-exists", "--user-name", name)
    key = hearth.aws("iam", "create-access-key", "--user-name", name)["AccessKey"]
    own = {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
    assert hearth.aws("sts", "get-caller-identity", **own)["Arn"] == user["Arn"]
    assert hearth.aws("iam", "get-user", **own)["User"]["UserName"] == name
    hearth.aws("iam", "delete-access-key", "--user-name", name, "--access-key-id", key["AccessKeyId"])
    hearth.aws("iam", "delete-user", "--user-name", name)


def test_the_cli_walks_all_pages(hearth, unique):
    path = f"/{unique('path')}/"
    names = [unique("user") for _ in range(5)]
    for name in names:
        hearth.client("iam").create_user(UserName=name, Path=path)
    listed = hearth.aws("iam", "list-users", "--path-prefix", path, "--page-size", "2")["Users"]
    assert sorted(user["UserName"] for user in listed) == sorted(names)
    for name in names:
        hearth.client("iam").delete_user(UserName=name)
