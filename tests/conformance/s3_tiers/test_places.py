"""Bytes lie where their storage class says, and come back from there."""

import http.client
import random
import threading

import botocore.exceptions
import hearth_up
import pytest

# 2 MiB that compress well.
TEXT = b"".join(b"%016d\n" % number for number in range(2 * 1024 * 1024 // 17))
NOISE = random.Random(11).randbytes(300_000)


def read(s3, bucket, key, **arguments):
    return s3.get_object(Bucket=bucket, Key=key, **arguments)["Body"].read()


def class_of(s3, bucket, key):
    return s3.head_object(Bucket=bucket, Key=key).get("StorageClass", "STANDARD")


def code_of(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        call(**arguments)
    return raised.value.response["Error"]


def restore(s3, bucket, key, days=2, tier="Standard"):
    answer = s3.restore_object(
        Bucket=bucket,
        Key=key,
        RestoreRequest={"Days": days, "GlacierJobParameters": {"Tier": tier}},
    )
    return answer["ResponseMetadata"]["HTTPStatusCode"]


def upload(s3, bucket, key, parts, **arguments):
    begun = s3.create_multipart_upload(Bucket=bucket, Key=key, **arguments)["UploadId"]
    done = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(
                Bucket=bucket, Key=key, UploadId=begun, PartNumber=number, Body=part
            )["ETag"],
        }
        for number, part in enumerate(parts, 1)
    ]
    s3.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=begun, MultipartUpload={"Parts": done}
    )


