"""Clients, and users, roles and policies that are cleaned up."""

import contextlib
import os
import sys

import botocore.exceptions
import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from iam_help import TRUST_LAMBDA, text  # noqa: E402


@pytest.fixture(scope="module")
def iam(hearth):
    return hearth.client("iam")


@pytest.fixture
def later():
    """later(function, **arguments): called at the end of the test, last one first."""
    with contextlib.ExitStack() as stack:

        def call(function, **arguments):
            try:
                function(**arguments)
            except botocore.exceptions.ClientError as error:
                # The test removed it by itself.
                assert error.response["Error"]["Code"] == "NoSuchEntity", error

        yield lambda function, **arguments: stack.callback(call, function, **arguments)


@pytest.fixture
def make_user(iam, unique, later):
    def make(**arguments):
        name = arguments.pop("UserName", None) or unique("user")
        user = iam.create_user(UserName=name, **arguments)["User"]
        later(iam.delete_user, UserName=name)
        return user

    return make


@pytest.fixture
def make_role(iam, unique, later):
    def make(**arguments):
        name = arguments.pop("RoleName", None) or unique("role")
        arguments.setdefault("AssumeRolePolicyDocument", text(TRUST_LAMBDA))
        role = iam.create_role(RoleName=name, **arguments)["Role"]
        later(iam.delete_role, RoleName=name)
        return role

    return make


@pytest.fixture
def make_policy(iam, unique, later):
    def make(document, **arguments):
        name = arguments.pop("PolicyName", None) or unique("policy")
        policy = iam.create_policy(PolicyName=name, PolicyDocument=text(document), **arguments)["Policy"]
        later(iam.delete_policy, PolicyArn=policy["Arn"])
        return policy

    return make
