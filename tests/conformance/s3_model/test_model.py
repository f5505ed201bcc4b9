"""Ten clients put, overwrite, delete, upload in parts, read and list at random.

Everything that was seen of a key, in answers to GET and HEAD and in listings, has to agree with
some serial order of what was done to it.
"""

import collections
import hashlib
import os
import random
import threading
import time

import botocore.exceptions
import pytest

from register_check import Operation, disagreement

CLIENTS = 10
# Of each client; ./dev soak s3_model makes 1,500.
STEPS = int(os.environ.get("HEARTH_SOAK_COUNT", "80"))
KEYS = [f"{folder}{name}" for folder in ("", "a/", "a/b/", "z/") for name in ("1", "2", "ü")]


class Client(threading.Thread):
    def __init__(self, s3, bucket, number, seed):
        super().__init__()
        self.s3, self.bucket, self.number = s3, bucket, number
        self.random = random.Random(f"{seed}/{number}")
        self.seen = collections.defaultdict(list)
        self.failure = None

    def note(self, key, begin, writes, value, what):
        self.seen[key].append(Operation(begin, time.perf_counter(), writes, value, what))

    def body(self, step):
        # Some are kept beside the record, some as files.
        size = self.random.choice((0, 10, 3000, 70_000, 300_000))
        return f"{self.number}.{step}.".encode() + self.random.randbytes(size)

    def put(self, key, step):
        body = self.body(step)
        begin = time.perf_counter()
        etag = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)["ETag"]
        assert etag == f'"{hashlib.md5(body).hexdigest()}"'
        self.note(key, begin, True, etag, "put")

    def multipart(self, key, step):
        body = self.body(step)
        where = {"Bucket": self.bucket, "Key": key}
        where["UploadId"] = self.s3.create_multipart_upload(**where)["UploadId"]
        part = self.s3.upload_part(**where, PartNumber=self.random.randint(1, 9999), Body=body)
        if self.random.random() < 0.2:
            self.s3.abort_multipart_upload(**where)
            return
        number = self.s3.list_parts(**where)["Parts"][0]["PartNumber"]
        begin = time.perf_counter()
        done = self.s3.complete_multipart_upload(
            **where, MultipartUpload={"Parts": [{"PartNumber": number, "ETag": part["ETag"]}]}
        )
        expected = f'"{hashlib.md5(hashlib.md5(body).digest()).hexdigest()}-1"'
        assert done["ETag"] == expected
        self.note(key, begin, True, expected, "multipart")

    def delete(self, key, _):
        begin = time.perf_counter()
        self.s3.delete_object(Bucket=self.bucket, Key=key)
        self.note(key, begin, True, None, "delete")

    def delete_several(self, *_):
        keys = self.random.sample(KEYS, 3)
        begin = time.perf_counter()
        self.s3.delete_objects(
            Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
        )
        for key in keys:
            self.note(key, begin, True, None, "delete several")

    def get(self, key, _):
        begin = time.perf_counter()
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=key)
            etag = answer["ETag"]
            self.note(key, begin, False, etag, "get")
            body = answer["Body"].read()
            digest = hashlib.md5(body)
            if "-" in etag:
                digest = hashlib.md5(digest.digest())
            # Whole, and of the version it says it is.
            assert etag.strip('"').split("-")[0] == digest.hexdigest()
        except self.s3.exceptions.NoSuchKey:
            self.note(key, begin, False, None, "get")

    def head(self, key, _):
        begin = time.perf_counter()
        try:
            etag = self.s3.head_object(Bucket=self.bucket, Key=key)["ETag"]
        except botocore.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "404"
            etag = None
        self.note(key, begin, False, etag, "head")

    def list(self, *_):
        """Each page is a read of every key between its marker and its last one."""
        prefix = self.random.choice(("", "a/", "z/"))
        arguments = {"Bucket": self.bucket, "Prefix": prefix, "MaxKeys": self.random.randint(1, 8)}
        after = b""
        while True:
            begin = time.perf_counter()
            page = self.s3.list_objects_v2(**arguments)
            there = {entry["Key"]: entry["ETag"] for entry in page.get("Contents", [])}
            last = max(key.encode() for key in there) if page["IsTruncated"] else b"\xff"
            for key in KEYS:
                if key.startswith(prefix) and after < key.encode() <= last:
                    self.note(key, begin, False, there.get(key), "list")
            if not page["IsTruncated"]:
                return
            after = last
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def run(self):
        actions = {
            self.put: 5,
            self.multipart: 2,
            self.delete: 3,
            self.delete_several: 1,
            self.get: 6,
            self.head: 2,
            self.list: 3,
        }
        try:
            for step in range(STEPS):
                (action,) = self.random.choices(list(actions), list(actions.values()))
                action(self.random.choice(KEYS), step)
        except BaseException as error:  # Shown by the test.
            self.failure = error


@pytest.mark.parametrize("versioning", (False, True))
def test_some_serial_order(hearth, unique, versioning):
    seed = os.environ.get("HEARTH_SEED", str(random.SystemRandom().randrange(1 << 32)))
    print(f"HEARTH_SEED={seed}")
    s3 = hearth.client("s3", pool=2 * CLIENTS)
    bucket = unique("model")
    s3.create_bucket(Bucket=bucket)
    if versioning:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    clients = [Client(s3, bucket, number, seed) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    for client in clients:
        if client.failure is not None:
            raise client.failure
    final = {
        entry["Key"]: entry["ETag"]
        for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    }
    now = time.perf_counter()
    for key in KEYS:
        seen = [operation for client in clients for operation in client.seen[key]]
        seen.append(Operation(now, now, False, final.get(key), "at the end"))
        wrong = disagreement(seen)
        assert wrong is None, f"seed {seed}, key {key}:\n" + "\n".join(map(str, wrong))
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    if versioning:
        # Each write is there, and each delete left its marker.
        for key in KEYS:
            seen = [operation for client in clients for operation in client.seen[key]]
            written = sorted(
                operation.value
                for operation in seen
                if operation.writes and operation.value is not None
            )
            entries = [
                entry["ETag"]
                for page in s3.get_paginator("list_object_versions").paginate(
                    Bucket=bucket, Prefix=key
                )
                for entry in page.get("Versions", [])
                if entry["Key"] == key
            ]
            assert sorted(entries) == written