def test_two_hundred_days(places, s3, bucket, rules, advance):
    rules(
        {"Days": 30, "StorageClass": "STANDARD_IA"},
        {"Days": 60, "StorageClass": "GLACIER"},
        {"Days": 150, "StorageClass": "DEEP_ARCHIVE"},
        expire=190,
    )
    s3.put_object(Bucket=bucket, Key="k", Body=TEXT)
    s3.put_object(Bucket=bucket, Key="small", Body=b"x" * 1000)
    assert places.all() == 0

    advance("32d")
    assert class_of(s3, bucket, "k") == "STANDARD_IA"
    assert places.used(places.infrequent) >= len(TEXT)
    assert read(s3, bucket, "k") == TEXT
    assert read(s3, bucket, "k", Range="bytes=1000000-1000099") == TEXT[1000000:1000100]

    advance("30d")
    listed = {e["Key"]: e["StorageClass"] for e in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert listed == {"k": "GLACIER", "small": "STANDARD"}
    assert 0 < places.used(places.archive) < len(TEXT) / 2, "archives are compressed"
    hearth_up.wait_for(lambda: places.used(places.infrequent) == 0, "the old place to be empty")
    attributes = s3.get_object_attributes(
        Bucket=bucket, Key="k", ObjectAttributes=["StorageClass", "ObjectSize"]
    )
    assert attributes["StorageClass"] == "GLACIER"
    assert attributes["ObjectSize"] == len(TEXT)
    refused = code_of(s3.get_object, Bucket=bucket, Key="k")
    assert refused["Code"] == "InvalidObjectState"
    assert refused["StorageClass"] == "GLACIER"

    assert restore(s3, bucket, "k") == 202
    assert code_of(
        s3.restore_object, Bucket=bucket, Key="k", RestoreRequest={"Days": 2}
    )["Code"] == "RestoreAlreadyInProgress"
    advance("5h")
    assert read(s3, bucket, "k") == TEXT
    assert read(s3, bucket, "k", Range="bytes=2000000-2000009") == TEXT[2000000:2000010]
    assert restore(s3, bucket, "k", days=3) == 200
    advance("5d")
    assert code_of(s3.get_object, Bucket=bucket, Key="k")["Code"] == "InvalidObjectState"

    advance("85d")
    assert class_of(s3, bucket, "k") == "DEEP_ARCHIVE"
    # Six pieces and three spare ones, of what is compressed.
    assert 0 < places.deep() < len(TEXT)
    hearth_up.wait_for(lambda: places.used(places.archive) == 0, "the archive to be empty")
    assert code_of(
        s3.restore_object,
        Bucket=bucket,
        Key="k",
        RestoreRequest={"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}},
    )["Code"] == "InvalidArgument"
    assert restore(s3, bucket, "k", tier="Bulk") == 202
    advance("2d")
    assert read(s3, bucket, "k") == TEXT

    advance("40d")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    hearth_up.wait_for(lambda: places.all() == 0, "everything to be given back")


def test_what_is_written_into_a_class_lies_there(places, s3, bucket, advance):
    s3.put_object(Bucket=bucket, Key="instant", Body=NOISE, StorageClass="GLACIER_IR")
    assert places.used(places.infrequent) >= len(NOISE)
    assert read(s3, bucket, "instant") == NOISE
    s3.copy_object(
        Bucket=bucket,
        Key="copied",
        CopySource={"Bucket": bucket, "Key": "instant"},
        StorageClass="GLACIER",
    )
    assert places.used(places.archive) >= len(NOISE)
    assert code_of(s3.get_object, Bucket=bucket, Key="copied")["Code"] == "InvalidObjectState"
    assert code_of(
        s3.copy_object,
        Bucket=bucket,
        Key="again",
        CopySource={"Bucket": bucket, "Key": "copied"},
    )["Code"] == "ObjectNotInActiveTierError"
    assert restore(s3, bucket, "copied", tier="Expedited") == 202
    advance("6m")
    assert read(s3, bucket, "copied") == NOISE
    s3.copy_object(Bucket=bucket, Key="again", CopySource={"Bucket": bucket, "Key": "copied"})
    assert read(s3, bucket, "again") == NOISE
    for key in ("instant", "copied", "again"):
        s3.delete_object(Bucket=bucket, Key=key)
    hearth_up.wait_for(lambda: places.all() == 0, "everything to be given back")


def test_objects_in_parts(places, s3, bucket, rules, advance):
    parts = [random.Random(n).randbytes(5 * 1024 * 1024) for n in range(2)] + [b"the end"]
    whole = b"".join(parts)
    upload(s3, bucket, "moved", parts)
    upload(s3, bucket, "written", parts, StorageClass="DEEP_ARCHIVE")
    assert places.deep() > len(whole)
    rules({"Days": 1, "StorageClass": "GLACIER"})
    tag = s3.head_object(Bucket=bucket, Key="moved")["ETag"]
    # A reader that began before gets all of it.
    reader = s3.get_object(Bucket=bucket, Key="moved")["Body"]
    first = reader.read(1000)
    advance("3d")
    assert first + reader.read() == whole
    assert class_of(s3, bucket, "moved") == "GLACIER"
    assert places.used(places.archive) > len(whole) - 100
    for key in ("moved", "written"):
        assert restore(s3, bucket, key) == 202
    advance("12h")
    for key in ("moved", "written"):
        assert s3.head_object(Bucket=bucket, Key=key)["ETag"] == tag
        assert read(s3, bucket, key) == whole
        assert read(s3, bucket, key, PartNumber=2) == parts[1]
        assert read(s3, bucket, key, PartNumber=3) == parts[2]
        s3.delete_object(Bucket=bucket, Key=key)
    hearth_up.wait_for(lambda: places.all() == 0, "everything to be given back")


def test_a_customers_key_keeps_the_bytes_where_they_are(places, s3, bucket, rules, advance):
    secret = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"k" * 32}
    rules({"Days": 1, "StorageClass": "GLACIER"})
    s3.put_object(Bucket=bucket, Key="k", Body=NOISE, **secret)
    advance("3d")
    head = s3.head_object(Bucket=bucket, Key="k", **secret)
    assert head["StorageClass"] == "GLACIER"
    assert places.used(places.archive) == 0
    assert restore(s3, bucket, "k") == 202
    advance("5h")
    assert read(s3, bucket, "k", **secret) == NOISE


def test_intelligent_tiering(places, s3, bucket, advance):
    s3.put_bucket_intelligent_tiering_configuration(
        Bucket=bucket,
        Id="archive",
        IntelligentTieringConfiguration={
            "Id": "archive",
            "Status": "Enabled",
            "Tierings": [
                {"Days": 100, "AccessTier": "ARCHIVE_ACCESS"},
                {"Days": 190, "AccessTier": "DEEP_ARCHIVE_ACCESS"},
            ],
        },
    )
    s3.put_object(Bucket=bucket, Key="k", Body=NOISE, StorageClass="INTELLIGENT_TIERING")
    assert places.all() == 0
    advance("32d")
    assert places.used(places.infrequent) >= len(NOISE)
    assert read(s3, bucket, "k") == NOISE
    # It was read, so it comes back with the next run.
    advance("1d")
    hearth_up.wait_for(lambda: places.all() == 0, "it to come back")
    advance("102d")
    assert places.used(places.archive) > 0
    refused = code_of(s3.get_object, Bucket=bucket, Key="k")
    assert (refused["Code"], refused["AccessTier"]) == ("InvalidObjectState", "ARCHIVE_ACCESS")
    advance("90d")
    head = s3.head_object(Bucket=bucket, Key="k")
    assert head["ArchiveStatus"] == "DEEP_ARCHIVE_ACCESS"
    assert places.deep() > 0
    s3.restore_object(Bucket=bucket, Key="k", RestoreRequest={})
    advance("12h")
    assert read(s3, bucket, "k") == NOISE
    hearth_up.wait_for(lambda: places.all() == 0, "it to come back for good")


def test_a_move_that_is_cut_short(cloud, places, s3, bucket, rules, advance):
    bodies = {f"k{number}": random.Random(number).randbytes(400_000) for number in range(30)}
    for key, body in bodies.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    parts = [random.Random(99).randbytes(5 * 1024 * 1024), b"the end"]
    upload(s3, bucket, "parts", parts)
    bodies["parts"] = b"".join(parts)
    rules({"Days": 30, "StorageClass": "STANDARD_IA"})
    moved = threading.Thread(target=lambda: _quietly(advance, "32d"))
    moved.start()
    hearth_up.wait_for(
        lambda: places.used(places.infrequent) > 0 or not moved.is_alive(), "the first bytes"
    )
    cloud.kill("cloud")
    moved.join()
    cloud.wait_ready()
    for key, body in bodies.items():
        assert read(s3, bucket, key) == body
    advance("33d")
    for key, body in bodies.items():
        assert class_of(s3, bucket, key) == "STANDARD_IA"
        assert read(s3, bucket, key) == body
    for key in bodies:
        s3.delete_object(Bucket=bucket, Key=key)
    hearth_up.wait_for(lambda: places.all() == 0, "everything to be given back")


def _quietly(call, *arguments):
    try:
        call(*arguments)
    except (OSError, http.client.HTTPException):
        pass
