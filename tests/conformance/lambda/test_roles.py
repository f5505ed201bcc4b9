"""The role of a function must exist and trust Lambda, once there is a role at all or calls are enforced."""

import json

import hearth_up
from functions import ACCOUNT, ROLE, code, refused

import pytest

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
CANNOT = "The role defined for the function cannot be assumed by Lambda."


def trusting(service):
    changed = json.loads(json.dumps(TRUST))
    changed["Statement"][0]["Principal"]["Service"] = service
    return json.dumps(changed)


def create(client, name, role):
    return client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=role,
        Handler="index.handler",
        Code=code(),
    )


@pytest.mark.parametrize("mode", ["open", "enforce"])
def test_roles(mode):
    with hearth_up.Hearth(options=("--auth", mode)) as hearth:
        client = hearth.client("lambda")
        iam = hearth.client("iam")
        if mode == "open":
            # No role in the account yet: taken as given, whatever account an example names.
            create(client, "first", ROLE)
            create(client, "from-an-example", "arn:aws:iam::123456789012:role/example")
        else:
            with refused("InvalidParameterValueException", CANNOT, 400):
                create(client, "first", ROLE)

        good = iam.create_role(
            RoleName="good", Path="/team/", AssumeRolePolicyDocument=json.dumps(TRUST)
        )["Role"]["Arn"]
        other = iam.create_role(
            RoleName="other", AssumeRolePolicyDocument=trusting("ec2.amazonaws.com")
        )["Role"]["Arn"]
        made = create(client, "good", good)
        assert made["Role"] == good
        for role in (other, f"arn:aws:iam::{ACCOUNT}:role/nobody"):
            with refused("InvalidParameterValueException", CANNOT, 400):
                create(client, "bad", role)
            with refused("InvalidParameterValueException", CANNOT, 400):
                client.update_function_configuration(FunctionName="good", Role=role)
        if mode == "enforce":
            with refused(
                "AccessDeniedException", "Cross-account pass role is not allowed.", 403
            ):
                create(client, "bad", "arn:aws:iam::123456789012:role/example")
        # A function whose role was taken away is still there.
        iam.delete_role(RoleName="good")
        assert client.get_function_configuration(FunctionName="good")["Role"] == good
        client.update_function_configuration(FunctionName="good", Timeout=5)


def test_code_location_needs_no_signature_in_enforce_mode():
    with hearth_up.Hearth(options=("--auth", "enforce")) as hearth:
        client = hearth.client("lambda")
        role = hearth.client("iam").create_role(
            RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST)
        )["Role"]["Arn"]
        create(client, "f", role)
        location = client.get_function(FunctionName="f")["Code"]["Location"]
        path = location[len(hearth.endpoint) :]
        assert hearth.get(path).read() == code()["ZipFile"]
        for wrong in (path[:-4] + "AAAA", path.split("?")[0], path.split("token=")[0] + "token=!"):
            with pytest.raises(Exception, match="403"):
                hearth.get(wrong)


def test_calls_are_signed_in_enforce_mode():
    with hearth_up.Hearth(options=("--auth", "enforce")) as hearth:
        with refused("UnrecognizedClientException", status=403):
            hearth.client("lambda", key="AKIAAAAAAAAAAAAAAAAA", secret="x").list_functions()
        key, _ = hearth.root_key()
        with refused("InvalidSignatureException", status=403):
            hearth.client("lambda", key=key, secret="wrong").list_functions()
