"""A cloud whose colder storage classes have directories of their own."""

import contextlib
import json
import os
import shutil
import tempfile

import hearth_up
import pytest


class Places:
    """Directories for the tiers below one root, and what lies in them."""

    def __init__(self, root, disks=9):
        self.root = root
        self.infrequent = os.path.join(root, "infrequent")
        self.archive = os.path.join(root, "archive")
        self.disks = [os.path.join(root, f"disk{number}") for number in range(disks)]
        for path in (self.infrequent, self.archive, *self.disks):
            os.mkdir(path)

    @property
    def options(self):
        return (
            *("--tier", f"infrequent={self.infrequent}"),
            *("--tier", f"archive={self.archive}"),
            *("--tier", f"deep={','.join(self.disks)}"),
        )

    def used(self, *paths):
        """Bytes of the bodies in these directories; what goes meanwhile does not count."""
        total = 0
        for path in paths:
            for folder, _, names in os.walk(path):
                for name in names:
                    with contextlib.suppress(FileNotFoundError):
                        if not name.startswith("hearth."):
                            total += os.path.getsize(os.path.join(folder, name))
        return total

    def deep(self):
        return self.used(*self.disks)

    def all(self):
        return self.used(self.infrequent, self.archive, *self.disks)


@pytest.fixture(scope="module")
def places():
    root = tempfile.mkdtemp(prefix="hearth-tiers-")
    yield Places(root)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def cloud(places):
    with hearth_up.Hearth(options=("--test-clock", *places.options)) as hearth:
        yield hearth


@pytest.fixture
def s3(cloud):
    return cloud.client("s3", retries=3)


@pytest.fixture
def bucket(s3, unique):
    name = unique("tiers")
    s3.create_bucket(Bucket=name)
    yield name
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        for entry in page.get("Versions", []) + page.get("DeleteMarkers", []):
            s3.delete_object(Bucket=name, Key=entry["Key"], VersionId=entry["VersionId"])
    s3.delete_bucket(Bucket=name)


@pytest.fixture
def advance(cloud):
    def by(time):
        with cloud.get(f"/_hearth/clock/advance?by={time}", "POST", b"") as answer:
            return json.load(answer)

    return by


@pytest.fixture
def rules(s3, bucket):
    """rules({"Days": 30, "StorageClass": "STANDARD_IA"}, ..., expire=190)"""

    def put(*transitions, expire=None):
        rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}}
        if transitions:
            rule["Transitions"] = list(transitions)
        if expire:
            rule["Expiration"] = {"Days": expire}
        s3.put_bucket_lifecycle_configuration(
            Bucket=bucket, LifecycleConfiguration={"Rules": [rule]}
        )

    return put
