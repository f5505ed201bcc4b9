"""Lifecycle rules and restores on the clock of the cloud: a test lives through months."""

import json

import pytest
from s3_control_support import refused

HEARTH_OPTIONS = ("--test-clock",)
LARGE = b"x" * (128 * 1024)


def advance(hearth, by):
    with hearth.get(f"/_hearth/clock/advance?by={by}", "POST", b"") as answer:
        return json.load(answer)


def put_rules(s3, bucket, *rules):
    full = [{"ID": f"r{i}", "Status": "Enabled", "Filter": {"Prefix": ""}} | rule
            for i, rule in enumerate(rules)]
    s3.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": full}
    )


def keys(s3, bucket):
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_objects_expire_when_their_days_are_over(hearth, s3, bucket):
    put_rules(s3, bucket, {"Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 10}})
    s3.put_object(Bucket=bucket, Key="tmp/a", Body=b"x")
    s3.put_object(Bucket=bucket, Key="kept", Body=b"x")
    advance(hearth, "9d")
    assert keys(s3, bucket) == ["kept", "tmp/a"]
    advance(hearth, "3d")
    assert keys(s3, bucket) == ["kept"]


def test_no_rules_no_changes(hearth, s3, bucket):
    put_rules(s3, bucket, {"Expiration": {"Days": 1}})
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    s3.delete_bucket_lifecycle(Bucket=bucket)
    advance(hearth, "30d")
    assert keys(s3, bucket) == ["a"]


def test_rules_by_tag_and_size(hearth, s3, bucket):
    put_rules(
        s3,
        bucket,
        {"Filter": {"Tag": {"Key": "keep", "Value": "no"}}, "Expiration": {"Days": 1}},
        {"Filter": {"ObjectSizeGreaterThan": 100}, "Expiration": {"Days": 1}},
    )
    s3.put_object(Bucket=bucket, Key="tagged", Body=b"x", Tagging="keep=no")
    s3.put_object(Bucket=bucket, Key="other", Body=b"x", Tagging="keep=yes")
    s3.put_object(Bucket=bucket, Key="big", Body=b"x" * 101)
    s3.put_object(Bucket=bucket, Key="small", Body=b"x" * 100)
    advance(hearth, "3d")
    assert keys(s3, bucket) == ["other", "small"]


def test_versions_hidden_then_removed_then_the_marker(hearth, s3, versioned):
    put_rules(
        s3,
        versioned,
        {
            "Expiration": {"Days": 5},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 10},
        },
    )
    s3.put_object(Bucket=versioned, Key="k", Body=b"1")

    def listed():
        answer = s3.list_object_versions(Bucket=versioned)
        return len(answer.get("Versions", [])), len(answer.get("DeleteMarkers", []))

    assert listed() == (1, 0)
    advance(hearth, "7d")
    assert listed() == (1, 1)
    advance(hearth, "12d")
    # The version is gone, and the marker that was left alone is as old as the rule asks.
    assert listed() in ((0, 1), (0, 0))
    advance(hearth, "3d")
    assert listed() == (0, 0)


def test_the_newest_noncurrent_versions_stay(hearth, s3, versioned):
    put_rules(
        s3,
        versioned,
        {"NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 2}},
    )
    bodies = [str(i).encode() for i in range(5)]
    for body in bodies:
        s3.put_object(Bucket=versioned, Key="k", Body=body)
    advance(hearth, "5d")
    versions = s3.list_object_versions(Bucket=versioned)["Versions"]
    left = [
        s3.get_object(Bucket=versioned, Key="k", VersionId=v["VersionId"])["Body"].read()
        for v in versions
    ]
    assert left == [b"4", b"3", b"2"]


def test_locked_versions_outlive_their_rules(hearth, s3, locked):
    put_rules(s3, locked, {"NoncurrentVersionExpiration": {"NoncurrentDays": 1}})
    held = s3.put_object(Bucket=locked, Key="k", Body=b"1")["VersionId"]
    s3.put_object_legal_hold(
        Bucket=locked, Key="k", VersionId=held, LegalHold={"Status": "ON"}
    )
    s3.put_object(Bucket=locked, Key="k", Body=b"2")
    advance(hearth, "10d")
    assert len(s3.list_object_versions(Bucket=locked)["Versions"]) == 2
    s3.put_object_legal_hold(
        Bucket=locked, Key="k", VersionId=held, LegalHold={"Status": "OFF"}
    )
    advance(hearth, "2d")
    assert len(s3.list_object_versions(Bucket=locked)["Versions"]) == 1


def test_uploads_are_aborted(hearth, s3, bucket):
    put_rules(s3, bucket, {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}})
    begun = s3.create_multipart_upload(Bucket=bucket, Key="k")
    assert begun["AbortRuleId"] == "r0"
    s3.upload_part(
        Bucket=bucket, Key="k", UploadId=begun["UploadId"], PartNumber=1, Body=b"x"
    )
    advance(hearth, "6d")
    assert len(s3.list_multipart_uploads(Bucket=bucket)["Uploads"]) == 1
    advance(hearth, "3d")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_objects_move_down_and_are_restored(hearth, s3, bucket):
    put_rules(
        s3,
        bucket,
        {
            "Transitions": [
                {"Days": 30, "StorageClass": "STANDARD_IA"},
                {"Days": 60, "StorageClass": "GLACIER"},
                {"Days": 180, "StorageClass": "DEEP_ARCHIVE"},
            ]
        },
    )
    s3.put_object(Bucket=bucket, Key="k", Body=LARGE)
    s3.put_object(Bucket=bucket, Key="small", Body=b"x")

    def storage_class(key="k"):
        return s3.head_object(Bucket=bucket, Key=key).get("StorageClass", "STANDARD")

    advance(hearth, "32d")
    assert storage_class() == "STANDARD_IA"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == LARGE
    advance(hearth, "30d")
    assert storage_class() == "GLACIER"
    with refused("InvalidObjectState", 403):
        s3.get_object(Bucket=bucket, Key="k")

    begun = s3.restore_object(
        Bucket=bucket,
        Key="k",
        RestoreRequest={"Days": 2, "GlacierJobParameters": {"Tier": "Standard"}},
    )
    assert begun["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert s3.head_object(Bucket=bucket, Key="k")["Restore"] == 'ongoing-request="true"'
    with refused("RestoreAlreadyInProgress", 409):
        s3.restore_object(Bucket=bucket, Key="k", RestoreRequest={"Days": 2})
    advance(hearth, "6h")
    head = s3.head_object(Bucket=bucket, Key="k")
    assert head["Restore"].startswith('ongoing-request="false", expiry-date="')
    assert head["StorageClass"] == "GLACIER"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == LARGE
    again = s3.restore_object(Bucket=bucket, Key="k", RestoreRequest={"Days": 2})
    assert again["ResponseMetadata"]["HTTPStatusCode"] == 200
    advance(hearth, "4d")
    assert "Restore" not in s3.head_object(Bucket=bucket, Key="k")
    with refused("InvalidObjectState", 403):
        s3.get_object(Bucket=bucket, Key="k")

    advance(hearth, "120d")
    assert storage_class() == "DEEP_ARCHIVE"
    assert storage_class("small") == "STANDARD"


def test_what_is_not_archived_is_not_restored(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with refused("InvalidObjectState", 403):
        s3.restore_object(Bucket=bucket, Key="k", RestoreRequest={"Days": 1})
    with refused("NoSuchKey", 404):
        s3.restore_object(Bucket=bucket, Key="none", RestoreRequest={"Days": 1})


@pytest.mark.parametrize("tier, hours", [("Expedited", 1), ("Bulk", 12)])
def test_retrieval_tiers_take_their_time(hearth, s3, bucket, tier, hours):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", StorageClass="GLACIER")
    s3.restore_object(
        Bucket=bucket,
        Key="k",
        RestoreRequest={"Days": 1, "GlacierJobParameters": {"Tier": tier}},
    )
    advance(hearth, f"{hours}h")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_deep_archive_has_no_expedited_retrieval(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", StorageClass="DEEP_ARCHIVE")
    with refused("InvalidArgument", 400):
        s3.restore_object(
            Bucket=bucket,
            Key="k",
            RestoreRequest={"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}},
        )


def test_retention_ends_on_the_clouds_clock(hearth, s3, locked):
    s3.put_object_lock_configuration(
        Bucket=locked,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}},
        },
    )
    version = s3.put_object(Bucket=locked, Key="k", Body=b"x")["VersionId"]
    advance(hearth, "29d")
    with refused("AccessDenied", 403):
        s3.delete_object(
            Bucket=locked, Key="k", VersionId=version, BypassGovernanceRetention=True
        )
    advance(hearth, "2d")
    s3.delete_object(Bucket=locked, Key="k", VersionId=version)
