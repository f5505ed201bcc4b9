"""DeleteObjects: many keys in one call."""

import pytest

from s3_objects_support import add_headers, refused


def delete(s3, bucket, *objects, **arguments):
    return s3.delete_objects(Bucket=bucket, Delete={"Objects": list(objects), **arguments})


def test_a_thousand_keys(s3, bucket):
    for n in range(60):
        s3.put_object(Bucket=bucket, Key=f"k{n}", Body=b"x")
    keys = [{"Key": f"k{n}"} for n in range(1000)]
    deleted = delete(s3, bucket, *keys)["Deleted"]
    assert [entry["Key"] for entry in deleted] == [entry["Key"] for entry in keys]
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_more_than_a_thousand(s3, bucket):
    with refused("MalformedXML", 400):
        delete(s3, bucket, *[{"Key": f"k{n}"} for n in range(1001)])


def test_no_keys(s3, bucket):
    with refused("MalformedXML", 400):
        delete(s3, bucket)


def test_quiet(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    answer = delete(s3, bucket, {"Key": "k"}, Quiet=True)
    assert "Deleted" not in answer and "Errors" not in answer


def test_markers(s3, versioned):
    s3.put_object(Bucket=versioned, Key="k", Body=b"x")
    deleted = delete(s3, versioned, {"Key": "k"})["Deleted"][0]
    assert deleted["DeleteMarker"] is True
    with refused("NoSuchKey", 404) as error:
        s3.get_object(Bucket=versioned, Key="k")
    assert error["headers"]["x-amz-version-id"] == deleted["DeleteMarkerVersionId"]


def test_versions(s3, versioned):
    version = s3.put_object(Bucket=versioned, Key="k", Body=b"x")["VersionId"]
    deleted = delete(s3, versioned, {"Key": "k", "VersionId": version})["Deleted"]
    assert deleted == [{"Key": "k", "VersionId": version}]
    assert "Versions" not in s3.list_object_versions(Bucket=versioned)


def test_one_bad_key_does_not_stop_the_others(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    answer = delete(s3, bucket, {"Key": "k"}, {"Key": "long" * 300})
    assert [entry["Key"] for entry in answer["Deleted"]] == ["k"]
    assert [entry["Code"] for entry in answer["Errors"]] == ["KeyTooLongError"]


def test_locked_versions_are_refused_one_by_one(s3, unique):
    name = unique("locked")
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    held = s3.put_object(Bucket=name, Key="held", Body=b"x")["VersionId"]
    s3.put_object_legal_hold(Bucket=name, Key="held", LegalHold={"Status": "ON"})
    free = s3.put_object(Bucket=name, Key="free", Body=b"x")["VersionId"]
    answer = delete(
        s3, name, {"Key": "held", "VersionId": held}, {"Key": "free", "VersionId": free}
    )
    assert [entry["Key"] for entry in answer["Deleted"]] == ["free"]
    assert [(entry["Key"], entry["Code"]) for entry in answer["Errors"]] == [
        ("held", "AccessDenied")
    ]
    s3.put_object_legal_hold(Bucket=name, Key="held", LegalHold={"Status": "OFF"})
    s3.delete_object(Bucket=name, Key="held", VersionId=held)
    s3.delete_bucket(Bucket=name)


def test_wrong_md5(s3, bucket):
    with add_headers(s3, "DeleteObjects", {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}):
        with refused("BadDigest", 400):
            delete(s3, bucket, {"Key": "k"})


@pytest.mark.parametrize("key", ["a&b", "<k>", "ü", "a\u0009b"])
def test_keys_in_xml(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert delete(s3, bucket, {"Key": key})["Deleted"] == [{"Key": key}]
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_digest_is_required(s3, bucket):
    def drop(request, **_):
        del request.headers["Content-MD5"]

    s3.meta.events.register("before-sign.s3.DeleteObjects", drop)
    try:
        with refused(
            "InvalidRequest",
            400,
            "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
        ):
            delete(s3, bucket, {"Key": "k"})
    finally:
        s3.meta.events.unregister("before-sign.s3.DeleteObjects", drop)


def test_the_same_key_twice(s3, versioned):
    s3.put_object(Bucket=versioned, Key="k", Body=b"x")
    deleted = delete(s3, versioned, {"Key": "k"}, {"Key": "k"})["Deleted"]
    assert len({entry["DeleteMarkerVersionId"] for entry in deleted}) == 2
