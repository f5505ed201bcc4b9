"""STS as boto3 and the aws command line see it."""

import datetime
import json

import botocore.exceptions
import pytest

ROLE = "arn:aws:iam::000000000000:role"


def fails(code, message=None):
    return pytest.raises(
        botocore.exceptions.ClientError,
        match=rf"\({code}\)" + (f".*{message}" if message else ""),
    )


@pytest.fixture(scope="module")
def sts(hearth):
    return hearth.client("sts")


def trust(principal, **condition):
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def make_role(hearth, unique):
    iam = hearth.client("iam")
    made = []

    def make(policy, **arguments):
        name = unique("role")
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy, **arguments)["Role"]
        made.append(name)
        return role

    yield make
    for name in made:
        iam.delete_role(RoleName=name)


def session_client(hearth, credentials, service="sts"):
    return hearth.client(
        service,
        credentials["AccessKeyId"],
        credentials["SecretAccessKey"],
        credentials["SessionToken"],
    )


def test_caller_identity_of_the_root_key(sts):
    answer = sts.get_caller_identity()
    assert answer["Account"] == "000000000000"
    assert answer["UserId"] == "000000000000"
    assert answer["Arn"] == "arn:aws:iam::000000000000:root"
    # x-amzn-RequestId is how SDKs name a call in their logs.
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    assert answer["ResponseMetadata"]["RequestId"]


def test_caller_identity_with_the_command_line(hearth):
    assert hearth.aws("sts", "get-caller-identity")["Arn"] == "arn:aws:iam::000000000000:root"


# In open mode a key id of twelve digits names its account, as LocalStack's users know it.
def test_twelve_digits_are_an_account_in_open_mode(hearth):
    answer = hearth.client("sts", "123456789012", "anything").get_caller_identity()
    assert answer["Account"] == "123456789012"
    assert answer["Arn"] == "arn:aws:iam::123456789012:root"


def test_caller_identity_of_a_user(hearth, unique):
    iam = hearth.client("iam")
    name = unique("user")
    user = iam.create_user(UserName=name, Path="/team/")["User"]
    key = iam.create_access_key(UserName=name)["AccessKey"]
    try:
        client = hearth.client("sts", key["AccessKeyId"], key["SecretAccessKey"])
        answer = client.get_caller_identity()
        assert answer["Arn"] == user["Arn"]
        assert answer["UserId"] == user["UserId"]
        with fails("SignatureDoesNotMatch"):
            hearth.client("sts", key["AccessKeyId"], "wrong").get_caller_identity()

        # A session of the user is the user.
        session = client.get_session_token(DurationSeconds=900)["Credentials"]
        assert session_client(hearth, session).get_caller_identity()["Arn"] == user["Arn"]

        iam.update_access_key(UserName=name, AccessKeyId=key["AccessKeyId"], Status="Inactive")
        with fails("InvalidClientTokenId"):
            client.get_caller_identity()
    finally:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        iam.delete_user(UserName=name)
    # In open mode a key that is gone is a key nobody knows.
    assert client.get_caller_identity()["Arn"] == "arn:aws:iam::000000000000:root"


def test_assume_role(hearth, sts, make_role):
    role = make_role(trust({"AWS": "arn:aws:iam::000000000000:root"}), Path="/app/")
    before = datetime.datetime.now(datetime.timezone.utc)
    answer = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="job@1", SourceIdentity="ada")
    name = role["RoleName"]
    # The path is no part of a session's ARN.
    assert answer["AssumedRoleUser"]["Arn"] == (
        f"arn:aws:sts::000000000000:assumed-role/{name}/job@1"
    )
    assert answer["AssumedRoleUser"]["AssumedRoleId"] == f"{role['RoleId']}:job@1"
    assert answer["SourceIdentity"] == "ada"
    assert "PackedPolicySize" not in answer
    credentials = answer["Credentials"]
    assert credentials["AccessKeyId"].startswith("ASIA")
    assert len(credentials["AccessKeyId"]) == 20
    lasts = credentials["Expiration"] - before
    assert datetime.timedelta(seconds=3590) < lasts < datetime.timedelta(seconds=3720)
    who = session_client(hearth, credentials).get_caller_identity()
    assert who["Arn"] == answer["AssumedRoleUser"]["Arn"]
    assert who["UserId"] == answer["AssumedRoleUser"]["AssumedRoleId"]


def test_a_role_that_trusts_others_is_refused(sts, make_role):
    denied = "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::"
    for policy in (
        trust({"Service": "lambda.amazonaws.com"}),
        trust({"AWS": "arn:aws:iam::999999999999:root"}),
        trust({"AWS": "arn:aws:iam::000000000000:user/somebody"}),
    ):
        with fails("AccessDenied", denied):
            sts.assume_role(RoleArn=make_role(policy)["Arn"], RoleSessionName="x1")
    # A role that is not there is answered the same.
    with fails("AccessDenied", denied):
        sts.assume_role(RoleArn=f"{ROLE}/not-there", RoleSessionName="x1")


def test_another_account_may_assume_where_it_is_trusted(hearth, make_role):
    role = make_role(trust({"AWS": "111122223333"}))
    other = hearth.client("sts", "111122223333", "x")
    answer = other.assume_role(RoleArn=role["Arn"], RoleSessionName="cross")
    who = session_client(hearth, answer["Credentials"]).get_caller_identity()
    assert who["Account"] == "000000000000"
    with fails("AccessDenied"):
        hearth.client("sts", "444455556666", "x").assume_role(
            RoleArn=role["Arn"], RoleSessionName="cross"
        )


