"""Intelligent-Tiering by real access, on the clock of the cloud."""

import json

from s3_control_support import refused

HEARTH_OPTIONS = ("--test-clock",)
LARGE = b"x" * (128 * 1024)


def advance(hearth, by):
    with hearth.get(f"/_hearth/clock/advance?by={by}", "POST", b"") as answer:
        return json.load(answer)


def archive_after(s3, bucket, days, tier="ARCHIVE_ACCESS"):
    s3.put_bucket_intelligent_tiering_configuration(
        Bucket=bucket,
        Id="archive",
        IntelligentTieringConfiguration={
            "Id": "archive",
            "Status": "Enabled",
            "Tierings": [{"Days": days, "AccessTier": tier}],
        },
    )


def put(s3, bucket, key, body=LARGE):
    s3.put_object(Bucket=bucket, Key=key, Body=body, StorageClass="INTELLIGENT_TIERING")


def test_without_an_opt_in_everything_can_be_read(hearth, s3, bucket):
    put(s3, bucket, "k")
    advance(hearth, "200d")
    head = s3.head_object(Bucket=bucket, Key="k")
    assert head["StorageClass"] == "INTELLIGENT_TIERING"
    assert "ArchiveStatus" not in head
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == LARGE


def test_what_nobody_reads_is_archived_and_comes_back_by_a_restore(hearth, s3, bucket):
    archive_after(s3, bucket, 90)
    put(s3, bucket, "idle")
    put(s3, bucket, "read")
    put(s3, bucket, "looked at")
    put(s3, bucket, "small", b"x")
    advance(hearth, "60d")
    s3.get_object(Bucket=bucket, Key="read")["Body"].read()
    # Neither HEAD nor a list nor tags are an access.
    s3.head_object(Bucket=bucket, Key="looked at")
    s3.get_object_tagging(Bucket=bucket, Key="looked at")
    s3.list_objects_v2(Bucket=bucket)
    advance(hearth, "32d")
    for key in ("idle", "looked at"):
        assert s3.head_object(Bucket=bucket, Key=key)["ArchiveStatus"] == "ARCHIVE_ACCESS"
        with refused("InvalidObjectState", 403):
            s3.get_object(Bucket=bucket, Key=key)
    for key in ("read", "small"):
        s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    with refused("InvalidArgument", 400):
        s3.restore_object(Bucket=bucket, Key="idle", RestoreRequest={"Days": 1})
    begun = s3.restore_object(
        Bucket=bucket,
        Key="idle",
        RestoreRequest={"GlacierJobParameters": {"Tier": "Standard"}},
    )
    assert begun["ResponseMetadata"]["HTTPStatusCode"] == 202
    advance(hearth, "5h")
    assert s3.get_object(Bucket=bucket, Key="idle")["Body"].read() == LARGE
    # For good: the days are counted from the restore.
    advance(hearth, "80d")
    assert s3.get_object(Bucket=bucket, Key="idle")["Body"].read() == LARGE


def test_the_deepest_tier(hearth, s3, bucket):
    archive_after(s3, bucket, 180, "DEEP_ARCHIVE_ACCESS")
    put(s3, bucket, "k")
    advance(hearth, "179d")
    assert "ArchiveStatus" not in s3.head_object(Bucket=bucket, Key="k")
    advance(hearth, "3d")
    assert s3.head_object(Bucket=bucket, Key="k")["ArchiveStatus"] == "DEEP_ARCHIVE_ACCESS"
