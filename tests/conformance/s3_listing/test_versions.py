"""ListObjectVersions: order, which is the latest, markers, pages."""

import botocore.exceptions
import pytest


def shown(answer):
    """(key, version id, latest, marker), by key; one key's versions newest first."""
    found = [
        (entry["Key"], entry["VersionId"], entry["IsLatest"], "ETag" not in entry)
        for entry in answer.get("Versions", []) + answer.get("DeleteMarkers", [])
    ]
    return found


def walk(s3, **arguments):
    found = []
    while True:
        answer = s3.list_object_versions(**arguments)
        page = shown(answer)
        assert len(page) + len(answer.get("CommonPrefixes", [])) <= arguments.get("MaxKeys", 1000)
        found += page
        found += [(entry["Prefix"],) for entry in answer.get("CommonPrefixes", [])]
        if not answer["IsTruncated"]:
            assert "NextKeyMarker" not in answer
            return found
        arguments["KeyMarker"] = answer["NextKeyMarker"]
        arguments.pop("VersionIdMarker", None)
        if "NextVersionIdMarker" in answer:
            arguments["VersionIdMarker"] = answer["NextVersionIdMarker"]


@pytest.fixture
def history(s3, versioned):
    """The bucket, and what its keys have seen, newest first."""
    versions = {"a": [], "a/b": [], "b": []}
    for number in range(3):
        for key in versions:
            put = s3.put_object(Bucket=versioned, Key=key, Body=str(number).encode())
            versions[key].insert(0, put["VersionId"])
    marker = s3.delete_object(Bucket=versioned, Key="a/b")
    assert marker["DeleteMarker"] is True
    versions["a/b"].insert(0, marker["VersionId"])
    put = s3.put_object(Bucket=versioned, Key="b", Body=b"after")
    versions["b"].insert(0, put["VersionId"])
    return versioned, versions


def expected(versions):
    return [
        (key, version, index == 0, key == "a/b" and index == 0)
        for key in sorted(versions)
        for index, version in enumerate(versions[key])
    ]


def test_all_versions_newest_first(s3, history):
    bucket, versions = history
    answer = s3.list_object_versions(Bucket=bucket)
    assert sorted(shown(answer)) == sorted(expected(versions))
    by_key = {}
    for entry in answer["Versions"]:
        by_key.setdefault(entry["Key"], []).append(entry["VersionId"])
    assert by_key == {"a": versions["a"], "a/b": versions["a/b"][1:], "b": versions["b"]}
    (marker,) = answer["DeleteMarkers"]
    assert marker["Key"] == "a/b"
    assert marker["IsLatest"] is True
    assert len(marker["Owner"]["ID"]) == 64


@pytest.mark.parametrize("size", (1, 2, 3, 5, 11))
def test_pages_of_any_size(s3, history, size):
    bucket, versions = history
    assert sorted(walk(s3, Bucket=bucket, MaxKeys=size)) == sorted(expected(versions))
    whole = sorted(walk(s3, Bucket=bucket, Delimiter="/"))
    assert sorted(walk(s3, Bucket=bucket, Delimiter="/", MaxKeys=size)) == whole
    assert ("a/",) in whole


def test_markers(s3, history):
    bucket, versions = history
    answer = s3.list_object_versions(
        Bucket=bucket, KeyMarker="a", VersionIdMarker=versions["a"][0], Prefix="a"
    )
    assert [entry["VersionId"] for entry in answer["Versions"] if entry["Key"] == "a"] == versions[
        "a"
    ][1:]
    assert not any(entry["IsLatest"] for entry in answer["Versions"])
    answer = s3.list_object_versions(Bucket=bucket, KeyMarker="a/b")
    assert {entry["Key"] for entry in answer["Versions"]} == {"b"}


def test_null_version(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    (entry,) = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert (entry["VersionId"], entry["IsLatest"]) == ("null", True)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    new = s3.put_object(Bucket=bucket, Key="k", Body=b"new")["VersionId"]
    versions = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [entry["VersionId"] for entry in versions] == [new, "null"]
    assert [entry["IsLatest"] for entry in versions] == [True, False]
    s3.put_object(Bucket=bucket, Key="l", Body=b"")
    answer = s3.list_object_versions(Bucket=bucket, KeyMarker="k", VersionIdMarker="null")
    assert [entry["Key"] for entry in answer["Versions"]] == ["l"]


def test_version_marker_needs_a_key_marker(s3, bucket):
    for arguments, message in (
        (
            {"VersionIdMarker": "x"},
            "A version-id marker cannot be specified without a key marker.",
        ),
        ({"KeyMarker": "k", "VersionIdMarker": ""}, "A version-id marker cannot be empty."),
        ({"KeyMarker": "k", "VersionIdMarker": "x"}, "Invalid version id specified"),
    ):
        with pytest.raises(botocore.exceptions.ClientError) as raised:
            s3.list_object_versions(Bucket=bucket, **arguments)
        assert raised.value.response["Error"]["Code"] == "InvalidArgument"
        assert raised.value.response["Error"]["Message"] == message
