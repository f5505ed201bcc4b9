"""Versions: what is current, what is kept, what deletions leave."""

import pytest

from s3_objects_support import header, read, refused


def put(s3, bucket, body, **arguments):
    return s3.put_object(Bucket=bucket, Key="k", Body=body, **arguments).get("VersionId")


def suspend(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


def enable(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def listed(s3, bucket):
    answer = s3.list_object_versions(Bucket=bucket)
    entries = [(v["VersionId"], v["IsLatest"], False) for v in answer.get("Versions", [])]
    entries += [(v["VersionId"], v["IsLatest"], True) for v in answer.get("DeleteMarkers", [])]
    return entries


def test_bucket_without_versions_tells_none(s3, bucket):
    assert put(s3, bucket, b"1") is None
    assert "VersionId" not in s3.get_object(Bucket=bucket, Key="k")
    assert "VersionId" not in s3.delete_object(Bucket=bucket, Key="k")


def test_null_version_of_a_bucket_without_versions(s3, bucket):
    put(s3, bucket, b"1")
    assert read(s3, bucket, "k", VersionId="null") == b"1"
    s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=bucket, Key="k")


def test_every_version_can_be_read(s3, versioned):
    ids = [put(s3, versioned, body) for body in (b"1", b"2", b"3")]
    assert len(set(ids)) == 3
    assert read(s3, versioned, "k") == b"3"
    for version, body in zip(ids, (b"1", b"2", b"3")):
        got = s3.get_object(Bucket=versioned, Key="k", VersionId=version)
        assert (got["VersionId"], got["Body"].read()) == (version, body)


def test_delete_leaves_a_marker(s3, versioned):
    version = put(s3, versioned, b"1")
    deleted = s3.delete_object(Bucket=versioned, Key="k")
    assert deleted["DeleteMarker"] is True
    with refused("NoSuchKey", 404) as error:
        s3.get_object(Bucket=versioned, Key="k")
    assert error["headers"]["x-amz-delete-marker"] == "true"
    assert error["headers"]["x-amz-version-id"] == deleted["VersionId"]
    assert read(s3, versioned, "k", VersionId=version) == b"1"


def test_marker_cannot_be_read(s3, versioned):
    put(s3, versioned, b"1")
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    with refused(
        "MethodNotAllowed", 405, "The specified method is not allowed against this resource."
    ) as error:
        s3.get_object(Bucket=versioned, Key="k", VersionId=marker)
    assert error["headers"]["x-amz-delete-marker"] == "true"
    assert error["headers"]["allow"] == "DELETE"


def test_deleting_the_marker_brings_the_object_back(s3, versioned):
    put(s3, versioned, b"1")
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    deleted = s3.delete_object(Bucket=versioned, Key="k", VersionId=marker)
    assert (deleted["DeleteMarker"], deleted["VersionId"]) == (True, marker)
    assert read(s3, versioned, "k") == b"1"


def test_deleting_the_newest_version_uncovers_the_one_before(s3, versioned):
    put(s3, versioned, b"1")
    newest = put(s3, versioned, b"2")
    s3.delete_object(Bucket=versioned, Key="k", VersionId=newest)
    assert read(s3, versioned, "k") == b"1"


def test_deleting_an_old_version_leaves_the_current_one(s3, versioned):
    old = put(s3, versioned, b"1")
    put(s3, versioned, b"2")
    s3.delete_object(Bucket=versioned, Key="k", VersionId=old)
    assert read(s3, versioned, "k") == b"2"
    with refused("NoSuchVersion", 404, "The specified version does not exist.") as error:
        s3.get_object(Bucket=versioned, Key="k", VersionId=old)
    assert (error["Key"], error["VersionId"]) == ("k", old)


def test_deleting_what_is_not_there(s3, versioned):
    marker = s3.delete_object(Bucket=versioned, Key="k")
    assert marker["DeleteMarker"] is True
    assert [entry[2] for entry in listed(s3, versioned)] == [True]


def test_marker_upon_marker(s3, versioned):
    first = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    second = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    assert listed(s3, versioned) == [(second, True, True), (first, False, True)]


def test_invalid_version_id(s3, versioned):
    put(s3, versioned, b"1")
    with refused("InvalidArgument", 400, "Invalid version id specified") as error:
        s3.get_object(Bucket=versioned, Key="k", VersionId="nonsense")
    assert (error["ArgumentName"], error["ArgumentValue"]) == ("versionId", "nonsense")


def test_object_from_before_versioning_is_the_null_version(s3, bucket):
    put(s3, bucket, b"old")
    enable(s3, bucket)
    put(s3, bucket, b"new")
    assert read(s3, bucket, "k", VersionId="null") == b"old"
    assert read(s3, bucket, "k") == b"new"


def test_suspended_bucket_overwrites_the_null_version_alone(s3, versioned):
    kept = put(s3, versioned, b"kept")
    suspend(s3, versioned)
    assert put(s3, versioned, b"null 1") == "null"
    assert put(s3, versioned, b"null 2") == "null"
    assert read(s3, versioned, "k") == b"null 2"
    assert read(s3, versioned, "k", VersionId=kept) == b"kept"
    assert [entry[0] for entry in listed(s3, versioned)] == ["null", kept]


def test_delete_in_a_suspended_bucket(s3, versioned):
    kept = put(s3, versioned, b"kept")
    suspend(s3, versioned)
    put(s3, versioned, b"null")
    deleted = s3.delete_object(Bucket=versioned, Key="k")
    assert (deleted["VersionId"], deleted["DeleteMarker"]) == ("null", True)
    assert sorted(listed(s3, versioned)) == sorted([(kept, False, False), ("null", True, True)])


def test_null_version_replaced_from_below(s3, bucket):
    put(s3, bucket, b"null 1")
    enable(s3, bucket)
    kept = put(s3, bucket, b"kept")
    suspend(s3, bucket)
    put(s3, bucket, b"null 2")
    assert [entry[0] for entry in listed(s3, bucket)] == ["null", kept]
    assert read(s3, bucket, "k", VersionId="null") == b"null 2"


def test_version_ids_are_told_by_head(s3, versioned):
    version = put(s3, versioned, b"1")
    assert header(s3.head_object(Bucket=versioned, Key="k"), "x-amz-version-id") == version


@pytest.mark.parametrize("size", [10, 100_000])
def test_bodies_of_old_versions_stay(s3, versioned, size):
    ids = [put(s3, versioned, bytes([65 + n]) * size) for n in range(3)]
    s3.delete_object(Bucket=versioned, Key="k", VersionId=ids[1])
    assert read(s3, versioned, "k", VersionId=ids[0]) == b"A" * size
    assert read(s3, versioned, "k", VersionId=ids[2]) == b"C" * size