def test_the_external_id_must_fit(sts, make_role):
    role = make_role(
        trust({"AWS": "*"}, StringEquals={"sts:ExternalId": "s3cret"})
    )
    with fails("AccessDenied"):
        sts.assume_role(RoleArn=role["Arn"], RoleSessionName="x1")
    with fails("AccessDenied"):
        sts.assume_role(RoleArn=role["Arn"], RoleSessionName="x1", ExternalId="other")
    sts.assume_role(RoleArn=role["Arn"], RoleSessionName="x1", ExternalId="s3cret")


def test_durations(hearth, sts, make_role):
    role = make_role(trust({"AWS": "*"}), MaxSessionDuration=7200)
    arn = role["Arn"]
    with fails(
        "ValidationError",
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    ):
        sts.assume_role(RoleArn=arn, RoleSessionName="x1", DurationSeconds=7201)
    session = sts.assume_role(RoleArn=arn, RoleSessionName="x1", DurationSeconds=7200)
    # A role that assumes a role gets an hour at most.
    chained = session_client(hearth, session["Credentials"])
    with fails("ValidationError", "1 hour session limit for roles assumed by role chaining"):
        chained.assume_role(RoleArn=arn, RoleSessionName="x2", DurationSeconds=7200)
    chained.assume_role(RoleArn=arn, RoleSessionName="x2", DurationSeconds=3600)


def test_session_token_of_the_root_key_lasts_an_hour(hearth, sts):
    now = datetime.datetime.now(datetime.timezone.utc)
    credentials = sts.get_session_token(DurationSeconds=43200)["Credentials"]
    assert credentials["Expiration"] - now < datetime.timedelta(seconds=3720)
    client = session_client(hearth, credentials)
    assert client.get_caller_identity()["Arn"] == "arn:aws:iam::000000000000:root"
    with fails("AccessDenied", "Cannot call GetSessionToken with session credentials"):
        client.get_session_token()


def test_wrong_sessions_are_refused(hearth, sts):
    good = sts.get_session_token()["Credentials"]
    root = hearth.root_key()
    with fails("SignatureDoesNotMatch"):
        hearth.client("sts", good["AccessKeyId"], "x", good["SessionToken"]).get_caller_identity()
    changed = good["SessionToken"][:-8] + "AAAAAAA="
    with fails("InvalidClientTokenId", "The security token included in the request is invalid"):
        hearth.client(
            "sts", good["AccessKeyId"], good["SecretAccessKey"], changed
        ).get_caller_identity()
    with fails("InvalidClientTokenId"):
        hearth.client("sts", *root, good["SessionToken"]).get_caller_identity()


def test_access_key_info(hearth, sts):
    assert sts.get_access_key_info(AccessKeyId=hearth.root_key()[0])["Account"] == "000000000000"
    # Ids name their account as AWS's own do.
    assert sts.get_access_key_info(AccessKeyId="ASIAQNZGKIQY56JQ7WML")["Account"] == "029608264753"
    with fails("ValidationError"):
        sts.get_access_key_info(AccessKeyId="AKIA0000000000000000")


def test_messages_of_broken_constraints(sts):
    with fails(
        "ValidationError",
        r"1 validation error detected: Value 'a b' at 'roleSessionName' failed to satisfy "
        r"constraint: Member must satisfy regular expression pattern: \[\\w\+=,.@-\]\*",
    ):
        sts.assume_role(RoleArn=f"{ROLE}/x", RoleSessionName="a b")
    with fails("ValidationError", "arn:aws:s3:::a-bucket-of-mine is invalid"):
        sts.assume_role(RoleArn="arn:aws:s3:::a-bucket-of-mine", RoleSessionName="ab")


def test_session_policies_are_checked_and_say_that_they_are_not_enforced(sts, make_role):
    role = make_role(trust({"AWS": "*"}))
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
    }
    answer = sts.assume_role(
        RoleArn=role["Arn"], RoleSessionName="ab", Policy=json.dumps(policy)
    )
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-hearth-not-enforced"] == "policy"
    assert answer["PackedPolicySize"] > 0
    with fails("MalformedPolicyDocument"):
        sts.assume_role(RoleArn=role["Arn"], RoleSessionName="ab", Policy="{")


def test_what_is_not_there_says_so(sts):
    with fails("NotImplemented", "AssumeRoleWithWebIdentity"):
        sts.assume_role_with_web_identity(
            RoleArn=f"{ROLE}/x", RoleSessionName="ab", WebIdentityToken="abcd"
        )
    with fails("NotImplemented", "Tags"):
        sts.assume_role(
            RoleArn=f"{ROLE}/x", RoleSessionName="ab", Tags=[{"Key": "a", "Value": "b"}]
        )
    with fails("NotImplemented", "SerialNumber"):
        sts.get_session_token(SerialNumber="arn:aws:iam::000000000000:mfa/x", TokenCode="123456")


def test_sessions_outlive_a_restart(hearth, sts):
    session = sts.get_session_token()["Credentials"]
    client = session_client(hearth, session)
    client.get_caller_identity()
    hearth.kill("cloud")
    # The keeper holds the listening socket: a new connection waits for the new cloud. One that the
    # killed cloud still took is retried, as SDKs do.
    again = hearth.client(
        "sts",
        session["AccessKeyId"],
        session["SecretAccessKey"],
        session["SessionToken"],
        retries=5,
    )
    assert again.get_caller_identity()["Account"] == "000000000000"
