"""Emptying buckets, and errors as the tests look at them."""

import contextlib

import botocore.exceptions
import pytest


def remove_bucket(s3, name, bypass=False):
    """Removes what can be removed; what a lock of these tests protects stays with the cloud."""
    extra = {"BypassGovernanceRetention": True} if bypass else {}
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        for entry in page.get("Versions", []) + page.get("DeleteMarkers", []):
            with contextlib.suppress(botocore.exceptions.ClientError):
                s3.delete_object(
                    Bucket=name, Key=entry["Key"], VersionId=entry["VersionId"], **extra
                )
    with contextlib.suppress(botocore.exceptions.ClientError):
        s3.delete_bucket(Bucket=name)


class Refused:
    """What a refusal said: code, message, status and further fields."""

    code = message = None
    status = 0
    fields = {}


@contextlib.contextmanager
def refused(code, status=None, message=None):
    seen = Refused()
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        yield seen
    error = raised.value.response["Error"]
    seen.code, seen.message = error.get("Code"), error.get("Message")
    seen.status = raised.value.response["ResponseMetadata"]["HTTPStatusCode"]
    seen.fields = error
    assert seen.code == code, raised.value
    if status is not None:
        assert seen.status == status
    if message is not None:
        assert seen.message == message


def tags(**pairs):
    return {"TagSet": [{"Key": key, "Value": value} for key, value in pairs.items()]}
