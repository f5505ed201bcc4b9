"""Errors as the service words them, and emptying buckets."""

import contextlib

import botocore.exceptions


def remove_bucket(s3, name):
    try:
        pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=name))
    except s3.exceptions.NoSuchBucket:
        return
    for page in pages:
        for entry in page.get("Versions", []) + page.get("DeleteMarkers", []):
            s3.delete_object(Bucket=name, Key=entry["Key"], VersionId=entry["VersionId"])
    s3.delete_bucket(Bucket=name)


@contextlib.contextmanager
def refused(code, status, message=None):
    """The call inside is answered with exactly this error; yields the error's fields."""
    fields = {}
    try:
        yield fields
    except botocore.exceptions.ClientError as error:
        response = error.response
        assert response["Error"]["Code"] == code, response
        assert response["ResponseMetadata"]["HTTPStatusCode"] == status, response
        if message is not None:
            assert response["Error"]["Message"] == message
        fields.update(response["Error"])
        fields["headers"] = response["ResponseMetadata"]["HTTPHeaders"]
        return
    raise AssertionError(f"not refused with {code}")


def read(s3, bucket, key, **arguments):
    return s3.get_object(Bucket=bucket, Key=key, **arguments)["Body"].read()


def status(answer):
    return answer["ResponseMetadata"]["HTTPStatusCode"]


def header(answer, name):
    return answer["ResponseMetadata"]["HTTPHeaders"].get(name)


def add_headers(s3, operation, headers):
    """A context in which calls of one operation send more headers than the client knows of."""

    @contextlib.contextmanager
    def adding():
        def add(request, **_):
            for name, value in headers.items():
                del request.headers[name]
                request.headers[name] = value

        event = f"before-sign.s3.{operation}"
        s3.meta.events.register(event, add)
        try:
            yield
        finally:
            s3.meta.events.unregister(event, add)

    return adding()
