"""If-Match and its like, on reads and on writes."""

import datetime

from s3_objects_support import add_headers, read, refused, status

FAILED = "At least one of the pre-conditions you specified did not hold"
HOUR = datetime.timedelta(hours=1)


def put(s3, bucket, body=b"x"):
    return s3.put_object(Bucket=bucket, Key="k", Body=body)["ETag"]


def modified(s3, bucket):
    return s3.head_object(Bucket=bucket, Key="k")["LastModified"]


def test_if_match(s3, bucket):
    etag = put(s3, bucket)
    assert read(s3, bucket, "k", IfMatch=etag) == b"x"
    with refused("PreconditionFailed", 412, FAILED) as error:
        s3.get_object(Bucket=bucket, Key="k", IfMatch='"other"')
    assert error["Condition"] == "If-Match"


def test_if_none_match(s3, bucket):
    etag = put(s3, bucket)
    with refused("304", 304) as error:
        s3.get_object(Bucket=bucket, Key="k", IfNoneMatch=etag)
    assert error["headers"]["etag"] == etag
    assert read(s3, bucket, "k", IfNoneMatch='"other"') == b"x"


def test_if_modified_since(s3, bucket):
    put(s3, bucket)
    with refused("304", 304):
        s3.get_object(Bucket=bucket, Key="k", IfModifiedSince=modified(s3, bucket))
    assert read(s3, bucket, "k", IfModifiedSince=modified(s3, bucket) - HOUR) == b"x"


def test_if_unmodified_since(s3, bucket):
    put(s3, bucket)
    assert read(s3, bucket, "k", IfUnmodifiedSince=modified(s3, bucket)) == b"x"
    with refused("PreconditionFailed", 412, FAILED) as error:
        s3.get_object(Bucket=bucket, Key="k", IfUnmodifiedSince=modified(s3, bucket) - HOUR)
    assert error["Condition"] == "If-Unmodified-Since"


def test_if_match_counts_more_than_if_unmodified_since(s3, bucket):
    etag = put(s3, bucket)
    before = modified(s3, bucket) - HOUR
    assert read(s3, bucket, "k", IfMatch=etag, IfUnmodifiedSince=before) == b"x"


def test_if_none_match_counts_more_than_if_modified_since(s3, bucket):
    etag = put(s3, bucket)
    before = modified(s3, bucket) - HOUR
    with refused("304", 304):
        s3.get_object(Bucket=bucket, Key="k", IfNoneMatch=etag, IfModifiedSince=before)


def test_head_with_conditions(s3, bucket):
    etag = put(s3, bucket)
    assert status(s3.head_object(Bucket=bucket, Key="k", IfMatch=etag)) == 200
    with refused("412", 412):
        s3.head_object(Bucket=bucket, Key="k", IfMatch='"other"')
    with refused("304", 304):
        s3.head_object(Bucket=bucket, Key="k", IfNoneMatch=etag)


def test_put_if_absent(s3, bucket):
    with add_headers(s3, "PutObject", {"If-None-Match": "*"}):
        etag = put(s3, bucket)
        with refused("PreconditionFailed", 412, FAILED) as error:
            put(s3, bucket, b"y")
    assert error["Condition"] == "If-None-Match"
    assert read(s3, bucket, "k", IfMatch=etag) == b"x"


def test_put_if_absent_behind_a_delete_marker(s3, versioned):
    put(s3, versioned)
    s3.delete_object(Bucket=versioned, Key="k")
    with add_headers(s3, "PutObject", {"If-None-Match": "*"}):
        put(s3, versioned, b"y")
    assert read(s3, versioned, "k") == b"y"


def test_put_if_none_match_takes_only_a_star(s3, bucket):
    with add_headers(s3, "PutObject", {"If-None-Match": '"abc"'}):
        with refused("NotImplemented", 501) as error:
            put(s3, bucket)
    assert error["Header"] == "If-None-Match"


def test_put_if_match(s3, bucket):
    etag = put(s3, bucket)
    with add_headers(s3, "PutObject", {"If-Match": etag}):
        put(s3, bucket, b"y")
        with refused("PreconditionFailed", 412, FAILED) as error:
            put(s3, bucket, b"z")
    assert error["Condition"] == "If-Match"
    assert read(s3, bucket, "k") == b"y"


def test_put_if_match_of_nothing(s3, bucket):
    with add_headers(s3, "PutObject", {"If-Match": '"abc"'}):
        with refused("NoSuchKey", 404):
            put(s3, bucket)


def test_delete_if_match(s3, bucket):
    etag = put(s3, bucket)
    with add_headers(s3, "DeleteObject", {"If-Match": '"abc"'}):
        with refused("PreconditionFailed", 412, FAILED):
            s3.delete_object(Bucket=bucket, Key="k")
    with add_headers(s3, "DeleteObject", {"If-Match": etag}):
        s3.delete_object(Bucket=bucket, Key="k")
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=bucket, Key="k")
