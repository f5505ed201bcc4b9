"""CopyObject and GetObjectAttributes."""

import datetime
import hashlib
import os

import pytest

from s3_objects_support import header, read, refused

HOUR = datetime.timedelta(hours=1)


def source(bucket, key="from", version=None):
    found = {"Bucket": bucket, "Key": key}
    if version:
        found["VersionId"] = version
    return found


@pytest.mark.parametrize("size", [0, 5, 300_000])
def test_copy_between_buckets(s3, bucket, other_bucket, size):
    body = os.urandom(size)
    s3.put_object(Bucket=bucket, Key="from", Body=body, ContentType="text/plain")
    result = s3.copy_object(Bucket=other_bucket, Key="to", CopySource=source(bucket))
    assert result["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    s3.delete_object(Bucket=bucket, Key="from")
    assert read(s3, other_bucket, "to") == body


def test_metadata_and_tags_are_taken_along(s3, bucket):
    s3.put_object(
        Bucket=bucket, Key="from", Body=b"x", Metadata={"a": "1"}, Tagging="t=1", CacheControl="c"
    )
    s3.copy_object(Bucket=bucket, Key="to", CopySource=source(bucket))
    got = s3.head_object(Bucket=bucket, Key="to")
    assert (got["Metadata"], got["CacheControl"]) == ({"a": "1"}, "c")
    tags = s3.get_object_tagging(Bucket=bucket, Key="to")["TagSet"]
    assert tags == [{"Key": "t", "Value": "1"}]


def test_metadata_and_tags_can_be_replaced(s3, bucket):
    s3.put_object(Bucket=bucket, Key="from", Body=b"x", Metadata={"a": "1"}, Tagging="t=1")
    s3.copy_object(
        Bucket=bucket,
        Key="to",
        CopySource=source(bucket),
        MetadataDirective="REPLACE",
        Metadata={"b": "2"},
        TaggingDirective="REPLACE",
        Tagging="u=2",
    )
    assert s3.head_object(Bucket=bucket, Key="to")["Metadata"] == {"b": "2"}
    tags = s3.get_object_tagging(Bucket=bucket, Key="to")["TagSet"]
    assert tags == [{"Key": "u", "Value": "2"}]


def test_unknown_directive(s3, bucket):
    s3.put_object(Bucket=bucket, Key="from", Body=b"x")
    with refused("InvalidArgument", 400, "Unknown metadata directive."):
        s3.copy_object(
            Bucket=bucket, Key="to", CopySource=source(bucket), MetadataDirective="MERGE"
        )


def test_storage_class_and_redirect_are_not_taken_along(s3, bucket):
    s3.put_object(
        Bucket=bucket,
        Key="from",
        Body=b"x",
        StorageClass="STANDARD_IA",
        WebsiteRedirectLocation="/x",
    )
    s3.copy_object(Bucket=bucket, Key="to", CopySource=source(bucket))
    got = s3.head_object(Bucket=bucket, Key="to")
    assert "StorageClass" not in got and "WebsiteRedirectLocation" not in got


def test_copy_onto_itself_must_change_something(s3, bucket):
    s3.put_object(Bucket=bucket, Key="from", Body=b"x")
    with refused(
        "InvalidRequest",
        400,
        "This copy request is illegal because it is trying to copy an object to itself without "
        "changing the object's metadata, storage class, website redirect location or encryption "
        "attributes.",
    ):
        s3.copy_object(Bucket=bucket, Key="from", CopySource=source(bucket))
    s3.copy_object(
        Bucket=bucket,
        Key="from",
        CopySource=source(bucket),
        MetadataDirective="REPLACE",
        Metadata={"n": "1"},
    )
    got = s3.get_object(Bucket=bucket, Key="from")
    assert (got["Metadata"], got["Body"].read()) == ({"n": "1"}, b"x")


def test_copy_of_a_version(s3, versioned):
    old = s3.put_object(Bucket=versioned, Key="from", Body=b"old")["VersionId"]
    s3.put_object(Bucket=versioned, Key="from", Body=b"new")
    result = s3.copy_object(
        Bucket=versioned, Key="from", CopySource=source(versioned, version=old)
    )
    assert result["CopySourceVersionId"] == old
    assert result["VersionId"] != old
    assert read(s3, versioned, "from") == b"old"


def test_copy_of_a_marker(s3, versioned):
    s3.put_object(Bucket=versioned, Key="from", Body=b"x")
    marker = s3.delete_object(Bucket=versioned, Key="from")["VersionId"]
    with refused("NoSuchKey", 404):
        s3.copy_object(Bucket=versioned, Key="to", CopySource=source(versioned))
    with refused("InvalidRequest", 400):
        s3.copy_object(Bucket=versioned, Key="to", CopySource=source(versioned, version=marker))


def test_conditions_of_the_source(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="from", Body=b"x")["ETag"]
    modified = s3.head_object(Bucket=bucket, Key="from")["LastModified"]

    def copy(**conditions):
        s3.copy_object(Bucket=bucket, Key="to", CopySource=source(bucket), **conditions)

    copy(CopySourceIfMatch=etag)
    copy(CopySourceIfNoneMatch='"other"')
    copy(CopySourceIfModifiedSince=modified - HOUR)
    copy(CopySourceIfUnmodifiedSince=modified)
    for conditions in (
        {"CopySourceIfMatch": '"other"'},
        {"CopySourceIfNoneMatch": etag},
        {"CopySourceIfModifiedSince": modified},
        {"CopySourceIfUnmodifiedSince": modified - HOUR},
    ):
        with refused("PreconditionFailed", 412):
            copy(**conditions)


def test_missing_source(s3, bucket):
    with refused("NoSuchKey", 404):
        s3.copy_object(Bucket=bucket, Key="to", CopySource=source(bucket, "not-there"))
    with refused("NoSuchBucket", 404):
        s3.copy_object(Bucket=bucket, Key="to", CopySource=source("not-there"))


@pytest.mark.parametrize("key", ["a b+c", "ü/ñ", "x?versionId=y", "%2F"])
def test_keys_of_sources(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    s3.copy_object(Bucket=bucket, Key="to", CopySource=source(bucket, key))
    assert read(s3, bucket, "to") == b"x"


def test_checksum_of_a_copy(s3, bucket):
    s3.put_object(Bucket=bucket, Key="from", Body=b"hello")
    result = s3.copy_object(
        Bucket=bucket, Key="to", CopySource=source(bucket), ChecksumAlgorithm="SHA256"
    )
    assert result["CopyObjectResult"]["ChecksumSHA256"] == (
        "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
    )


def test_attributes(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm="SHA256")["ETag"]
    got = s3.get_object_attributes(
        Bucket=bucket,
        Key="k",
        ObjectAttributes=["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"],
    )
    assert got["ETag"] == etag.strip('"')
    assert got["Checksum"]["ChecksumSHA256"] == "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
    assert (got["StorageClass"], got["ObjectSize"]) == ("STANDARD", 5)
    assert "ObjectParts" not in got
    assert header(got, "last-modified")


def test_only_the_attributes_that_were_asked_for(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    got = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectSize"])
    assert got["ObjectSize"] == 5
    assert "ETag" not in got and "StorageClass" not in got


def test_unknown_attribute(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    with refused("InvalidArgument", 400, "Invalid attribute name specified."):
        s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["Color"])
