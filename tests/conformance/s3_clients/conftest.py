"""A bucket, and a tree of files that is awkward in every way clients have to bear."""

import hashlib
import os
import random

import pytest


def files_count():
    """How many small files a tree has; ./dev soak s3_sync makes 10,000."""
    return int(os.environ.get("HEARTH_SOAK_COUNT", "300"))


@pytest.fixture(scope="module")
def s3(hearth):
    return hearth.client("s3")


@pytest.fixture
def bucket(s3, unique):
    name = unique("clients")
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def tree(tmp_path):
    """A directory with many small files and one that goes in parts."""
    root = tmp_path / "tree"
    bytes_of = random.Random(7).randbytes
    for number in range(files_count()):
        path = root / f"many/{number % 10}/file {number}+ä.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes_of(number % 3000))
    (root / "empty").write_bytes(b"")
    (root / "large.bin").write_bytes(bytes_of(20 * 1024 * 1024 + 7))
    (root / "sub").mkdir()
    (root / "sub" / "a&b=c#d%25;e.txt").write_bytes(b"awkward name")
    # S3 knows whole seconds: what is uploaded in the second in which it was written looks older than the file.
    for path in root.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return root


@pytest.fixture
def summary():
    """summary(directory): every file's name below it and the hash of its bytes."""

    def of(directory):
        return {
            os.path.relpath(os.path.join(folder, name), directory): hashlib.md5(
                open(os.path.join(folder, name), "rb").read()
            ).hexdigest()
            for folder, _, names in os.walk(directory)
            for name in names
        }

    return of


@pytest.fixture
def stored(s3):
    """stored(bucket): every key and its size."""

    def of(bucket, **arguments):
        return {
            entry["Key"]: entry["Size"]
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, **arguments)
            for entry in page.get("Contents", [])
        }

    return of
