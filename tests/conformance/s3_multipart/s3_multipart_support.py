"""An upload as an object, and what its ETag and check sums should be."""

import base64
import hashlib
import random
import zlib

import botocore.exceptions
import pytest

MB = 1024 * 1024
PART = 5 * MB


def content(size, seed=1):
    """The same bytes for the same size and seed."""
    return random.Random(seed).randbytes(size)


def etag_of(parts):
    digest = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest()
    return f'"{digest}-{len(parts)}"'


def b64(raw):
    return base64.b64encode(raw).decode()


def crc32(data):
    return b64(zlib.crc32(data).to_bytes(4, "big"))


def sha256(data):
    return b64(hashlib.sha256(data).digest())


def sha1(data):
    return b64(hashlib.sha1(data).digest())


def composite(algorithm, values):
    raw = b"".join(base64.b64decode(value) for value in values)
    return f"{algorithm(raw)}-{len(values)}"


class refused:
    """`with refused("InvalidPart"):`, optionally with the message."""

    def __init__(self, code, message=None, status=400):
        self.code, self.message, self.status = code, message, status

    def __enter__(self):
        self.raises = pytest.raises(botocore.exceptions.ClientError)
        self.raised = self.raises.__enter__()
        return self.raised

    def __exit__(self, *exception):
        caught = self.raises.__exit__(*exception)
        if caught:
            response = self.raised.value.response
            assert response["Error"]["Code"] == self.code, response
            if self.message is not None:
                assert response["Error"]["Message"] == self.message
            assert response["ResponseMetadata"]["HTTPStatusCode"] == self.status
        return caught


class Upload:
    def __init__(self, s3, bucket, key, **arguments):
        self.s3 = s3
        self.where = {"Bucket": bucket, "Key": key}
        self.created = s3.create_multipart_upload(**self.where, **arguments)
        self.where["UploadId"] = self.created["UploadId"]
        self.sent = {}

    @property
    def id(self):
        return self.where["UploadId"]

    def put(self, number, body, **arguments):
        answer = self.s3.upload_part(**self.where, PartNumber=number, Body=body, **arguments)
        self.sent[number] = {
            key: value
            for key, value in answer.items()
            if key == "ETag" or (key.startswith("Checksum") and key != "ChecksumType")
        }
        return answer

    def copy(self, number, source, **arguments):
        answer = self.s3.upload_part_copy(
            **self.where, PartNumber=number, CopySource=source, **arguments
        )
        self.sent[number] = {"ETag": answer["CopyPartResult"]["ETag"]}
        return answer

    def listed(self, *numbers):
        """What CompleteMultipartUpload takes."""
        return {
            "Parts": [
                {"PartNumber": number, **self.sent[number]}
                for number in (numbers or sorted(self.sent))
            ]
        }

    def complete(self, *numbers, **arguments):
        return self.s3.complete_multipart_upload(
            **self.where, MultipartUpload=self.listed(*numbers), **arguments
        )

    def abort(self):
        return self.s3.abort_multipart_upload(**self.where)

    def parts(self, **arguments):
        return self.s3.list_parts(**self.where, **arguments)


def remove_bucket(s3, name):
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        for entry in page.get("Versions", []) + page.get("DeleteMarkers", []):
            s3.delete_object(Bucket=name, Key=entry["Key"], VersionId=entry["VersionId"])
    # Uploads in progress go with it.
    s3.delete_bucket(Bucket=name)
